import keras
import numpy as np
import pytest

from keras_vision.datasets import mnist
from keras_vision.restoration import autoencoder


@pytest.fixture(scope="module")
def digits():
    rows = mnist.load("train", mnist.SUBSET).select(slice(400))
    return np.stack([raw["image"] for raw in rows.as_numpy_iterator()]).astype("float32")


def error(pictures, again):
    return np.mean((pictures - again) ** 2)


def test_pca_loses_the_variances_that_it_leaves_out(digits):
    mean, directions, variances = autoencoder.pca(digits, 16)
    again = autoencoder.through(digits, mean, directions)
    assert again.shape == digits.shape
    np.testing.assert_allclose(error(digits, again), variances[16:].sum() / 784, rtol=1e-6)
    np.testing.assert_allclose(directions @ directions.T, np.eye(16), atol=1e-8)


def test_a_linear_network_can_be_pca(digits):
    """With PCA's directions as its weights it makes the same pictures."""
    model = autoencoder.build(code=16, hidden=())
    mean, directions, _ = autoencoder.pca(digits / 255, 16)
    model.get_layer("code").set_weights([directions.T, -mean @ directions.T])
    model.get_layer("decoded").set_weights([directions, mean])
    expected = autoencoder.through(digits, *autoencoder.pca(digits, 16)[:2])
    np.testing.assert_allclose(model.predict_on_batch(digits), expected, atol=0.02)


def test_no_linear_network_does_better(digits):
    model = autoencoder.build(code=16, hidden=())
    model.compile(keras.optimizers.Adam(3e-3), "mean_squared_error")
    model.fit(digits, digits, batch_size=50, epochs=60, verbose=0)
    _, _, variances = autoencoder.pca(digits, 16)
    best = variances[16:].sum() / 784
    assert best < error(digits, model.predict_on_batch(digits)) < 1.15 * best


def test_shapes():
    model = autoencoder.build((6, 5, 3), code=4, hidden=(7,))
    assert model.predict_on_batch(np.zeros((2, 6, 5, 3))).shape == (2, 6, 5, 3)
    assert model.get_layer("code").output.shape == (None, 4)


def test_pictures_are_float32_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = autoencoder.build((4, 4, 1), 2, (8,))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model(np.zeros((1, 4, 4, 1))).dtype == "float32"
