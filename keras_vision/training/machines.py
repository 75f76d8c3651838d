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


def copy_of(model, own):
    """Returns `own` with the weights of `model` and the state of its optimiser."""
    if model.optimizer.built:
        own.optimizer.build(own.trainable_variables)
    for mine, shared in zip(state(own), state(model), strict=True):
        mine.assign(keras.ops.convert_to_numpy(shared))
    return own


def state(model):
    return [*model.variables, *model.optimizer.variables]
