import keras
import numpy as np
import pytest

from keras_vision.layers import convolution, pooling

PICTURES = np.random.default_rng(0).normal(size=(1, 9, 8, 2)).astype("float32")


def windows(picture, size, stride, value=0.0):
    """The windows of a picture that is padded by size // 2 on all sides: (h, w, size, size, C)."""
    border = [(size // 2, size // 2)] * 2 + [(0, 0)]
    padded = np.pad(picture, border, constant_values=value)
    found = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    return found[::stride, ::stride].transpose(0, 1, 3, 4, 2)


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolution_is_padded_on_all_sides(size, stride):
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, convolution(inputs, 4, size, stride, use_bias=False))
    (kernel,) = model.get_weights()
    expected = np.einsum("hwabc,abcf->hwf", windows(PICTURES[0], size, stride), kernel)
    np.testing.assert_allclose(model(PICTURES)[0], expected, atol=1e-5)


@pytest.mark.parametrize(("size", "stride"), [(3, 2), (3, 1)])
def test_pooling_is_padded_on_all_sides(size, stride):
    positive = np.abs(PICTURES)
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, pooling(inputs, size, stride))
    expected = windows(positive[0], size, stride, -np.inf).max((2, 3))
    np.testing.assert_array_equal(model(positive)[0], expected)
