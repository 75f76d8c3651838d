"""Runs that are killed and resumed, each a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from keras_vision.training.checkpoints import checkpoints

RUN = Path(__file__).with_name("run.py")
pytestmark = pytest.mark.slow


def run(log_dir, max_epoch=4, kill=("on_epoch_end", 10**9), **options):
    command = [sys.executable, RUN, log_dir, max_epoch, *kill]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def newest_weights(log_dir):
    path = list(checkpoints(log_dir).values())[-1]
    return keras.saving.load_model(path).get_weights()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was never killed."""
    folder = tmp_path_factory.mktemp("whole")
    assert "Epoch 4" in run(folder).communicate(timeout=120)[0]
    return folder


@pytest.mark.parametrize(
    ("hook", "saved"),
    [
        ("on_train_batch_end", [6, 12]),  # in the middle of epoch 3
        ("on_epoch_end", [6, 12, 18]),  # after saving it, before its row in history.csv
    ],
)
def test_killed_run_ends_as_one_never_killed(tmp_path, whole, hook, saved):
    killed = run(tmp_path, kill=(hook, 15))
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert list(checkpoints(tmp_path)) == saved
    assert "epoch 2 is done" in run(tmp_path).communicate(timeout=120)[0]
    for a, b in zip(newest_weights(tmp_path), newest_weights(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(checkpoints(tmp_path)) == list(checkpoints(whole))
    columns = ["epoch", "global_step", "loss", "validation_loss"]
    killed, expected = (pd.read_csv(folder / "history.csv") for folder in (tmp_path, whole))
    pd.testing.assert_frame_equal(killed[columns], expected[columns])


def test_ctrl_c_says_how_to_go_on(tmp_path):
    # Of a test run in the background the child would inherit that it ignores Ctrl-C.
    process = run(
        tmp_path / "log",
        max_epoch=10**6,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in process.stdout:
        if "Model saved" in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert "To go on, run again with log_dir" in rest.splitlines()[-1]
    assert checkpoints(tmp_path / "log")
