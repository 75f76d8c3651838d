"""The smallest run there is: a linear model, three batches of eight."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.rows import Rows
from keras_vision.training import TrainConfig

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")


def dataflow(first_step=0, seed=0, scale=3.0):
    data = tf.data.Dataset.from_tensor_slices((X, X[:, :1] * scale))
    return data.batch(8, drop_remainder=True).repeat()


def linear(optimizer=0.1, loss="mse", **options):
    """`optimizer` may be a learning rate of SGD."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="fc")(inputs))
    plain = isinstance(optimizer, float)
    model.compile(keras.optimizers.SGD(optimizer) if plain else optimizer, loss, **options)
    return model


@pytest.fixture
def config(tmp_path):
    """Its `model` and `dataflow` take keyword arguments."""
    return TrainConfig(linear, dataflow, steps_per_epoch=3, max_epoch=4, log_dir=tmp_path / "log")


@pytest.fixture
def data():
    """The same as `Rows`, for BatchData."""
    return Rows({"image": X, "label": X[:, :1] * 3})
