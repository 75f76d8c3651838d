"""What happens between epochs: checkpoints, validation, history, TensorBoard, the log's lines."""

import math
import sys
import time

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.figure import Figure
from tqdm import tqdm

from keras_vision import plots
from keras_vision.pipeline import BatchData
from keras_vision.training.checkpoints import NO_ROWS, checkpoints, read_history, save, write


def say(text):
    """One line of the log, with the time, as tensorpack stamps it."""
    print(time.strftime("[%m%d %H:%M:%S]"), text, flush=True)


def global_step(callback, epoch):
    """Batches since the run began, at the end of this epoch.

    Not the optimiser's iterations, which leave out the steps that it skipped or accumulated.
    """
    return (epoch + 1) * callback.params["steps"]


class Bar(keras.callbacks.Callback):
    """tensorpack's progress bar over the steps of an epoch or of an evaluation.

    Silent where the output is a file and not a terminal.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.on_test_begin()

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update(batch + 1 - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        self.on_test_end()

    def on_test_begin(self, logs=None):
        total, on_terminal = self.params["steps"], sys.stdout.isatty()
        self.bar = tqdm(total=total, ascii=True, file=sys.stdout, disable=not on_terminal)

    def on_test_batch_end(self, batch, logs=None):
        self.on_train_batch_end(batch)

    def on_test_end(self, logs=None):
        self.bar.close()


class Log(Bar):
    """The bar of an epoch, and lines that say when it began and ended."""

    def on_epoch_begin(self, epoch, logs=None):
        say(f"Start epoch {epoch + 1} of {self.params['epochs']} ...")
        self.start = time.perf_counter()
        super().on_epoch_begin(epoch)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch)
        seconds = time.perf_counter() - self.start
        step = global_step(self, epoch)
        say(f"Epoch {epoch + 1} (global_step {step}) finished, time: {seconds:.2f} s")


class StopOnNaN(keras.callbacks.Callback):
    """Raises FloatingPointError at the first step whose loss, or whose weights, are no numbers.

    The weights are looked at once an epoch, before they are saved.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.steps_before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        loss = logs.get("loss", 0.0)
        if not math.isfinite(loss):
            step, several = self.steps_before + batch + 1, self.model.steps_per_execution
            steps = f"at step {step}" if several == 1 else f"in steps {step - several + 1}-{step}"
            self.stop(f"The loss is {loss} {steps}")

    def on_epoch_end(self, epoch, logs=None):
        for variable in self.model.trainable_variables:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                self.stop(f"{variable.path} is not finite after step {global_step(self, epoch)}")

    def stop(self, reason):
        last = list(checkpoints(self.params["log_dir"]).values())[-1:]
        raise FloatingPointError(
            f"{reason}. Last good model: {last[0] if last else 'none yet'}. "
            "Try a lower learning rate, gradient clipping, or float32."
        )


class WholeEpochs(keras.callbacks.Callback):
    """Raises RuntimeError where an epoch ends early: only whole ones can be resumed."""

    def on_epoch_begin(self, epoch, logs=None):
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        self.done = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        if self.done != self.params["steps"]:
            raise RuntimeError(
                f"Epoch {epoch + 1} ended after {self.done} of {self.params['steps']} steps. The "
                "dataflow must be endless, and callbacks may stop a run in on_epoch_end only."
            )


class FreshRandomness(keras.callbacks.Callback):
    """Makes an epoch's dropout a function of the seed and the epoch's number.

    Keras leaves the state of its random generators out of what it saves; without this a resumed
    run would draw other dropout masks than an uninterrupted one.
    """

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        states = [v for v in self.model.variables if v.path.endswith("seed_generator_state")]
        for number, state in enumerate(states):
            state.assign([self.seed + number, (epoch << 20) % 2**32])


class ModelSaver(keras.callbacks.Callback):
    """Saves `model-<global step>.keras` after every epoch and keeps the last `keep` of them."""

    def __init__(self, keep=3):
        super().__init__()
        self.keep = keep

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


class InferenceRunner(keras.callbacks.Callback):
    """Evaluates the model on a `BatchData`, in order, after every epoch.

    prefix: of the metrics' names; several runners need several.
    """

    def __init__(self, dataflow, prefix="validation"):
        super().__init__()
        if not isinstance(dataflow, BatchData):
            raise TypeError(
                "InferenceRunner needs a BatchData, such as BatchData(dataset, 256, "
                f"remainder=True); got a {type(dataflow).__name__}"
            )
        self.dataset, self.prefix = dataflow.in_order(), prefix

    def on_epoch_end(self, epoch, logs=None):
        metrics = self.model.evaluate(self.dataset, verbose=0, callbacks=[Bar()], return_dict=True)
        metrics = {f"{self.prefix}_{name}": value for name, value in metrics.items()}
        if metrics.keys() & logs.keys():
            raise ValueError(
                f"{', '.join(metrics.keys() & logs.keys())} is logged twice: give each "
                "InferenceRunner a prefix of its own."
            )
        logs.update(metrics)


class PictureWriter(keras.callbacks.Callback):
    """Writes a picture to TensorBoard and to the folder `name` after every epoch.

    draw: model -> uint8 (H, W, 3), or a matplotlib Figure.
    """

    def __init__(self, draw, name="pictures"):
        super().__init__()
        self.draw, self.name = draw, name

    def on_epoch_end(self, epoch, logs=None):
        picture = self.draw(self.model)
        picture = plots.pixels(picture) if isinstance(picture, Figure) else picture
        folder = self.params["log_dir"] / self.name
        folder.mkdir(exist_ok=True)
        keras.utils.save_img(folder / f"epoch-{epoch + 1:03}.png", picture, scale=False)
        tf.summary.image(self.name, picture[None], step=global_step(self, epoch))


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
        values = dict(scalars(logs))
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
