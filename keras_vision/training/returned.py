"""What the functions of a TrainConfig return, checked and made ready."""

import keras
import tensorflow as tf

from keras_vision.training.log import say


def built(model, seed, precision):
    """What `model()` returns under this dtype policy, with the weights that the seed gives."""
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(precision)
    except ValueError:
        raise ValueError(
            'TrainConfig.precision must be a dtype policy of Keras, such as "float32" or '
            f'"mixed_bfloat16"; got {precision!r}'
        ) from None
    try:
        keras.utils.set_random_seed(seed)
        network = model()
    finally:
        keras.config.set_dtype_policy(before)
    if not isinstance(network, keras.Model):
        raise TypeError(
            f"TrainConfig.model must return a compiled model; got a {type(network).__name__}"
        )
    if not (network.built and network.compiled):
        raise ValueError(
            f"TrainConfig.model returned a {type(network).__name__} that is not "
            f"{'compiled: call compile()' if network.built else 'built: give it a keras.Input'}"
        )
    network.optimizer.build(network.trainable_variables)  # to be restored and copied
    return network


def divide_evenly(model, steps_per_epoch):
    """Keras would train past the epoch's end if its steps at a time did not divide it."""
    wanted = model.steps_per_execution
    if wanted == "auto":
        wanted = 1  # Keras would change it as it goes
    found = next(size for size in range(wanted, 0, -1) if steps_per_epoch % size == 0)
    if found < wanted:
        say(
            f"steps_per_execution is {found} instead of {wanted}, "
            f"which does not divide the epoch's {steps_per_epoch} steps"
        )
    model.steps_per_execution = found


def endless(dataset):
    """What the dataflow returned, if `fit` can take all its steps from it."""
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            "TrainConfig.dataflow must return an endless tf.data.Dataset of batches; "
            f"got a {type(dataset).__name__}"
        )
    batches = int(dataset.cardinality())
    if batches >= 0:
        raise ValueError(
            f"TrainConfig.dataflow must return an endless dataset; it has {batches} batches: "
            "repeat() makes it endless."
        )
    return dataset
