"""What keeps a run right: no infinite weights, whole epochs, randomness that can be resumed."""

import math

import keras
import numpy as np

from keras_vision.training.checkpoints import checkpoints, start_from
from keras_vision.training.log import global_step


class StopOnNaN(keras.callbacks.Callback):
    """Raises FloatingPointError at the first step whose loss is no number.

    What a checkpoint holds, moving statistics and the optimiser's state included, is looked at
    once an epoch, before it is saved.
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
        for variable in [*self.model.variables, *self.model.optimizer.variables]:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                self.stop(f"{variable.path} is not finite after step {global_step(self, epoch)}")

    def stop(self, reason):
        cure = "a lower learning rate, gradient clipping, or float32"
        saved = list(checkpoints(self.params["log_dir"]).values())
        raise FloatingPointError(
            f"{reason}. Last good model: {saved[-1]}. To try {cure}, choose a new log_dir. "
            f"{start_from(saved[-1])}"
            if saved
            else f"{reason}. Last good model: none yet. Try {cure}."
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
            state.assign([(self.seed + number) % 2**32, (epoch << 20) % 2**32])
