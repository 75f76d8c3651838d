"""Several replicas, and what makes their result the same as one's."""

import keras
import tensorflow as tf


def default_strategy():
    """MirroredStrategy where there are several GPUs, else the strategy in force."""
    several = len(tf.config.list_logical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def agree_with_one(model, dataset, replicas):
    """Sees to it that `replicas` train the model as one would; refuses what would differ."""
    if replicas == 1:
        return
    batch = tf.nest.flatten(dataset.element_spec)[0].shape[0]
    if batch is None or batch % replicas:
        raise ValueError(
            f"Batches of {batch or 'varying size'} cannot be shared equally by {replicas} "
            "replicas, whose losses are averaged: use a multiple, and drop_remainder=True."
        )
    model.steps_per_execution, model.jit_compile = 1, False  # fail there: keras issue 19246
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True  # else each share would be normalised by itself
