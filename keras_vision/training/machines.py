"""Several machines or devices on Keras' JAX backend: they share a model within an epoch only."""

import keras
import numpy as np


def agree_on(epoch):
    """Raises ValueError where the machines do not all begin after the same epoch."""
    from jax.experimental import multihost_utils  # where this is called, there is JAX

    epochs = np.unique(multihost_utils.process_allgather(np.int32(epoch)))
    if len(epochs) > 1:
        raise ValueError(
            f"The machines have finished {' and '.join(map(str, epochs))} epochs: delete newer "
            "checkpoints in their folders, so that all have the same."
        )


class OwnCopy(keras.callbacks.Callback):
    """Between epochs, a process has a copy of the shared model for itself: `own`.

    Keras can neither predict nor evaluate an uneven batch with a model that is shared.
    """

    def __init__(self, own, distribution):
        super().__init__()
        self.own, self.distribution = own, distribution

    def on_epoch_begin(self, epoch, logs=None):
        keras.distribution.set_distribution(self.distribution)

    def on_epoch_end(self, epoch, logs=None):
        keras.distribution.set_distribution(None)
        copy_of(self.model, self.own)


class HandBack(keras.callbacks.Callback):
    """What callbacks have done to `own`, such as lower its learning rate, goes to the model."""

    def __init__(self, own):
        super().__init__()
        self.own = own

    def on_epoch_begin(self, epoch, logs=None):
        copy_of(self.own, self.model)

    def on_epoch_end(self, epoch, logs=None):
        copy_of(self.own, self.model)
        self.model.stop_training |= self.own.stop_training

    def on_train_end(self, logs=None):
        copy_of(self.own, self.model)  # EarlyStopping may have restored the best weights


def copy_of(model, target):
    """Returns `target` with the weights of `model` and the state of its optimiser."""
    for mine, its in zip(state(target), state(model), strict=True):
        mine.assign(keras.ops.convert_to_numpy(its))
    return target


def state(model):
    return [*model.variables, *model.optimizer.variables]
