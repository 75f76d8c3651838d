"""The script that learns of pictures without labels, with tiny settings."""

import itertools
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import train_simclr

from keras_vision import images
from keras_vision.datasets import cifar10

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_simclr.py"
TINY = ["--width", 0.0625, "--batch-size", 8, "--steps", 4, "--epochs", 2]


def run(*arguments):
    command = list(map(str, (sys.executable, SCRIPT, *arguments)))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Said:
    """A model that says the same whatever it sees."""

    def __init__(self, vectors):
        self.vectors = np.float32(vectors)

    def predict(self, photos, **settings):
        return self.vectors


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[1, 2], [1, 2], [2, 4]], 0),
        ([[0, 0], [0, 0]], 0),
        ([[3, 0], [-1, 0]], 1),
        ([[0, 2], [1, 0]], np.sqrt(1 / 2)),
        ([[[1, 0], [1, 0]], [[-1, 0], [-1, 0]]], 1),  # SimSiam's pairs
    ],
)
def test_spread(vectors, expected):
    found = train_simclr.spread(Said(vectors), np.zeros((len(vectors), 4, 4, 3)))
    assert found["spread"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("method", train_simclr.METHODS)
def test_the_probe_reads_what_lies_below_the_head(method, monkeypatch):
    monkeypatch.setattr(train_simclr, "probe", partial(train_simclr.probe, epochs=10))
    model = train_simclr.compiled(method, 1 / 16, 0.01, 4)
    photos = np.zeros((24, 16, 16, 3), "uint8")
    labels = np.arange(24) % 2
    photos[labels == 1, :, :8] = 250
    head = train_simclr.METHODS[method][-1]
    given = (photos, labels), (photos[:6], labels[:6])
    assert train_simclr.probed(model, head, *given) == 1


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """A folder a class, of a few pictures each."""
    root = tmp_path_factory.mktemp("data") / "CIFAR-10-images"
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 10)):
        for name, number in itertools.product(cifar10.class_names[:2], range(count)):
            picture = random.integers(0, 130, (32, 32, 3)) + 120 * (name == "airplane")
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            images.save(folder / f"{number:02}.png", picture.astype("uint8"))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("method", train_simclr.METHODS)
def test_it_is_trained_and_goes_on(method, cifar, tmp_path):
    side = 64 if method == "cpc" else 32
    settings = [cifar, "--method", method, "--side", side, *TINY, "--out", tmp_path]
    first, second = run(*settings), run(*settings)
    assert "epochs already" in second
    told = [printed.splitlines()[-1].split(", untrained ") for printed in (first, second)]
    assert told[0][0].startswith("linear probe: ")
    assert told[0][1] == told[1][1]  # the same network as before
    assert 0.5 <= float(told[0][0].removeprefix("linear probe: ")) <= 1
    history = pd.read_csv(tmp_path / "history.csv")
    assert len(history) == 2
    assert history["spread"].between(0, 1).all()
