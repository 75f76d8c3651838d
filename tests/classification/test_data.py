from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from keras_vision.classification import data
from keras_vision.classification.classify import central
from keras_vision.datasets import samples
from keras_vision.pipeline import BatchData
from keras_vision.rows import Rows


def test_shift_moves_by_up_to_two_pixels_each_way():
    image = np.zeros((9, 9, 1), "uint8")
    image[4, 4] = 200
    moves = set()
    for seed in range(300):
        raw = data.shift({"image": tf.constant(image), "label": 3}, (0, seed))
        ((y, x),) = np.argwhere(raw["image"].numpy()[..., 0] == 200)
        moves.add((y - 4, x - 4))
        assert raw["image"].shape == image.shape
        assert raw["label"] == 3
    assert moves == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_the_same_in_a_graph():
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (28, 28, 1), "uint8"))
    eager = data.shift({"image": image}, (1, 2))["image"]
    graph = tf.function(data.shift)({"image": image}, (1, 2))["image"]
    np.testing.assert_array_equal(eager, graph)


def photo(height, width):
    """A photo whose first two channels are its rows and columns."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, np.full_like(y, 7)], -1).astype("uint8")


def as_jpeg(rgb):
    return tf.io.encode_jpeg(rgb, quality=100, chroma_downsampling=False)


def test_the_middle_of_a_photo():
    seen = data.central({"image": tf.constant(photo(80, 200))}, 35)["image"].numpy().astype(int)
    assert seen.shape == (35, 35, 3)
    np.testing.assert_allclose(seen[:, 0, 0], 5 + 2 * np.arange(35) + 0.5, atol=1.1)
    np.testing.assert_allclose(seen[0, :, 1], 65 + 2 * np.arange(35) + 0.5, atol=1.1)


@pytest.mark.parametrize("size", [(80, 200), (33, 31), (1, 1), (5, 90)])
def test_a_crop_lies_in_the_photo_and_is_stretched(size):
    shares = []
    for seed in range(40):
        crop = data.crop({"image": tf.constant(photo(*size)), "label": 1}, (seed, 2), 16)["image"]
        assert crop.shape == (16, 16, 3)
        low, high = np.min(crop, (0, 1))[:2], np.max(crop, (0, 1))[:2]
        assert (low >= 0).all()
        assert (high <= np.subtract(size, 1)).all()
        shares.append(np.prod((high - low + 1.0) / size))
    if size == (80, 200):
        assert min(shares) < 0.25
        assert max(shares) > 0.35


@pytest.mark.parametrize("encode", [as_jpeg, tf.io.encode_png], ids=["jpeg", "png"])
def test_bytes_of_a_file_are_cropped_as_its_pixels_are(encode):
    pixels = tf.constant(photo(90, 130))
    data_of = encode(pixels)
    decoded = tf.io.decode_image(data_of)
    for seed in range(5):
        crops = [
            data.crop({"image": image}, (seed, 1), 24)["image"] for image in (decoded, data_of)
        ]
        np.testing.assert_allclose(*(crop.numpy().astype(int) for crop in crops), atol=3)
    middles = [data.central({"image": image}, 24)["image"] for image in (decoded, data_of)]
    np.testing.assert_allclose(*(middle.numpy().astype(int) for middle in middles), atol=3)


def test_what_classify_sees_is_what_validation_sees():
    rgb = samples.photos()["cat"]
    seen = data.central({"image": tf.constant(rgb)}, 64)["image"].numpy().astype(int)
    assert np.abs(seen - central(rgb, 64, 64)).mean() < 3  # up to half a pixel apart


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_told(label):
    rows = Rows({"image": np.zeros((2, 4, 4, 3), "uint8"), "label": np.array([0, label])})
    flow = BatchData(rows, 1, example=partial(data.one_hot, 3), shuffle=False)(0, 0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"row 1 .*label.*{label}.*3"):
        list(flow.take(2))
