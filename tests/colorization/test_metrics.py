import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.colorization import PSNR, AuC, ChromaRatio, RebalancedCrossEntropy, build
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
def test_saved_and_loaded(tmp_path, metric):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[metric])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again = again.get_compile_config()["metrics"][0]
    again = keras.saving.deserialize_keras_object(again)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


@pytest.mark.parametrize("metric", [AuC(PRIOR), AuC(), ChromaRatio()], ids=lambda m: m.name)
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_sample_weights_repeat_photos(metric, shape):
    """A weight of 2 counts a photo twice, and 0 leaves it out."""
    ab, answer, _ = scene(0)
    metric.reset_state()
    metric.update_state(ab, answer, sample_weight=np.float64([2, 0, 1]).reshape(shape))
    weighted = float(metric.result())
    metric.reset_state()
    metric.update_state(ab[[0, 0, 2]], answer[[0, 0, 2]])
    np.testing.assert_allclose(weighted, float(metric.result()), rtol=1e-5)


@pytest.mark.parametrize("metric", [AuC(PRIOR), ChromaRatio()], ids=lambda m: m.name)
def test_a_weight_for_each_pixel_is_refused(metric):
    ab, answer, _ = scene(0, count=1)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        metric.update_state(ab, answer, sample_weight=np.ones(ab.shape[:3]))


@pytest.mark.parametrize("metric", [AuC(PRIOR), ChromaRatio(), PSNR()], ids=lambda m: m.name)
def test_an_empty_batch_changes_nothing(metric):
    channels = 3 if metric.name == "psnr" else 2
    ab, cells = RNG.uniform(-50, 50, (2, 2, 8, 8, channels))
    metric.reset_state()
    metric.update_state(ab, cells)
    before = float(metric.result())
    metric.update_state(ab[:0], cells[:0])
    assert float(metric.result()) == before > 0


@pytest.mark.parametrize("metric", [AuC, ChromaRatio])
def test_what_is_no_temperature_is_refused(metric):
    with pytest.raises(ValueError, match="temperature must be a number"):
        metric(temperature=5)


@pytest.mark.parametrize("prior", [np.full(313, np.nan), np.ones(10), np.zeros(313)])
def test_what_is_no_prior_is_refused(prior):
    with pytest.raises(ValueError, match="313 frequencies"):
        AuC(prior)


@pytest.mark.parametrize("metric", [AuC(), ChromaRatio()], ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("true", "outputs"),
    [
        ((1, 8, 8), (1, 2, 2, 2)),
        ((1, 8, 8, 1), (1, 2, 2, 2)),
        ((1, 8, 8, 3), (1, 2, 2, 313)),
        ((8, 8, 2), (1, 2, 2, 2)),
        ((2, 8, 8, 2), (1, 2, 2, 2)),
        ((1, 8, 8, 2), (1, 2, 2, 10)),
    ],
)
def test_other_shapes_are_refused(metric, true, outputs):
    with pytest.raises(ValueError, match=r"Expected true colours ab \(B, H, W, 2\)"):
        metric.update_state(np.zeros(true), np.zeros(outputs))


@pytest.mark.parametrize("predicted", [(2, 8, 8, 1), (1, 8, 8, 3), (2, 8, 9, 3), (8, 8, 3)])
def test_psnr_of_other_shapes_is_refused(predicted):
    with pytest.raises(ValueError, match=r"Expected photos \(B, H, W, 3\) twice"):
        PSNR().update_state(np.zeros((2, 8, 8, 3)), np.zeros(predicted))


def test_one_replica_and_two_agree(two_replicas):
    ab, lightness = RNG.uniform(-70, 70, (6, 16, 16, 2)), RNG.uniform(0, 100, (6, 16, 16, 1))

    def scores():
        keras.utils.set_random_seed(0)
        model = build(width=1 / 64)
        model.compile(loss=RebalancedCrossEntropy(), weighted_metrics=[AuC(PRIOR), ChromaRatio()])
        weights = np.float32([1, 2, 0, 3, 1, 1])
        return model.evaluate(lightness, ab, 4, verbose=0, sample_weight=weights, return_dict=True)

    one = scores()
    with two_replicas.scope():
        two = scores()
    for name in ("auc", "chroma_ratio"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-5)


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
