import keras
import numpy as np
import tensorflow as tf

from keras_vision.layers import LocalResponseNormalization

MAPS = np.random.default_rng(0).normal(0, 30, (2, 3, 4, 9)).astype("float32")


def test_equals_the_formula_of_the_paper():
    """b_i = a_i / (k + alpha sum of a_j^2 from i - n/2 to i + n/2) ^ beta."""
    expected = np.empty_like(MAPS)
    for i in range(9):
        neighbours = MAPS[..., max(0, i - 2) : min(8, i + 2) + 1]
        expected[..., i] = MAPS[..., i] / (2 + 1e-4 * (neighbours**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(LocalResponseNormalization()(MAPS), expected, rtol=1e-5)


def test_equals_tensorflows_with_other_constants():
    layer = LocalResponseNormalization(size=3, bias=1.0, alpha=0.01, beta=0.5)
    expected = tf.nn.local_response_normalization(MAPS, 1, 1.0, 0.01, 0.5)
    np.testing.assert_allclose(layer(MAPS), expected, rtol=1e-5)


def test_saved(tmp_path):
    inputs = keras.Input((3, 4, 9))
    model = keras.Model(inputs, LocalResponseNormalization(size=3)(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(MAPS), model(MAPS))
