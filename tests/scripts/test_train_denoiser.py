import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keras_vision import images
from keras_vision.datasets import samples

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(name, *arguments):
    command = list(map(str, (sys.executable, SCRIPTS / name, *arguments)))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, photo in list(samples.photos().items())[:3]:
        images.save(folder / f"{name}.png", photo)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("network", ["dncnn", "no_skips"])
def test_trains_on_a_folder_goes_on_and_is_measured(network, photos, tmp_path):
    settings = f"--network {network} --size 32 --batch-size 2 --steps 8 --epochs 2".split()
    for _ in range(2):
        printed = run("train_denoiser.py", photos, *settings, "--out", tmp_path / "run")
    assert "epochs already" in printed
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert len(history) == 2
    weights = tmp_path / "run" / "model-8.keras"
    printed = run(
        *("evaluate_denoiser.py", photos, "--weights", weights, "--side", 64, "--eight-bit")
    )
    assert printed.startswith("PSNR of 3 photos")
    assert str(weights) in printed


@pytest.mark.realdata
@pytest.mark.parametrize(("form", "ahead"), [([], 0.9), (["--grey"], 0.4)])
def test_the_shipped_network_is_ahead_of_non_local_means(form, ahead, data_root):
    """On photos that it never saw, by less than docs/restoration.md says of more of them."""
    photos = data_root / "coco" / "val2017"
    printed = run("evaluate_denoiser.py", photos, "--count", 8, "--side", 128, *form)
    rows = [line.split() for line in printed.splitlines()[2:]]
    figures = {name: list(map(float, cells)) for name, *cells in rows}
    for column, deviation in enumerate((15, 25, 50)):  # clipping takes some of the noise away
        noisy = 20 * np.log10(255 / deviation)
        assert noisy < figures["noisy"][column] < noisy + 2
        peers = max(figures[name][column] for name in ("wavelet", "nl_means", "nl_means_fast"))
        assert figures["photos"][column] > peers + ahead
