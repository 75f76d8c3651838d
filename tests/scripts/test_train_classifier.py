import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import train_classifier

from keras_vision import images
from keras_vision.pipeline import BatchData
from keras_vision.rows import Rows

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_classifier.py"


@pytest.mark.parametrize("first", [0, 2, 3, 5, 8])
def test_a_growing_flow_goes_on_where_it_was(first):
    rows = Rows({"number": np.arange(6)})

    def flow(factor):
        return BatchData(rows, 2, example=lambda raw: factor * raw["number"])

    dataflow = train_classifier.growing([(flow(1), 3), (flow(100), 4)])
    whole, rest = (list(dataflow(step, 0).take(9).as_numpy_iterator()) for step in (0, first))
    for a, b in zip(whole[first:], rest, strict=False):
        np.testing.assert_array_equal(a, b)
    assert sorted(np.concatenate(whole[:3])) == list(range(6))
    assert (np.concatenate(whole[3:]) % 100 == 0).all()


@pytest.mark.slow
def test_trains_on_a_folder_and_goes_on(tmp_path):
    random = np.random.default_rng(0)
    for name, number in itertools.product(("dark", "light"), range(20)):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        picture = random.integers(0, 100, (40, 50, 3)) + 150 * (name == "light")
        images.save(tmp_path / "photos" / name / f"{number:02}.png", picture.astype("uint8"))
    command = [sys.executable, SCRIPT, "folder", tmp_path / "photos", "--out", tmp_path / "run"]
    settings = ["--width", "0.125", "--batch-size", "8", "--sizes", "16:1,24:2", "--seen", "32"]
    for _ in range(2):
        done = subprocess.run(
            [*map(str, command), *settings], capture_output=True, text=True, check=True
        )
    assert "epochs already" in done.stdout
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert len(history) == 3
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
