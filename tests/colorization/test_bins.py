import numpy as np
import pytest
import tensorflow as tf
from skimage.color import rgb2lab

from keras_vision.colorization import bins
from keras_vision.colorization.bins import CENTERS


def all_colours():
    """ab of the whole RGB cube, in steps."""
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 12)] * 3, indexing="ij"), -1)
    return rgb2lab(cube.reshape(1, -1, 3).astype("uint8"))[0][:, 1:]


def brute_force(ab, neighbors):
    """All distances in float64, sorted: the sorted neighbours' squares and Gaussian weights."""
    squares = ((ab[:, None].astype("float64") - CENTERS) ** 2).sum(-1)
    squares = np.sort(squares, axis=1)[:, :neighbors]
    weights = np.exp(-(squares - squares[:, :1]) / (2 * 5.0**2))
    return squares, weights / weights.sum(1, keepdims=True)


def test_the_313_bins():
    assert CENTERS.shape == (313, 2)
    np.testing.assert_array_equal(CENTERS.sum(0), [4910, 2090])
    assert (np.diff(CENTERS[:, 0]) >= 0).all()  # a-major
    assert len(np.unique(CENTERS, axis=0)) == 313


@pytest.mark.realdata
def test_bins_and_weights_equal_the_authors(data_root):
    resources = data_root / "colorization" / "resources"
    np.testing.assert_array_equal(CENTERS, np.load(resources / "pts_in_hull.npy"))
    weights = bins.rarity(np.load(resources / "prior_probs.npy"))
    np.testing.assert_allclose([weights.min(), weights.max()], [0.0965, 6.1749], atol=5e-5)


@pytest.mark.parametrize("neighbors", [1, 5, 10])
@pytest.mark.parametrize("where", ["in sRGB", "far beyond", "on the grid"])
def test_soft_encoding_is_exact(neighbors, where):
    ab = {
        "in sRGB": all_colours(),
        "far beyond": np.random.default_rng(0).uniform(-129, 129, (5000, 2)),
        # Many bins are equally near here: which of them is taken is open, their weights are not.
        "on the grid": np.stack(np.meshgrid(*[np.arange(-125, 130, 5)] * 2), -1).reshape(-1, 2),
    }[where].astype("float32")
    indices, weights = (np.asarray(x) for x in bins.soft_encode(ab, neighbors))
    squares = ((CENTERS[indices] - ab[:, None].astype("float64")) ** 2).sum(-1)
    expected_squares, expected_weights = brute_force(ab, neighbors)
    np.testing.assert_allclose(np.sort(squares, axis=1), expected_squares, atol=0.01)
    assert all(len(set(row)) == neighbors for row in indices)
    order = np.argsort(squares, axis=1)
    sorted_weights = np.take_along_axis(weights, order, axis=1)
    np.testing.assert_allclose(
        sorted_weights, expected_weights, atol=1e-5 if "sRGB" in where else 1e-4
    )


def test_soft_encoding_keeps_leading_shapes_and_takes_empty_ones():
    indices, weights = bins.soft_encode(np.zeros((2, 3, 4, 2)))
    assert indices.shape == weights.shape == (2, 3, 4, 5)
    assert bins.soft_encode(np.zeros((0, 2)))[0].shape == (0, 5)


def test_soft_encoding_in_a_graph():
    ab = np.float32(all_colours()[:100])
    graph = tf.function(bins.soft_encode, input_signature=[tf.TensorSpec((None, 2))])
    for got, expected in zip(graph(ab), bins.soft_encode(ab), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_grey_falls_into_the_grey_bin():
    indices, weights = bins.soft_encode(np.zeros(2))
    nearest = np.asarray(indices)[np.argmax(weights)]
    np.testing.assert_array_equal(CENTERS[nearest], [0, 0])
    # The four bins around it are 10 away: weights 1 and four times exp(-100 / 50).
    np.testing.assert_allclose(np.max(weights), 1 / (1 + 4 * np.exp(-2)), rtol=1e-5)


def test_decoding_between_mean_and_mode():
    logits = np.random.default_rng(0).normal(0, 3, (50, 313)).astype("float32")
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(bins.decode(logits, 1.0), softmax @ CENTERS, atol=1e-3)
    mode = CENTERS[logits.argmax(1)]
    np.testing.assert_array_equal(bins.decode(logits, 0), mode)
    np.testing.assert_allclose(bins.decode(logits, 1e-4), mode, atol=1e-3)
    annealed = np.exp(logits.astype("float64") / 0.38)
    annealed /= annealed.sum(1, keepdims=True)
    np.testing.assert_allclose(bins.decode(logits), annealed @ CENTERS, atol=1e-3)


def test_colours_survive_encoding_and_decoding():
    ab = all_colours()
    indices, weights = (np.asarray(x) for x in bins.soft_encode(ab))
    back = (CENTERS[indices] * weights[..., None]).sum(1)
    assert np.median(np.linalg.norm(back - ab, axis=1)) < 2


def test_prior_counts_and_smooths():
    """One pixel of grey: the shares are the Gaussian of the distance, over its sum."""
    pixels = np.zeros((1, 1, 1, 2), "float32")
    prior = bins.estimate_prior([(None, pixels)])
    gauss = np.exp(-(CENTERS.astype("float64") ** 2).sum(1) / 50)
    np.testing.assert_allclose(prior, gauss / gauss.sum(), atol=1e-7)
    twice = np.concatenate([pixels, np.full((1, 1, 1, 2), 40, "float32")])
    prior = bins.estimate_prior([(None, pixels), (None, twice)])
    peaks = [np.argmin((CENTERS**2).sum(1)), np.argmin(((CENTERS - 40) ** 2).sum(1))]
    np.testing.assert_allclose(prior[peaks[0]] / prior[peaks[1]], 2, rtol=1e-5)
    np.testing.assert_allclose(prior.sum(), 1, rtol=1e-6)


def test_prior_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one picture"):
        bins.estimate_prior([])


def test_rarity_has_mean_one_and_rises_with_rareness():
    prior = np.random.default_rng(0).dirichlet(np.full(313, 0.1))
    weights = bins.rarity(prior)
    np.testing.assert_allclose(prior @ weights, 1, rtol=1e-5)
    assert (np.diff(weights[np.argsort(prior)]) <= 0).all()
    np.testing.assert_allclose(bins.rarity(prior, mix=1), 1, rtol=1e-5)
    ratio = (0.5 * prior[3] + 0.5 / 313) / (0.5 * prior[7] + 0.5 / 313)
    np.testing.assert_allclose(weights[7] / weights[3], ratio, rtol=1e-4)
