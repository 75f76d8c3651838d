"""What a training run is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    callbacks: Keras callbacks, such as `InferenceRunner` and `PictureWriter`, called in this
        order: what changes the model comes before `ModelSaver`, which is appended where there is
        none. What they remember is not resumed: after a kill, `EarlyStopping` and
        `ReduceLROnPlateau` count from zero.
    log_dir: folder of the run: checkpoints, history.csv, TensorBoard events.
    seed: of weights, shuffling and dropout; the same seed gives the same run.
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
        if not isinstance(self.steps_per_epoch, int) or self.steps_per_epoch < 1:
            raise ValueError(
                "TrainConfig.steps_per_epoch must be a whole number, 1 at least; "
                f"got {self.steps_per_epoch}"
            )
