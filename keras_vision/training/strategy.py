"""Several replicas, and what makes their result the same as one's."""

from types import MethodType

import keras
import tensorflow as tf


def default_strategy():
    """What uses all devices: MirroredStrategy, under JAX DataParallel; none where there is one."""
    if keras.backend.backend() == "jax" and len(keras.distribution.list_devices()) > 1:
        return keras.distribution.DataParallel()
    several = len(tf.config.list_logical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


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
    model.steps_per_execution, model.jit_compile = 1, False  # fail there: keras issue 19246
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True  # else each share would be normalised by itself
        if type(layer) is keras.layers.Dropout and not layer.noise_shape:
            layer.call = MethodType(dropout_as_one, layer)  # else all shares would get one mask


def dropout_as_one(self, inputs, training=False):
    """`keras.layers.Dropout.call` with the mask that one device would draw for the whole batch."""
    if not training or not self.rate:
        return inputs
    replica = tf.distribute.get_replica_context()
    ones = tf.ones([replica.num_replicas_in_sync, *tf.unstack(tf.shape(inputs))], inputs.dtype)
    mask = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
    return inputs * mask[replica.replica_id_in_sync_group]
