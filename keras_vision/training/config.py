"""What a training run is made of."""

import inspect
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import tensorflow as tf


@dataclass(frozen=True)
class TrainConfig:
    """One training run; hand it to `launch`.

    model: called without arguments, returns a compiled model. It is called inside the
        strategy's scope and under `precision`, so that its variables live where they should.
    dataflow: `dataflow(first_step, seed) -> tf.data.Dataset` of endless batches, such as a
        `BatchData`: what comes at a step depends on its number and the seed only.
    steps_per_epoch: batches until the next checkpoint and validation; `len` of a BatchData is one
        pass over its dataset.
    max_epoch: the run is over after this many epochs, those before a kill counted in.
    callbacks: Keras callbacks. Evaluation (`InferenceRunner`, `Evaluator`) comes first, as in
        `fit`, and the others in their order: what changes the model comes before `ModelSaver`,
        which is appended where there is none. Keras' own find `val_loss` and the like. What they
        remember is not resumed: after a kill, `EarlyStopping` and `ReduceLROnPlateau` count from
        zero, and `ModelCheckpoint` knows of no best model.
    log_dir: folder of the run: checkpoints, history.csv, run.json, TensorBoard events.
    seed: of weights, shuffling and dropout, 0 to 2**32 - 1; the same seed gives the same run.
    precision: a Keras dtype policy, "float32", "mixed_bfloat16" or "mixed_float16".
    """

    model: Callable[[], keras.Model]
    dataflow: Callable[[int, int], tf.data.Dataset]
    steps_per_epoch: int
    max_epoch: int = 100
    callbacks: Sequence[keras.callbacks.Callback] = ()
    log_dir: str = "train_log"
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self):
        if isinstance(self.model, keras.Model) or not callable(self.model):
            raise TypeError(
                "TrainConfig.model must be a function that returns a compiled model, so that "
                f"launch can build it on all devices; got a {type(self.model).__name__}"
            )
        if not callable(self.dataflow):
            raise TypeError(
                "TrainConfig.dataflow must be a BatchData, or a function (first_step, seed) -> "
                f"endless tf.data.Dataset; got a {type(self.dataflow).__name__}"
            )
        refuse_other_arguments(self.dataflow)
        set_field = partial(object.__setattr__, self)  # it is frozen for others
        set_field("steps_per_epoch", whole("TrainConfig.steps_per_epoch", self.steps_per_epoch, 1))
        set_field("max_epoch", whole("TrainConfig.max_epoch", self.max_epoch, 1))
        set_field("seed", whole("TrainConfig.seed", self.seed, 0, 2**32 - 1))
        set_field("callbacks", listed(self.callbacks))


def whole(name, number, least, most=None):
    """`number` as an int, NumPy's too; ValueError where it is none or out of its range."""
    try:
        found = operator.index(number)
    except TypeError:
        found = None
    if found is None or found < least or (most is not None and found > most):
        extent = f"{least} at least" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} must be a whole number, {extent}; got {number!r}")
    return found


def refuse_other_arguments(dataflow):
    try:
        signature = inspect.signature(dataflow)
    except ValueError:  # of some built-in functions
        return
    try:
        signature.bind(0, 0)
    except TypeError as error:
        raise TypeError(
            "TrainConfig.dataflow is called as dataflow(first_step, seed), which does not fit "
            f"dataflow{signature}: {error}"
        ) from None


def listed(callbacks):
    """The callbacks as a tuple, as some are iterators; TypeError where one is none."""
    found = tuple(callbacks) if isinstance(callbacks, Iterable) else (callbacks,)
    strange = [one for one in found if not isinstance(one, keras.callbacks.Callback)]
    if strange or not isinstance(callbacks, Iterable):
        raise TypeError(
            "TrainConfig.callbacks must be a list of Keras callbacks; "
            f"got {(strange or found)[0]!r:.60}"
        )
    return found
