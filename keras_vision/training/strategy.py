"""Several replicas, and what makes their result the same as one's."""

from types import MethodType

import keras
import tensorflow as tf

from keras_vision.training.log import say
from keras_vision.training.whole_batch import see_whole_batch


def default_strategy():
    """What uses all devices: MirroredStrategy, under JAX DataParallel; none where there is one."""
    if keras.backend.backend() == "jax" and len(keras.distribution.list_devices()) > 1:
        return keras.distribution.DataParallel()
    several = len(tf.config.list_logical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def known(strategy):
    """The strategy; TypeError where it is none, or not one that the backend trains with."""
    on_jax = keras.backend.backend() == "jax"
    of_tensorflow = isinstance(strategy, tf.distribute.Strategy)
    if of_tensorflow and not (on_jax and strategy.num_replicas_in_sync > 1):
        return strategy
    if on_jax and is_of_keras(strategy):
        return strategy
    wanted = "keras.distribution.DataParallel" if on_jax else "tf.distribute.Strategy"
    raise TypeError(
        f"strategy must be a {wanted} on the {keras.backend.backend()} backend; "
        f"got a {type(strategy).__name__}"
    )


def is_of_keras(strategy):
    """Whether it is Keras' own, for its JAX backend, and not TensorFlow's."""
    return isinstance(strategy, keras.distribution.DataParallel)


def agree_with_one(model, dataset, strategy):
    """Sees to it that replicas train the model as one would; refuses what would differ."""
    by_keras = is_of_keras(strategy)
    replicas = strategy.num_model_replicas if by_keras else strategy.num_replicas_in_sync
    if replicas == 1:
        return
    batch = tf.nest.flatten(dataset.element_spec)[0].shape[0]
    if batch is None or batch % replicas:
        raise ValueError(
            f"Batches of {batch or 'varying size'} cannot be shared equally by {replicas} "
            "replicas, whose losses are averaged: use a multiple, and no remainder."
        )
    if by_keras:
        return  # it trains as if there were one device
    if inner(model.optimizer).gradient_accumulation_steps:
        raise ValueError(
            "gradient_accumulation_steps does not work with several replicas: leave it out, and "
            "use a larger batch or one device."
        )
    model.steps_per_execution, model.jit_compile = 1, False  # fail there: keras issue 19246
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True  # else each share would be normalised by itself
        if is_plain_dropout(layer):
            layer.call = MethodType(dropout_as_one, layer)  # else all shares would get one mask
    for difference in differences(model):
        say(f"{replicas} replicas will not train as one: {difference}")
    see_whole_batch(model, dataset, strategy)


def differences(model):
    """What replicas do otherwise than one device, a line each."""
    if inner(model.optimizer) is not model.optimizer:
        yield "each looks for float16's overflow in its own share (mixed_bfloat16 has none)"
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        if getattr(inner(model.optimizer), name):
            yield f"each clips the gradients of its own share ({name})"
    for layer in model._flatten_layers():
        draws = any(isinstance(v, keras.random.SeedGenerator) for v in vars(layer).values())
        if draws and not layer._layers and not is_plain_dropout(layer):
            yield f"all draw the same random numbers in {layer.name}, a {type(layer).__name__}"
    for loss in keras.tree.flatten(model.loss):
        if getattr(loss, "reduction", None) == "mean_with_sample_weight":
            yield "each divides by the weights of its own share (mean_with_sample_weight)"


def inner(optimizer):
    """The optimiser that Keras wraps for float16's loss scale, or the optimiser itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def is_plain_dropout(layer):
    return type(layer) is keras.layers.Dropout and not layer.noise_shape


def dropout_as_one(self, inputs, training=False):
    """`keras.layers.Dropout.call` with the mask that one device would draw for the whole batch."""
    if not training or not self.rate:
        return inputs
    replica = tf.distribute.get_replica_context()
    ones = tf.ones([replica.num_replicas_in_sync, *tf.unstack(tf.shape(inputs))], inputs.dtype)
    mask = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
    return inputs * mask[replica.replica_id_in_sync_group]
