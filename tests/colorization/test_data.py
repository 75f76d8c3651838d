import numpy as np
import skimage.color
import tensorflow as tf

from keras_vision.colorization import data
from keras_vision.datasets import samples

RAW = next(iter(samples.load("val")))


def test_pair_is_lightness_and_ab():
    lightness, ab = data.pair(RAW)
    expected = skimage.color.rgb2lab(RAW["image"].numpy())
    np.testing.assert_allclose(np.concatenate([lightness, ab], -1), expected, atol=1e-3)


def test_eager_and_in_a_graph_agree():
    for raw, (lightness, ab) in zip(
        samples.load("val").take(3), samples.load("val").map(data.pair).take(3), strict=True
    ):
        for got, expected in zip((lightness, ab), data.pair(raw), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-4)


def test_zoom_shows_parts_of_the_photo_and_mirrors_half_of_them():
    """On a photo whose red counts the columns and whose green counts the rows."""
    rows, columns = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    ramp = np.stack([4 * columns, 4 * rows, 0 * rows], -1).astype("uint8")
    zoomed = [
        data.zoom({"image": tf.constant(ramp), "name": "ramp"}, tf.constant([seed, 1]))
        for seed in range(200)
    ]
    assert all(raw["name"] == "ramp" for raw in zoomed)
    images = np.float32([raw["image"] for raw in zoomed])
    assert images.shape == (200, 64, 64, 3)
    width = (images[:, 32, -1, 0] - images[:, 32, 0, 0]) / 4 / 63
    height = (images[:, -1, 32, 1] - images[:, 0, 32, 1]) / 4 / 63
    assert (height > 0).all()  # never upside down
    np.testing.assert_allclose(np.abs(width), height, atol=0.02)
    assert 0.45 < height.min() < 0.55
    assert 0.95 < height.max() <= 1.01
    assert 0.35 < (width < 0).mean() < 0.65
    left = np.minimum(images[:, 32, 0, 0], images[:, 32, -1, 0])
    assert left.max() > 60  # parts from everywhere


def test_zoom_repeats_with_its_seed():
    first, again, other = (data.zoom(RAW, tf.constant([seed, 5]))["image"] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first.numpy() != other.numpy()).any()
