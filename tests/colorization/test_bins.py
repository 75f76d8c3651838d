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


@pytest.mark.parametrize("temperature", [1e-7, 1e-40, 5e-324])
@pytest.mark.parametrize("scale", [1, 1e30])
def test_hardly_any_temperature_is_none(temperature, scale):
    logits = scale * np.random.default_rng(0).normal(size=(50, 313)).astype("float32")
    mode = CENTERS[logits.argmax(1)]
    np.testing.assert_array_equal(bins.decode(logits, temperature), mode)


@pytest.mark.parametrize("temperature", [np.nan, -1, -1e-9, 5, np.inf, None, "0.38", [0.38]])
def test_what_is_no_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature must be a number from 0.* to 1, .* not "):
        bins.decode(np.zeros((1, 313)), temperature)
    with pytest.raises(ValueError, match="temperature must be"):
        bins.check_temperature(temperature)


@pytest.mark.parametrize("temperature", [0, 1, True, np.float32(0.38), np.float64(0)])
def test_what_is_a_temperature(temperature):
    bins.check_temperature(temperature)
    assert np.isfinite(bins.decode(np.zeros((1, 313)), temperature)).all()


def test_logits_of_other_bins_are_refused():
    for temperature in (0, 0.38):
        with pytest.raises(ValueError, match=r"logits must be \(\.\.\., 313\), but are \(2, 10\)"):
            bins.decode(np.zeros((2, 10)), temperature)


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


@pytest.mark.parametrize("ab", [(0, 0), (80, -110), (-90, 90)])
def test_no_bin_is_without_a_share(ab):
    """From one corner of the plane to the other, 262 away, a Gaussian is 0 in float64, too."""
    prior = bins.estimate_prior([(None, np.full((1, 1, 1, 2), ab, "float32"))])
    assert prior.dtype == np.float32
    assert prior.min() == np.float32(2**-126)  # the smallest that no processor flushes to 0
    np.testing.assert_allclose(prior.sum(), 1, rtol=1e-6)
    for mix in (0, 0.5, 1):
        weights = bins.rarity(prior, mix)
        assert np.isfinite(weights).all()
        np.testing.assert_allclose(prior.astype("float64") @ weights, 1, rtol=1e-5)


def test_prior_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one picture"):
        bins.estimate_prior([])
    with pytest.raises(ValueError, match=r"batches of ab \(\.\.\., 2\), but got \(1, 8, 8, 3\)"):
        bins.estimate_prior([(None, np.zeros((1, 8, 8, 3)))])


def test_rarity_has_mean_one_and_rises_with_rareness():
    prior = np.random.default_rng(0).dirichlet(np.full(313, 0.1))
    weights = bins.rarity(prior)
    np.testing.assert_allclose(prior @ weights, 1, rtol=1e-5)
    assert (np.diff(weights[np.argsort(prior)]) <= 0).all()
    np.testing.assert_allclose(bins.rarity(prior, mix=1), 1, rtol=1e-5)
    ratio = (0.5 * prior[3] + 0.5 / 313) / (0.5 * prior[7] + 0.5 / 313)
    np.testing.assert_allclose(weights[7] / weights[3], ratio, rtol=1e-4)


def test_rarity_of_counts_is_that_of_frequencies():
    counts = np.random.default_rng(0).integers(0, 9, 313)
    np.testing.assert_allclose(bins.rarity(counts), bins.rarity(counts / counts.sum()), rtol=1e-6)


@pytest.mark.parametrize(
    ("prior", "problem"),
    [
        (np.ones(10), r"its shape is \(10,\)"),
        (np.ones((313, 1)), r"its shape is \(313, 1\)"),
        ([], r"its shape is \(0,\)"),
        (np.nan, r"its shape is \(\), .* sum nan"),
        (np.r_[np.nan, np.ones(312)], "sum nan"),
        (np.r_[np.inf, np.ones(312)], "sum inf"),
        (np.r_[-0.5, np.ones(312)], r"least is -0\.5"),
        (np.zeros(313), "the sum 0"),
    ],
)
def test_what_is_no_prior_is_refused(prior, problem):
    with pytest.raises(ValueError, match=f"prior must hold 313 frequencies .*{problem}"):
        bins.rarity(prior)


@pytest.mark.parametrize("mix", [np.nan, -0.1, 1.5, None])
def test_what_is_no_mix_is_refused(mix):
    with pytest.raises(ValueError, match=f"mix must be a number in 0..1, not {mix}"):
        bins.rarity(np.ones(313), mix)


def test_a_bin_that_never_comes_has_no_rarity_of_its_own():
    prior = np.r_[0, np.ones(312)]
    assert np.isfinite(bins.rarity(prior, 1e-6)).all()
    for mix in (0, 1e-40):
        with pytest.raises(ValueError, match=f"mix={mix:g} leaves a bin of frequency 0 without"):
            bins.rarity(prior, mix)
