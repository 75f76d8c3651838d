"""The scripts that learn of pixels and of pictures without labels, with tiny settings."""

import itertools
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import train_pixels
import train_simclr

from keras_vision import images
from keras_vision.datasets import cifar10, shapes
from keras_vision.pipeline import BatchData

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(script, *arguments):
    command = list(map(str, (sys.executable, SCRIPTS / script, *arguments)))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_frames_of_a_clip_are_neighbours():
    """The first and the last of each, with their label maps."""
    rows = shapes.clips("train", 32, 4, count=4)
    flow = BatchData(
        *(rows, 2),
        example=train_pixels.of_two_frames,
        shuffle=False,
        mix=train_pixels.one_after_the_other,
    )
    clips = list(rows.as_numpy_iterator())
    for (frames, label_maps), two in zip(flow().take(2), (clips[:2], clips[2:]), strict=True):
        expected = [clip["video"][time] for clip in two for time in (0, 3)]
        np.testing.assert_array_equal(frames, expected)
        expected = [clip["label_maps"][time] for clip in two for time in (0, 3)]
        np.testing.assert_array_equal(label_maps, expected)


def test_scores_pass_over_clips_without_shapes():
    rows = shapes.clips("val", 32, 2, count=12)
    assert any(not raw["label_maps"][0].any() for raw in rows.as_numpy_iterator())
    scores = train_pixels.scores(train_pixels.compiled(0.01, 4), rows)
    assert set(scores) == {"jaccard"}
    assert 0 < scores["jaccard"] < 1


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
    assert train_simclr.probed(model, (photos, labels), (photos[:6], labels[:6])) == 1


@pytest.mark.slow
def test_pixels_are_trained_and_go_on(tmp_path):
    tiny = ["--size", 32, "--frames", 3, "--batch-size", 2, "--steps", 4, "--epochs", 2]
    first, second = (run("train_pixels.py", *tiny, "--out", tmp_path) for _ in range(2))
    assert "epochs already" in second
    assert "epochs already" not in first
    history = pd.read_csv(tmp_path / "history.csv")
    assert len(history) == 2
    assert history["jaccard"].between(0, 1).all()


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
@pytest.mark.parametrize("method", ["simclr", "collapse"])
def test_simclr_is_trained_and_goes_on(method, cifar, tmp_path):
    tiny = ["--width", 0.0625, "--batch-size", 8, "--steps", 4, "--epochs", 2, "--method", method]
    first, second = (run("train_simclr.py", cifar, *tiny, "--out", tmp_path) for _ in range(2))
    assert "epochs already" in second
    told = [printed.splitlines()[-1].split(", untrained ") for printed in (first, second)]
    assert told[0][0].startswith("linear probe: ")
    assert told[0][1] == told[1][1]  # the same network as before
    assert 0.5 <= float(told[0][0].removeprefix("linear probe: ")) <= 1
    history = pd.read_csv(tmp_path / "history.csv")
    assert len(history) == 2
    assert history["spread"].between(0, 1).all()
