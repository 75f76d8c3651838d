"""The files of a run: checkpoints `model-<global step>.keras`, history.csv, run.json.

Each is written whole or not at all.
"""

import contextlib
import json
import os
import re
import warnings
from pathlib import Path

import pandas as pd

NO_ROWS = pd.DataFrame(columns=["epoch", "global_step"])  # of history.csv


def same_as_begun(log_dir, **settings):
    """Raises ValueError where the run in the folder was begun with other settings."""
    path = Path(log_dir) / "run.json"
    if not path.exists():
        write(json.dumps(settings), path)
    begun = json.loads(path.read_text())
    changed = [name for name in settings if settings[name] != begun[name]]
    if changed:
        was, now = (
            ", ".join(f"{name}={of[name]}" for name in changed) for of in (begun, settings)
        )
        raise ValueError(
            f"The run in {log_dir} was begun with {was}, which is now {now}: "
            "set it as it was, or choose a new log_dir."
        )


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
    found, path = checkpoints(log_dir), Path(log_dir) / "history.csv"
    if path.exists():
        rows = set(read_history(path)["global_step"])
        found = {step: checkpoint for step, checkpoint in found.items() if step in rows}
    step, checkpoint = list(found.items())[-1] if found else (0, None)
    return step // steps_per_epoch, checkpoint


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
