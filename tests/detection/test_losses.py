"""A plain NumPy loop of the papers' formulas is the oracle, and torchvision where it is there."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_vision import boxes
from keras_vision.detection.losses import FocalLoss, GIoULoss, SmoothL1


def focal(classes, logits, alpha, gamma):
    """Equation 5 of Lin et al. 2017 in float64, (B, A)."""
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    total = np.zeros(classes.shape)
    for place in np.ndindex(logits.shape):
        positive = classes[place[:-1]] == place[-1]
        p_t = p[place] if positive else 1 - p[place]
        alpha_t = 1 if alpha is None else alpha if positive else 1 - alpha
        total[place[:-1]] += -alpha_t * (1 - p_t) ** gamma * np.log(p_t)
    return total


@pytest.fixture
def answers():
    random = np.random.default_rng(0)
    return random.integers(-1, 4, (2, 30)), random.normal(0, 3, (2, 30, 4)).astype("float32")


@pytest.mark.parametrize(
    ("alpha", "gamma"), [(0.25, 2), (None, 2), (0.5, 0), (0.75, 0.5), (None, 0)]
)
def test_focal_loss_is_the_papers(answers, alpha, gamma):
    classes, logits = answers
    ours = FocalLoss(alpha, gamma).call(classes, logits)
    np.testing.assert_allclose(ours, focal(classes, logits, alpha, gamma), rtol=1e-5)


def test_its_gradient_is_that_of_differences(answers):
    classes, logits = (of[:, :3] for of in answers)
    with tf.GradientTape() as tape:
        x = tf.constant(logits)
        tape.watch(x)
        loss = ops.sum(FocalLoss().call(classes, x))
    gradient, step = tape.gradient(loss, x).numpy(), 1e-4
    for place in np.ndindex(logits.shape):
        change = np.zeros(logits.shape)
        change[place] = step
        high, low = (focal(classes, logits + s * change, 0.25, 2).sum() for s in (1, -1))
        assert gradient[place] == pytest.approx((high - low) / (2 * step), rel=1e-3, abs=1e-6)


def test_focal_loss_is_torchvisions(answers):
    """Value and gradient."""
    torch = pytest.importorskip("torch")
    ops_of = pytest.importorskip("torchvision.ops")
    classes, logits = answers
    theirs = torch.tensor(logits, requires_grad=True)
    is_class = torch.tensor(np.eye(5)[classes][..., :4], dtype=torch.float32)
    loss = ops_of.sigmoid_focal_loss(theirs, is_class, reduction="sum")
    loss.backward()
    with tf.GradientTape() as tape:
        x = tf.constant(logits)
        tape.watch(x)
        ours = ops.sum(FocalLoss().call(classes, x))
    np.testing.assert_allclose(ours, loss.item(), rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(ours, x), theirs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("logit", [-100.0, 100.0])
@pytest.mark.parametrize("truth", [-1, 0])
def test_focal_loss_is_stable(logit, truth):
    right = (logit > 0) == (truth == 0)
    with tf.GradientTape() as tape:
        x = tf.constant([[[logit]]])
        tape.watch(x)
        loss = FocalLoss(alpha=None).call(np.array([[truth]]), x)
    assert float(loss[0, 0]) == pytest.approx(0 if right else 100, abs=1e-5)
    gradient = float(tape.gradient(loss, x)[0, 0, 0])
    assert gradient == pytest.approx(0 if right else np.sign(logit), abs=1e-5)


def test_without_gamma_it_is_cross_entropy(answers):
    classes, logits = answers
    truth = np.eye(5, dtype="float32")[classes][..., :4]
    theirs = keras.losses.binary_crossentropy(truth, logits, from_logits=True) * 4
    np.testing.assert_allclose(FocalLoss(None, 0).call(classes, logits), theirs, rtol=1e-5)


def test_what_is_easy_hardly_counts():
    """Lin et al., section 3.2: a hundredth of the cross-entropy at 0.9, then a thousandth."""
    for p_t, share in ((0.9, 100), (0.96838, 1000)):
        logits = np.log([[[p_t / (1 - p_t)]]]).astype("float32")
        loss = [float(FocalLoss(None, gamma).call([[0]], logits)[0, 0]) for gamma in (0, 2)]
        assert loss[0] / loss[1] == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize("beta", [1 / 9, 1.0])
def test_smooth_l1(beta):
    random = np.random.default_rng(0)
    target, found = random.normal(0, 0.3, (2, 2, 50, 4)).astype("float32")
    d = np.abs(target - found).astype("float64")
    expected = np.where(d < beta, d**2 / (2 * beta), d - beta / 2).sum(-1)
    np.testing.assert_allclose(SmoothL1(beta).call(target, found), expected, rtol=1e-4)
    huber = keras.losses.Huber(beta, reduction="none")(target, found) * 4 / beta
    np.testing.assert_allclose(SmoothL1(beta).call(target, found), huber, rtol=1e-4)


def test_giou_loss_is_that_of_boxes_from_any_anchor():
    random = np.random.default_rng(0)
    target, found = random.normal(0, 0.5, (2, 1, 50, 4)).astype("float32")
    corner, sides = random.uniform(0, 90, (50, 2)), random.uniform(10, 80, (50, 2))
    anchors = np.concatenate([corner, corner + sides], axis=1).astype("float32")
    real = [boxes.decode(deltas, anchors) for deltas in (target, found)]
    expected = 1 - ops.convert_to_numpy(boxes.giou(*real))
    np.testing.assert_allclose(GIoULoss().call(target, found), expected, atol=1e-4)


@pytest.mark.parametrize("loss", [FocalLoss(0.3, 1.5), SmoothL1(0.5), GIoULoss()])
def test_settings_are_saved(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
