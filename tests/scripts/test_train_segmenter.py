import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import train_segmenter

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_segmenter.py"
TINY = ["--width", "0.0625", "--short", "32", "--batch-size", "2", "--steps", "4", "--epochs", "2"]


def run(*arguments):
    command = list(map(str, (sys.executable, SCRIPT, *arguments)))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("start", train_segmenter.STARTS)
def test_a_backbone_starts_as_it_was_told(start):
    model = train_segmenter.network("fcn", 11, 1, start, 180, "indices")
    backbone = next(layer for layer in model.layers if hasattr(layer, "layers"))
    assert bool(backbone.trainable_weights) == (start != "frozen")
    moved = backbone.get_layer("bn1").moving_mean.numpy()
    assert (moved == 0).all() == (start == "scratch")
    assert model.get_layer("score_c4").trainable


@pytest.mark.slow
def test_trains_on_shapes_and_goes_on(tmp_path):
    settings = ["shapes", "--network", "segnet", "--balance", "0.5", *TINY]
    first, second = (run(*settings, "--out", tmp_path) for _ in range(2))
    assert "epochs already" in second
    assert first.splitlines()[-9:] == second.splitlines()[-9:]  # the table of classes
    assert second.splitlines()[-3].split()[0] == "flower"
    assert len(pd.read_csv(tmp_path / "history.csv")) == 2


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("CamVid", ["camvid", "--network", "fcn", "--crop", "32,64"], "18 pictures"),
        ("membrane", ["isbi", "--crop", "32,32", "--bend", "3"], "4 pictures"),
    ],
)
def test_trains_on_real_pictures(name, settings, told, data_root, tmp_path):
    dataset, *settings = settings
    printed = run(dataset, data_root / name, *TINY, *settings, "--out", tmp_path)
    assert told in printed.splitlines()[-1]
