"""Two processes on Keras' JAX backend, as two machines would run them."""

import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

RUN = Path(__file__).with_name("lesson_2.py")
LESSON = RUN.parents[2] / "tutorials" / "02_mnist_tensorpack.py"
JAX = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}


def start(command, **environment):
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=JAX | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output(process):
    try:
        return process.communicate(timeout=240)[0]
    finally:
        process.kill()


def together(*commands):
    """Runs a command on each of several machines; returns what they printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
    cluster = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(len(commands)),
    }
    processes = [
        start(command, **cluster, KERAS_DISTRIBUTION_PROCESS_ID=str(number))
        for number, command in enumerate(commands)
    ]
    return [output(process) for process in processes]


def weights(log_dir, step):
    """The arrays in a checkpoint, its optimiser's too, by name."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    archive = zipfile.ZipFile(log_dir / f"model-{step}.keras")
    with archive, archive.open("model.weights.h5") as file, h5py.File(file) as arrays:
        arrays.visititems(note)
    return found


@pytest.mark.slow
def test_two_machines_train_what_one_would(tmp_path):
    one, *two = (tmp_path / name for name in ("one", "0", "1"))
    output(start([RUN, one, 3]))
    together(*([RUN, log_dir, 1] for log_dir in two))
    printed = together(*([RUN, log_dir, 3] for log_dir in two))
    assert all("epoch 1 is done" in text for text in printed)
    expected, history = weights(one, 20), pd.read_csv(one / "history.csv")
    assert sum(array.size for array in expected.values()) > 3 * 836_522  # Adam's moments, too
    for log_dir in two:
        found = weights(log_dir, 20)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-12, err_msg=name)
        measured = pd.read_csv(log_dir / "history.csv")
        for column in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
            np.testing.assert_allclose(measured[column], history[column], rtol=1e-6)

    (two[1] / "model-20.keras").unlink()
    for text in together(*([RUN, log_dir, 3] for log_dir in two)):
        assert "ValueError: The machines have finished 1 and 2 epochs: delete newer" in text


@pytest.mark.slow
def test_lesson_2_on_two_machines(tmp_path):
    folders = [tmp_path / "0", tmp_path / "1"]
    printed = together(*([LESSON, "--epochs", 1, "--out", folder] for folder in folders))
    for text, folder in zip(printed, folders, strict=True):
        assert "Total #vars=12, #params=836,522" in text
        assert (folder / "9_curves_and_mistakes.png").exists(), text
    first, second = (
        pd.read_csv(folder / "train_log" / "history.csv").drop(columns="seconds")
        for folder in folders
    )
    assert first["validation_accuracy"][0] > 0.85
    pd.testing.assert_frame_equal(first, second)
