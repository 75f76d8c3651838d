"""Checkpoints `model-<global step>.keras` in a run's folder: written whole or not at all."""

import contextlib
import os
import re
from pathlib import Path

import pandas as pd


def checkpoints(log_dir):
    """The folder's checkpoints as {global step: path}, oldest first."""
    found = (
        (re.fullmatch(r"model-(\d+)\.keras", path.name), path) for path in Path(log_dir).glob("*")
    )
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def finished(log_dir, steps_per_epoch):
    """(number of finished epochs, their checkpoint or None).

    An epoch is finished once it has a row in history.csv: a kill after its checkpoint was saved
    may have cut off its validation.
    """
    found, history = checkpoints(log_dir), Path(log_dir) / "history.csv"
    if history.exists():
        rows = set(pd.read_csv(history)["global_step"])
        found = {step: path for step, path in found.items() if step in rows}
    if not found:
        return 0, None
    step, path = list(found.items())[-1]
    epoch, rest = divmod(step, steps_per_epoch)
    if rest:
        raise ValueError(
            f"{path} was saved at step {step}, which is no multiple of steps_per_epoch="
            f"{steps_per_epoch}: set what the run began with, or choose a new log_dir."
        )
    return epoch, path


def save(model, path):
    """Saves `model` beside `path` and moves it there: a full disk or a kill spoils nothing."""
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
    """Loads weights and the optimiser's state from `path` into a compiled `model`."""
    model.optimizer.build(model.trainable_variables)
    try:
        model.load_weights(path)
    except Exception as error:
        raise ValueError(
            f"{path} does not fit this model: {error}\n"
            "Was the run begun with another network? Choose a new log_dir, or delete this one."
        ) from error
