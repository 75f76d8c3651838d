"""Measurements between epochs, and the names under which Keras' callbacks find them."""

import keras
import numpy as np

from keras_vision.pipeline import BatchData
from keras_vision.training.log import Bar

OURS, KERAS = "validation_", "val_"
COLUMNS = {"epoch", "global_step", "seconds"}  # of history.csv, beside the metrics


class InferenceRunner(keras.callbacks.Callback):
    """Evaluates the model on a `BatchData`, in order, after every epoch.

    prefix: of the metrics' names; several runners need several. Keras' callbacks find those of
        "validation" under their own name, such as `val_loss`, too.
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
        add(metrics, self.prefix, logs)


class Evaluator(keras.callbacks.Callback):
    """Logs what `function(model)` measures after every epoch, where no Keras metric can.

    function: model -> {name: number}, such as an average precision over all detections.
    prefix: of the names, as for InferenceRunner; none by default.
    """

    def __init__(self, function, prefix=""):
        super().__init__()
        if not callable(function):
            raise TypeError(
                "Evaluator needs a function, model -> {name: number}; "
                f"got a {type(function).__name__}"
            )
        self.function, self.prefix = function, prefix

    def on_epoch_end(self, epoch, logs=None):
        metrics = self.function(self.model)
        if not is_named_numbers(metrics):
            raise TypeError(
                "Evaluator's function must return {name: number}, such as "
                f"{{'recall': 0.5}}; got {metrics!r:.80}"
            )
        add({name: float(value) for name, value in metrics.items()}, self.prefix, logs)


def is_named_numbers(metrics):
    return isinstance(metrics, dict) and all(
        isinstance(name, str) and np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"
        for name, value in metrics.items()
    )


def add(metrics, prefix, logs):
    """Adds to an epoch's logs what was measured, under both names where Keras has one."""
    metrics = {f"{prefix}_{name}" if prefix else name: of for name, of in metrics.items()}
    metrics |= {keras_name(name): value for name, value in metrics.items()}
    twice = metrics.keys() & (logs.keys() | COLUMNS)
    if twice:
        raise ValueError(
            f"{', '.join(sorted(twice))} is logged twice: give each InferenceRunner and "
            "Evaluator a prefix of its own."
        )
    logs.update(metrics)


def keras_name(name):
    """`val_loss` of `validation_loss`; other names as they are."""
    return KERAS + name.removeprefix(OURS) if name.startswith(OURS) else name


def once(logs):
    """The logs without Keras' second names."""
    twins = {keras_name(name) for name in logs if name.startswith(OURS)}
    return {name: value for name, value in logs.items() if name not in twins}


def evaluated_first(callbacks):
    """The callbacks in their order, but evaluation first, as in `fit`: others look at its logs.

    Those that monitor `validation_...` do so under Keras' name, whose direction Keras knows.
    """
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str):
            callback.monitor = keras_name(monitor)
    return sorted(callbacks, key=lambda one: not isinstance(one, InferenceRunner | Evaluator))
