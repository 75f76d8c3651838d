"""What is written after every epoch: a checkpoint, pictures, a row of history.csv, TensorBoard."""

import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.figure import Figure

from keras_vision import plots
from keras_vision.training.checkpoints import NO_ROWS, checkpoints, read_history, save, write
from keras_vision.training.config import whole
from keras_vision.training.evaluation import once
from keras_vision.training.log import global_step, say


class ModelSaver(keras.callbacks.Callback):
    """Saves `model-<global step>.keras` after every epoch and keeps the last `keep` of them."""

    def __init__(self, keep=3):
        super().__init__()
        self.keep = whole("ModelSaver's keep", keep, least=1)

    def on_epoch_end(self, epoch, logs=None):
        path = self.params["log_dir"] / f"model-{global_step(self, epoch)}.keras"
        save(self.model, path)
        say(f"Model saved to {path}")

    def on_epoch_begin(self, epoch, logs=None):
        """Not before, lest a kill leave no checkpoint whose epoch is finished."""
        finished = epoch * self.params["steps"]
        found = checkpoints(self.params["log_dir"]).items()
        for old in [path for step, path in found if step <= finished][: -self.keep]:
            old.unlink()

    def on_train_end(self, logs=None):
        self.on_epoch_begin(self.params["epochs"])


class PictureWriter(keras.callbacks.Callback):
    """Writes a picture to TensorBoard and to the folder `name` after every epoch.

    draw: model -> integers 0..255 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a matplotlib
        Figure.
    name: may have slashes, which TensorBoard takes for groups; several writers need several.
    """

    def __init__(self, draw, name="pictures"):
        super().__init__()
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"PictureWriter's name must be of a folder in log_dir; got {name!r}")
        self.draw, self.name = draw, name

    def on_epoch_end(self, epoch, logs=None):
        picture = as_picture(self.draw(self.model))
        folder = self.params["log_dir"] / self.name
        folder.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(folder / f"epoch-{epoch + 1:03}.png", picture, scale=False)
        tf.summary.image(self.name, picture[None], step=global_step(self, epoch))


def as_picture(drawn):
    """uint8 (H, W, C) of what PictureWriter may be given."""
    picture = np.asarray(plots.pixels(drawn) if isinstance(drawn, Figure) else drawn)
    picture = picture[..., None] if picture.ndim == 2 else picture
    shaped = picture.ndim == 3 and picture.size and picture.shape[-1] in (1, 3, 4)
    if not shaped or picture.dtype.kind not in "iu" or np.any(picture != picture.astype("uint8")):
        raise ValueError(
            "PictureWriter's draw must return integers 0..255 (H, W), (H, W, 1), (H, W, 3) or "
            "(H, W, 4), or a Figure; np.uint8(255 * picture) makes them of floats 0..1. "
            f"Got {what(drawn, picture)}"
        )
    return picture.astype("uint8")


def what(drawn, picture):
    """What was drawn, in words."""
    if picture.dtype.kind not in "iuf" or not picture.ndim:
        return f"a {type(drawn).__name__}"
    extent = f" from {picture.min()} to {picture.max()}" if picture.size else ""
    return f"{picture.dtype} {np.shape(drawn)}{extent}"


class History(keras.callbacks.Callback):
    """Prints an epoch's metrics and writes them to history.csv and TensorBoard."""

    def on_train_begin(self, logs=None):
        self.path = self.params["log_dir"] / "history.csv"
        if not self.path.exists() and not checkpoints(self.path.parent):
            write(NO_ROWS.to_csv(index=False), self.path)  # no epoch is finished yet

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        step, seconds = global_step(self, epoch), time.perf_counter() - self.start
        values = dict(scalars(once(logs)))
        for name, value in values.items():
            say(f"{name}: {value:.5g}")
            tf.summary.scalar(name, value, step=step)
        tf.summary.flush()
        row = {"epoch": epoch + 1, "global_step": step, "seconds": round(seconds, 2), **values}
        rows = read_history(self.path) if self.path.exists() else NO_ROWS
        rows = rows[rows["epoch"] <= epoch]  # of an earlier run, whose checkpoints are gone
        write(pd.concat([rows, pd.DataFrame([row])]).to_csv(index=False), self.path)


def scalars(logs):
    """(name, value) of each metric, (name_0, value), (name_1, value) of one that is a vector."""
    for name, value in logs.items():
        values = np.ravel(value)
        for number, single in enumerate(values):
            yield (name if np.ndim(value) == 0 else f"{name}_{number}"), float(single)
