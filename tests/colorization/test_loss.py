from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_vision.colorization import L2, RebalancedCrossEntropy, build
from keras_vision.colorization.bins import CENTERS
from keras_vision.training import TrainConfig, launch

RNG = np.random.default_rng(0)
AB = RNG.uniform(-60, 60, (2, 3, 4, 2)).astype("float32")
LOGITS = RNG.normal(0, 2, (2, 3, 4, 313)).astype("float32")
PRIOR = RNG.dirichlet(np.full(313, 0.3))


def plain_loop(ab, logits, prior, mix=0.5):
    """Equations 2 to 4 of the paper, pixel by pixel: the loss and its gradient."""
    q = len(CENTERS)
    w = np.array([1 / ((1 - mix) * p + mix / q) for p in prior])
    w /= sum(p * v for p, v in zip(prior, w, strict=True))
    pixels = list(np.ndindex(ab.shape[:-1]))
    loss, gradient = 0.0, np.zeros(logits.shape)
    for pixel in pixels:
        squares = ((CENTERS.astype("float64") - ab[pixel]) ** 2).sum(1)
        z = np.zeros(q)
        for bin_ in np.argsort(squares)[:5]:
            z[bin_] = np.exp(-squares[bin_] / (2 * 5.0**2))
        z /= z.sum()
        y = np.exp(logits[pixel].astype("float64"))
        y /= y.sum()
        v = w[z.argmax()]
        loss += -v * sum(z[i] * np.log(y[i]) for i in range(q) if z[i])
        gradient[pixel] = v * (y - z)
    return loss / len(pixels), gradient / len(pixels)


@pytest.mark.parametrize("prior", [None, PRIOR])
def test_value_and_gradient_equal_the_plain_loop(prior):
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = RebalancedCrossEntropy(prior)(AB, logits)
    uniform = np.full(313, 1 / 313)
    loss, gradient = plain_loop(AB, LOGITS, uniform if prior is None else prior)
    np.testing.assert_allclose(value, loss, rtol=1e-5)
    np.testing.assert_allclose(
        tape.gradient(value, logits), gradient, atol=1e-5 * abs(gradient).max()
    )


def test_flat_weights_are_plain_cross_entropy():
    plain = RebalancedCrossEntropy()(AB, LOGITS)
    np.testing.assert_allclose(RebalancedCrossEntropy(PRIOR, mix=1)(AB, LOGITS), plain, rtol=1e-5)


def test_l2_equals_numpy():
    predicted = RNG.normal(0, 20, AB.shape).astype("float32")
    expected = ((AB - predicted) ** 2).sum(-1).mean() / 2
    np.testing.assert_allclose(L2()(AB, predicted), expected, rtol=1e-5)


def test_true_colours_come_in_pixels():
    """Cells of one colour: which of a cell's pixels is read makes no difference."""
    pixels = AB.repeat(4, axis=1).repeat(4, axis=2)
    loss = RebalancedCrossEntropy(PRIOR)
    np.testing.assert_allclose(loss(pixels, LOGITS), loss(AB, LOGITS), rtol=1e-6)
    np.testing.assert_allclose(L2()(pixels, AB), 0, atol=1e-6)


def test_perfect_logits_leave_the_entropy_of_the_target():
    perfect = np.full((1, 1, 1, 313), -1e4, "float32")
    grey = np.argmin((CENTERS**2).sum(1))
    around = np.argsort((CENTERS**2).sum(1))[1:5]
    z = np.array([1, *[np.exp(-2)] * 4]) / (1 + 4 * np.exp(-2))
    perfect[..., [grey, *around]] = np.log(z)
    value = RebalancedCrossEntropy()(np.zeros((1, 1, 1, 2)), perfect)
    np.testing.assert_allclose(value, -(z * np.log(z)).sum(), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_any_dtype_is_computed_in_float32(dtype):
    for loss, outputs in ((RebalancedCrossEntropy, LOGITS), (L2, AB[:, ::-1])):
        given = AB.astype(dtype), outputs.astype(dtype)
        np.testing.assert_allclose(
            loss(dtype=dtype)(*given),
            loss()(AB, outputs),
            rtol=1e-6 if dtype == "float64" else 0.01,
        )


def test_sample_weight_masks_a_photo():
    loss = RebalancedCrossEntropy(PRIOR)
    masked = loss(AB, LOGITS, sample_weight=np.float32([1, 0]))
    np.testing.assert_allclose(2 * masked, loss(AB[:1], LOGITS[:1]), rtol=1e-5)


@pytest.mark.parametrize("loss", [RebalancedCrossEntropy(PRIOR, mix=0.3), L2()])
def test_saved_and_loaded(tmp_path, loss):
    bins = 313 if loss.name == "rebalanced_cross_entropy" else None
    model = build(bins=bins, width=1 / 16)
    model.compile("sgd", loss)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").loss
    assert again.get_config() == loss.get_config()
    outputs = LOGITS if bins else AB + 1
    np.testing.assert_allclose(again(AB, outputs), loss(AB, outputs), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": np.ones(10)}, "313 frequencies"),
        ({"prior": np.full(313, np.nan)}, "sum nan"),
        ({"prior": -PRIOR}, "the least is -"),
        ({"mix": 2}, "mix must be"),
        ({"prior": np.eye(313)[0], "mix": 0}, "mix=0 leaves a bin"),
    ],
)
def test_a_prior_that_is_none_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RebalancedCrossEntropy(**arguments)


@pytest.mark.parametrize(
    "ab",
    [AB[..., 0], AB[..., :1], np.concatenate([AB, AB[..., :1]], -1), AB[0], AB[:1]],
    ids=["no channels", "one channel", "Lab", "one photo", "another batch"],
)
@pytest.mark.parametrize(("loss", "outputs"), [(RebalancedCrossEntropy(), LOGITS), (L2(), AB)])
def test_other_shapes_are_refused(loss, outputs, ab):
    with pytest.raises(ValueError, match=r"Expected true colours ab \(B, H, W, 2\)"):
        loss(ab, outputs)


@pytest.mark.parametrize(("loss", "outputs"), [(L2(), LOGITS), (RebalancedCrossEntropy(), AB)])
def test_the_twins_outputs_are_told_apart(loss, outputs):
    with pytest.raises(ValueError, match=r"as many outputs \(B, h, w, (2|313)\), got"):
        loss(AB, outputs)


def test_one_replica_and_two_agree(tmp_path, two_replicas):
    lightness = RNG.uniform(0, 100, (8, 16, 16, 1)).astype("float32")
    ab = RNG.uniform(-60, 60, (8, 16, 16, 2)).astype("float32")

    def model():
        network = build(width=1 / 16)
        # Adam would turn rounding into steps of full size where a gradient is near 0.
        network.compile(keras.optimizers.SGD(0.001), RebalancedCrossEntropy(PRIOR))
        return network

    def dataflow(first_step, seed):
        data = tf.data.Dataset.from_tensor_slices((lightness, ab))
        return data.batch(4, drop_remainder=True).repeat()

    config = TrainConfig(model, dataflow, steps_per_epoch=2, max_epoch=2)
    one = launch(replace(config, log_dir=tmp_path / "one"))
    two = launch(replace(config, log_dir=tmp_path / "two"), two_replicas)
    losses = [pd.read_csv(tmp_path / name / "history.csv")["loss"] for name in ("one", "two")]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
