"""Checkpoints `model-<global step>.keras` in a run's folder: written whole or not at all."""

import contextlib
import os
import re
from pathlib import Path


def checkpoints(log_dir):
    """The folder's checkpoints as {global step: path}, oldest first."""
    found = (
        (re.fullmatch(r"model-(\d+)\.keras", path.name), path) for path in Path(log_dir).glob("*")
    )
    return dict(sorted((int(match[1]), path) for match, path in found if match))


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
