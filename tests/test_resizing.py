import numpy as np
import pytest
import tensorflow as tf

from keras_vision import resizing

WHOLES = [(40, 60), (20, 31), (97, 150), (1, 1), (3, 200)]
WAYS = pytest.mark.parametrize("way", [lambda f: f, tf.function], ids=["eager", "graph"])


def picture(dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("whole", WHOLES)
@WAYS
def test_the_whole_is_tensorflows(way, whole, dtype):
    found = way(lambda image: resizing.bilinear(image, whole))(picture(dtype))
    expected = tf.image.resize(picture(dtype), whole, antialias=True)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
@pytest.mark.parametrize("whole", WHOLES)
@WAYS
def test_the_nearest_are_tensorflows(way, whole, dtype):
    maps = picture() > 128 if dtype == "bool" else picture(dtype)
    found = way(lambda maps: resizing.nearest(maps, whole))(tf.constant(maps))
    assert found.dtype == dtype
    expected = tf.image.resize(maps.astype("int32"), whole, "nearest").numpy().astype(dtype)
    np.testing.assert_array_equal(found, expected)
    channel = resizing.nearest(maps[..., 0], whole)
    np.testing.assert_array_equal(channel, expected[..., 0])


@pytest.mark.parametrize("form", [resizing.bilinear, resizing.nearest])
@pytest.mark.parametrize("whole", WHOLES)
@WAYS
def test_a_part_is_that_of_the_whole(way, whole, form):
    height, width = whole
    top, left = height // 3, width // 4
    size = (height - top + 1) // 2, (width - left + 1) // 2
    numbers = [tf.constant(x) for x in (size, whole, (top, left))]
    found = way(form)(tf.constant(picture()), *numbers)
    expected = form(picture(), whole)[top : top + size[0], left : left + size[1]]
    np.testing.assert_allclose(found, expected, atol=2e-3)
