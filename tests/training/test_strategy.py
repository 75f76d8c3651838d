import runpy
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from keras_vision.datasets import mnist
from keras_vision.training import BatchData, TrainConfig, launch
from keras_vision.training.strategy import agree_with_one

lesson_2 = runpy.run_path(Path(__file__).with_name("lesson_2.py"))["model"]


def test_two_replicas_train_lesson_2_as_one(tmp_path, two_replicas):
    """Dropout and Adam included; in float64, where rounding cannot grow into a difference."""
    train = BatchData(mnist.load("train", mnist.SUBSET), 128)
    weights, losses = [], []
    for name, strategy in (("one", None), ("two", two_replicas)):
        folder = tmp_path / name
        config = TrainConfig(
            lesson_2, train, steps_per_epoch=20, max_epoch=1, log_dir=folder, precision="float64"
        )
        weights.append(launch(config, strategy).get_weights())
        losses.append(pd.read_csv(folder / "history.csv")["loss"][0])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-12)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_shares_of_a_batch_get_shares_of_one_mask(two_replicas):
    x, inputs = np.ones((4, 50), "float32"), keras.Input((50,))
    with two_replicas.scope():
        model = keras.Model(inputs, keras.layers.Dropout(0.5, seed=0)(inputs))
        model.compile("sgd", "mse")
    agree_with_one(model, BatchData(mnist.load("test", mnist.SUBSET), 4)(), two_replicas)
    masks = two_replicas.run(lambda: model(x[:2], training=True))
    first, second = (np.asarray(mask) for mask in two_replicas.experimental_local_results(masks))
    alone = keras.layers.Dropout(0.5, seed=0)(x, training=True)
    np.testing.assert_array_equal(np.concatenate([first, second]), alone)
    np.testing.assert_array_equal(model(x), x)  # none outside of training
