"""The files of a run: checkpoints `model-<global step>.keras`, and history.csv.

Each is written whole or not at all.
"""

import contextlib
import os
import re
import warnings
import zipfile
from pathlib import Path

import pandas as pd

from keras_vision.training.log import say

NO_ROWS = pd.DataFrame(columns=["epoch", "global_step"])  # of history.csv


def checkpoints(log_dir):
    """The folder's checkpoints as {global step: path}, oldest first."""
    found = (
        (re.fullmatch(r"model-(\d+)\.keras", path.name), path) for path in Path(log_dir).glob("*")
    )
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def start_from(checkpoint):
    """What to do for a new run with other settings, in words."""
    return (
        f"To start there from this model, call model.load_weights({str(checkpoint)!r}) in "
        "TrainConfig.model, before compile()."
    )


def finished(log_dir, steps_per_epoch):
    """(number of finished epochs, their checkpoint or None).

    An epoch is finished once it has a row in history.csv: a kill after its checkpoint was saved
    may have cut off its validation. Epochs whose checkpoint is no longer whole are done again.
    """
    found, path = checkpoints(log_dir), Path(log_dir) / "history.csv"
    if path.exists():
        rows = set(read_history(path)["global_step"])
        found = {step: checkpoint for step, checkpoint in found.items() if step in rows}
    spoilt = []
    for step, checkpoint in reversed(found.items()):
        if is_whole(checkpoint):
            if spoilt:
                say(f"{', '.join(spoilt)} is not whole: going back to {checkpoint.name}")
                forget(path, step)
            return step // steps_per_epoch, checkpoint
        spoilt.append(checkpoint.name)
    if spoilt:
        raise ValueError(
            f"No checkpoint in {log_dir} is whole ({', '.join(spoilt)}): restore one, or choose a "
            "new log_dir."
        )
    return 0, None


def is_whole(checkpoint):
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except (EOFError, zipfile.BadZipFile):
        return False


def forget(history, step):
    """Drops the rows of history.csv that come after a global step."""
    if history.exists():
        rows = read_history(history)
        write(rows[rows["global_step"] <= step].to_csv(index=False), history)


def read_history(path):
    """The rows of history.csv, one for each finished epoch."""
    try:
        return pd.read_csv(path).astype({"epoch": int, "global_step": int})
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not the history of a run ({error}): restore it, or move it away."
        ) from error


def write(text, path):
    """Writes beside `path` and moves it there: a full disk or a kill spoils nothing."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def save(model, path):
    """Saves `model` as `write` does."""
    path = Path(path)
    part = path.with_name(f"part-{path.name}")
    try:
        model.save(part)
        with open(part, "rb") as file:
            os.fsync(file.fileno())  # the move must not reach the disk before the content
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OSError(
            error.errno, f"{path} could not be saved: {error}. Older checkpoints are intact"
        ) from error


def restore(model, path):
    """Loads weights and the optimiser's state from `path` into `model`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras' when it skips an optimiser
            model.load_weights(path)
    except Exception as error:
        raise ValueError(
            f"{path} does not fit this model: {error}\n"
            "Was the run begun with another network or optimiser? Then choose a new log_dir."
        ) from error
