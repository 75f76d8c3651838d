"""The log of a run: tensorpack's lines, each with the time, and its progress bar."""

import sys
import time

import keras
from tqdm import tqdm


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
