import numpy as np
import pytest
import skimage.color
import tensorflow as tf
from scipy.stats import chi2_contingency

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


@pytest.fixture(scope="module")
def ramps():
    """A photo whose red counts the columns and whose green counts the rows, zoomed 800 times."""
    rows, columns = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    ramp = np.stack([4 * columns, 4 * rows, 0 * rows], -1).astype("uint8")
    raw = {"image": tf.constant(ramp), "name": "ramp"}
    seeds = tf.data.Dataset.from_tensor_slices([[seed, 1] for seed in range(800)])
    zoomed = seeds.map(lambda seed: data.zoom(raw, seed))
    images, names = zip(
        *((r["image"], r["name"]) for r in zoomed.as_numpy_iterator()), strict=True
    )
    assert set(names) == {b"ramp"}
    return np.float32(images)


def test_zoom_shows_parts_of_the_photo_and_mirrors_half_of_them(ramps):
    assert ramps.shape == (800, 64, 64, 3)
    width = (ramps[:, 32, -1, 0] - ramps[:, 32, 0, 0]) / 4 / 63
    height = (ramps[:, -1, 32, 1] - ramps[:, 0, 32, 1]) / 4 / 63
    assert (height > 0).all()  # never upside down
    np.testing.assert_allclose(np.abs(width), height, atol=0.02)
    assert 0.45 < height.min() < 0.55
    assert height.max() == 1  # the whole photo
    assert 0.45 < (width < 0).mean() < 0.55
    left = np.minimum(ramps[:, 32, 0, 0], ramps[:, 32, -1, 0])
    assert left.max() > 110  # parts from everywhere


def test_zoom_draws_size_place_and_mirroring_apart(ramps):
    """Their joint frequencies are the products of their own; the corners' pixels are exact."""
    mirrored = ramps[:, 0, 0, 0] > ramps[:, 0, -1, 0]
    left = np.minimum(ramps[:, 0, 0, 0], ramps[:, 0, -1, 0]) / 4
    top, bottom = ramps[:, 0, 0, 1] / 4, ramps[:, -1, 0, 1] / 4
    size = bottom - top + 1
    free = size < 60  # the place of a nearly whole photo says nothing
    rest = 64 - size[free]
    levels = np.stack(
        [(size[free] - 32) // 7, top[free] / rest > 0.5, left[free] / rest > 0.5, mirrored[free]]
    )
    table = np.histogramdd(levels.T, bins=(4, 2, 2, 2), range=[(0, 4), *[(0, 2)] * 3])[0]
    assert table.sum() == free.sum() > 600
    assert chi2_contingency(table).pvalue > 0.01
    for level in range(4):
        assert 0.3 < mirrored[free][levels[0] == level].mean() < 0.7


def test_zoom_of_a_single_pixel():
    pixel = np.full((1, 1, 3), 77, "uint8")
    for seed in range(5):
        np.testing.assert_array_equal(
            data.zoom({"image": pixel}, tf.constant([seed, 1], tf.int64))["image"], pixel
        )


def test_zoom_repeats_with_its_seed():
    first, again, other = (data.zoom(RAW, tf.constant([seed, 5]))["image"] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first.numpy() != other.numpy()).any()
