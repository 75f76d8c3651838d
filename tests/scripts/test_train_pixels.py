"""The script that learns of pixels, with tiny settings."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import train_pixels

from keras_vision.datasets import shapes
from keras_vision.pipeline import BatchData

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_pixels.py"


def run(*arguments):
    command = list(map(str, (sys.executable, SCRIPT, *arguments)))
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


@pytest.mark.slow
def test_pixels_are_trained_and_go_on(tmp_path):
    tiny = ["--size", 32, "--frames", 3, "--batch-size", 2, "--steps", 4, "--epochs", 2]
    first, second = (run(*tiny, "--out", tmp_path) for _ in range(2))
    assert "epochs already" in second
    assert "epochs already" not in first
    history = pd.read_csv(tmp_path / "history.csv")
    assert len(history) == 2
    assert history["jaccard"].between(0, 1).all()
