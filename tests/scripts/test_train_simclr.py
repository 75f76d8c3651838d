"""The script that learns without labels, with tiny settings and pictures."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import train_simclr
from PIL import Image

from keras_vision.datasets import cifar10

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_simclr.py"
TINY = ["--width", 0.0625, "--batch-size", 8, "--steps", 4, "--epochs", 2]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Ten of each class to learn from and as many to test on, bright or dark by their class."""
    root = tmp_path_factory.mktemp("cifar")
    random = np.random.default_rng(0)
    for split in cifar10.splits:
        for number, name in enumerate(cifar10.class_names):
            folder = root / split / name
            folder.mkdir(parents=True)
            for place in range(10):
                photo = random.integers(0, 30, (32, 32, 3)) + 20 * number
                Image.fromarray(photo.astype("uint8")).save(folder / f"{place}.png")
    return root


def run(*arguments):
    command = list(map(str, (sys.executable, SCRIPT, *arguments)))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("method", train_simclr.METHODS)
def test_it_trains_and_goes_on(method, pictures, tmp_path):
    size = ["--side", 64] if method == "cpc" else []
    settings = [pictures, "--method", method, *size, *TINY, "--out", tmp_path]
    first, second = run(*settings), run(*settings)
    assert "epochs already" not in first
    assert "epochs already" in second
    said = [
        re.findall(r"linear probe: ([\d.]+), untrained ([\d.]+)", out) for out in (first, second)
    ]
    assert said[0] == said[1]
    assert all(0 <= float(share) <= 1 for share in said[0][0])
    history = pd.read_csv(tmp_path / "history.csv")
    assert len(history) == 2
    assert history["spread"].between(0, 1).all()
