import keras
import numpy as np
import pytest
from PIL import Image

from keras_vision.colorization import PSNR, AuC, ChromaRatio
from keras_vision.colorization.bins import CENTERS, rarity, soft_encode
from keras_vision.colorization.color import rgb_to_lab
from keras_vision.colorization.metrics import area, error_curve

RNG = np.random.default_rng(0)
PRIOR = RNG.dirichlet(np.full(313, 0.3))


def scene(seed, count=3):
    """True ab, and an L2 network's answer in cells of one colour each, with its ab in pixels."""
    rng = np.random.default_rng(seed)
    ab = rng.uniform(-70, 70, (count, 16, 24, 2)).astype("float32")
    answer = np.repeat(rng.uniform(-70, 70, (count, 1, 1, 2)), 4, 1).repeat(6, 2).astype("float32")
    return ab, answer, answer.repeat(4, 1).repeat(4, 2)


def curve_by_loop(errors, weights):
    """The share of the weight within each threshold, and the area by NumPy's trapezoids."""
    curve = [weights[errors <= t].sum() / weights.sum() for t in range(151)]
    return 100 * np.trapezoid(curve) / 150


@pytest.mark.parametrize("prior", [None, PRIOR])
def test_auc_equals_numpy_over_a_stream(prior):
    metric, errors, weights = AuC(prior), [], []
    for seed, count in ((0, 3), (1, 1), (2, 2)):
        ab, answer, pixels = scene(seed, count)
        metric.update_state(ab, answer)
        errors.append(np.linalg.norm(ab - pixels, axis=-1).ravel())
        nearest = ((ab[..., None, :] - CENTERS) ** 2).sum(-1).argmin(-1)
        weights.append(
            rarity(PRIOR)[nearest].ravel() if prior is not None else np.ones(nearest.size)
        )
    expected = curve_by_loop(np.concatenate(errors), np.concatenate(weights))
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)


def test_area_of_single_errors():
    errors = np.float32([0, 0.5, 1, 3.2, 149.5, 150, 151, 400])
    expected = [100 * np.trapezoid(error_curve([e])) / 150 for e in errors]
    np.testing.assert_allclose(area(errors), expected, rtol=1e-5, atol=1e-6)


def test_chroma_ratio_equals_numpy_over_a_stream():
    metric, true, predicted = ChromaRatio(), 0, 0
    for seed in (0, 1):
        ab, answer, pixels = scene(seed)
        metric.update_state(ab, answer)
        true += np.linalg.norm(ab, axis=-1).sum()
        predicted += np.linalg.norm(pixels, axis=-1).sum()
    np.testing.assert_allclose(metric.result(), predicted / true, rtol=1e-5)


def test_chroma_of_grey_photos():
    metric = ChromaRatio()
    metric.update_state(np.zeros((1, 8, 8, 2)), np.zeros((1, 2, 2, 2)))
    assert float(metric.result()) == 0


def test_psnr_equals_numpy():
    true = RNG.integers(0, 256, (4, 5, 6, 3)).astype("uint8")
    other = RNG.integers(0, 256, (4, 5, 6, 3)).astype("uint8")
    metric = PSNR()
    metric.update_state(true[:1], other[:1])
    metric.update_state(true[1:], other[1:])
    mean_square = ((true.astype(float) - other) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(
        metric.result(), (10 * np.log10(255**2 / mean_square)).mean(), rtol=1e-5
    )
    metric.reset_state()
    metric.update_state(true, true)
    assert np.isfinite(metric.result())


@pytest.mark.parametrize("metric", [AuC(PRIOR, 0.5), AuC(), ChromaRatio(0.7), PSNR()])
def test_saved_and_loaded(metric):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("lum", (88.5, 73.3, 0, 22.65)),
        ("ours", (88.3, 83.8, 1.32, 21.97)),
        ("ours_unrebalanced", (91.0, 81.2, 0.59, 23.91)),
    ],
)
def test_the_published_networks_photos(data_root, result, expected):
    """The 50 photos that the authors published, measured apart from this code."""
    folder = data_root / "colorization"
    prior = np.load(folder / "resources" / "prior_probs.npy")
    names = sorted(path.name for path in (folder / "imagenet_comparison" / "gt").iterdir())

    def photos(kind):
        paths = [folder / "imagenet_comparison" / kind / name for name in names]
        return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])

    true, answer = photos("gt"), photos(result)
    ab, answer_ab = (np.asarray(rgb_to_lab(rgb))[..., 1:] for rgb in (true, answer))
    errors = np.linalg.norm(ab - answer_ab, axis=-1)
    nearest, _ = soft_encode(ab, neighbors=1)
    weights = rarity(prior)[nearest[..., 0]]
    chroma = np.linalg.norm(answer_ab, axis=-1).mean() / np.linalg.norm(ab, axis=-1).mean()
    psnr = PSNR()
    psnr.update_state(true, answer)
    measured = (
        np.mean(np.asarray(area(errors))),
        (weights * np.asarray(area(errors))).sum() / weights.sum(),
        chroma,
        psnr.result(),
    )
    np.testing.assert_allclose(np.float32(measured), expected, atol=0.06)
