"""Plain loops of the papers' formulas in float64 are the oracles, and differences of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.metrics import jaccard_score

from keras_vision.segmentation.losses import CrossEntropy, Dice, Focal, LovaszSoftmax
from keras_vision.training import TrainConfig, launch

WEIGHTS = [0.5, 1.0, 3.0, 0.25]
LOSSES = {
    "cross_entropy": CrossEntropy(),
    "weighted": CrossEntropy(WEIGHTS),
    "focal": Focal(1.5, WEIGHTS),
    "dice": Dice(),
    "lovasz": LovaszSoftmax(),
    "lovasz_all": LovaszSoftmax("all"),
    "lovasz_per_image": LovaszSoftmax(per_image=True),
}
each = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@pytest.fixture
def answers():
    """Labels of three classes of four, some void, and logits."""
    random = np.random.default_rng(0)
    labels = random.choice([0, 1, 3, 255], (2, 3, 4), p=[0.4, 0.3, 0.1, 0.2])
    labels[0, 0] = [0, 1, 3, 255]
    labels[1][labels[1] == 3] = 0
    return labels.astype("uint8"), random.normal(0, 2, (2, 3, 4, 4)).astype("float32")


def softmax(logits):
    powers = np.exp(logits.astype("float64") - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def focal(labels, logits, gamma, weights):
    p, losses = softmax(logits), np.zeros(labels.shape)
    for place in np.ndindex(labels.shape):
        c = labels[place]
        if c != 255:
            p_c = p[place][c]
            losses[place] = -weights[c] * (1 - p_c) ** gamma * np.log(p_c)
    return losses


def dice(labels, logits):
    values = []
    for truth, p in zip(labels, softmax(logits), strict=True):
        known = truth != 255
        of_classes = []
        for c in np.unique(truth[known]):
            t, p_c = truth[known] == c, p[known][:, c]
            of_classes.append(1 - 2 * p_c[t].sum() / (p_c.sum() + t.sum()))
        values.append(np.mean(of_classes) if of_classes else 0)
    return values


def jaccard_loss(truth, wrong):
    """Of the pixels of a class, and those that are taken wrongly; both are sets."""
    return 1 - len(truth - wrong) / len(truth | wrong) if truth | wrong else 0


def lovasz(labels, logits, classes="present"):
    """Berman et al., eq. 5 and 9: the worst errors first, each by what its pixel adds."""
    known = labels != 255
    labels, p = labels[known], softmax(logits)[known]
    of_classes = []
    for c in range(p.shape[-1]):
        truth = set(np.flatnonzero(labels == c))
        if classes == "all" or truth:
            errors = np.abs((labels == c) - p[:, c])
            loss, wrong = 0, set()
            for pixel in sorted(range(len(errors)), key=lambda i: -errors[i]):
                more = jaccard_loss(truth, wrong | {pixel}) - jaccard_loss(truth, wrong)
                loss, wrong = loss + errors[pixel] * more, wrong | {pixel}
            of_classes.append(loss)
    return np.mean(of_classes) if of_classes else 0


def gradient(loss, labels, logits):
    with tf.GradientTape() as tape:
        x = tf.constant(logits)
        tape.watch(x)
        value = tf.reduce_sum(loss.call(labels, x))
    return value.numpy(), tape.gradient(value, x).numpy()


def assert_is_gradient(found, oracle, logits, step=1e-5):
    logits = logits.astype("float64")
    for place in np.ndindex(logits.shape):
        change = np.zeros(logits.shape)
        change[place] = step
        high, low = (np.sum(oracle(logits + s * change)) for s in (1, -1))
        assert found[place] == pytest.approx((high - low) / (2 * step), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy(answers, weights):
    expected = focal(*answers, 0, weights or np.ones(4))
    np.testing.assert_allclose(CrossEntropy(weights).call(*answers), expected, rtol=1e-5)
    np.testing.assert_allclose(Focal(0, weights).call(*answers), expected, rtol=1e-5)


def test_cross_entropy_is_torchs(answers):
    torch = pytest.importorskip("torch")
    labels, logits = answers
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(logits).permute(0, 3, 1, 2),
        torch.tensor(labels.astype("int64")),
        **{"weight": torch.tensor(WEIGHTS), "ignore_index": 255, "reduction": "none"},
    )
    np.testing.assert_allclose(CrossEntropy(WEIGHTS).call(*answers), theirs, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2])
def test_focal_loss_and_its_gradient(answers, gamma):
    labels, logits = answers
    expected = focal(labels, logits, gamma, WEIGHTS)
    np.testing.assert_allclose(Focal(gamma, WEIGHTS).call(labels, logits), expected, rtol=1e-4)
    _, found = gradient(Focal(gamma, WEIGHTS), labels, logits)
    assert_is_gradient(found, lambda x: focal(labels, x, gamma, WEIGHTS), logits)


@pytest.mark.parametrize("loss", [CrossEntropy(), Focal(0), Focal(0.5), Focal(2)])
def test_what_is_sure_has_a_finite_gradient(loss):
    """Of a loss of 200 and one of 0."""
    labels, logits = np.array([[[0, 0]]]), np.float32([[[[-100, 100], [100, -100]]]])
    np.testing.assert_allclose(loss.call(labels, logits), [[[200, 0]]], atol=1e-5)
    _, found = gradient(loss, labels, logits)
    np.testing.assert_allclose(found, [[[[-1, 1], [0, 0]]]], atol=1e-5)


def test_dice_and_its_gradient(answers):
    labels, logits = answers
    np.testing.assert_allclose(Dice().call(labels, logits), dice(labels, logits), rtol=1e-5)
    _, found = gradient(Dice(), labels, logits)
    assert_is_gradient(found, lambda x: dice(labels, x), logits)


@pytest.mark.parametrize("classes", ["present", "all"])
@pytest.mark.parametrize("per_image", [False, True])
def test_lovasz_and_its_gradient(answers, classes, per_image):
    labels, logits = answers

    def oracle(logits):
        if per_image:
            pairs = zip(labels, logits, strict=True)
            return [lovasz(*pair, classes) for pair in pairs]
        return lovasz(labels, logits, classes)

    loss = LovaszSoftmax(classes, per_image)
    np.testing.assert_allclose(loss.call(labels, logits), oracle(logits), rtol=1e-5)
    _, found = gradient(loss, labels, logits)
    assert_is_gradient(found, oracle, logits)


def test_lovasz_of_equal_errors():
    """Their order does not matter."""
    labels = np.array([[[0, 1, 0, 2], [2, 2, 255, 1]]])
    for logits in (np.zeros((1, 2, 4, 3)), np.tile([1.0, 0, -1], (1, 2, 4, 1))):
        value, found = gradient(LovaszSoftmax(), labels, logits.astype("float32"))
        assert value == pytest.approx(lovasz(labels, logits), rel=1e-5)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("classes", ["present", "all"])
def test_lovasz_of_what_is_sure_is_the_jaccard_loss(answers, classes):
    labels, _ = answers
    found = np.random.default_rng(1).choice([0, 1, 2], labels.shape)
    logits = np.where(np.eye(4)[found] > 0, 50, -50).astype("float32")
    known = labels != 255
    counted = np.unique(labels[known]) if classes == "present" else range(4)
    iou = jaccard_score(
        labels[known], found[known], labels=counted, average="macro", zero_division=1
    )
    loss = float(LovaszSoftmax(classes).call(labels, logits))
    assert loss == pytest.approx(1 - iou, abs=1e-6)


def test_of_other_classes_lovasz_knows_nothing():
    with pytest.raises(ValueError, match='classes must be "present" or "all"'):
        LovaszSoftmax("some")


@each
def test_void_changes_nothing(answers, loss):
    """What is predicted there, and how much of it there is."""
    labels, logits = (np.pad(x, [(0, 0), (2, 1)] + [(0, 0)] * (x.ndim - 2)) for x in answers)
    labels[:, [0, 1, -1]] = 255
    expected, of_less = gradient(loss, *answers)
    for sure in (0, 100):
        logits[labels == 255] = np.eye(4)[2] * sure
        value, found = gradient(loss, labels, logits)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        np.testing.assert_allclose(found[:, 2:-1], of_less, atol=1e-6)
        assert (found[labels == 255] == 0).all()


@each
def test_all_void_costs_nothing(answers, loss):
    _, logits = answers
    value, found = gradient(loss, np.full((2, 3, 4), 255), logits)
    assert value == 0
    assert (found == 0).all()


@each
def test_labels_of_any_type(answers, loss):
    labels, logits = answers
    expected = loss.call(labels, logits)
    for dtype in ("int32", "int64", "float32"):
        np.testing.assert_array_equal(loss.call(tf.cast(labels, dtype), logits), expected)


@each
def test_of_bfloat16_in_float32(answers, loss):
    labels, logits = answers
    rounded = tf.cast(logits, "bfloat16")
    found = loss.call(labels, rounded)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, loss.call(labels, tf.cast(rounded, "float32")))


@each
def test_compiled_by_xla_for_any_size(answers, loss):
    labels, logits = answers
    any_size = [tf.TensorSpec((None, None, None), "uint8"), tf.TensorSpec((None,) * 3 + (4,))]
    expected = loss.call(labels, logits)
    run = tf.function(loss.call, input_signature=any_size)
    np.testing.assert_allclose(run(labels, logits), expected, rtol=1e-5)
    run = tf.function(loss.call, jit_compile=True)
    np.testing.assert_allclose(run(labels, logits), expected, rtol=1e-5)


@each
@pytest.mark.parametrize("number", [4, 7, -1])
def test_what_is_no_class_is_void(answers, loss, number):
    labels, logits = answers
    strange = np.where(labels == 255, number, labels.astype("int32"))
    np.testing.assert_array_equal(loss.call(strange, logits), loss.call(labels, logits))


@each
def test_labels_with_a_channel_are_the_same(answers, loss):
    labels, logits = answers
    square = labels[:1, :3, :3], logits[:1, :3, :3]  # which would fit, were it not the same
    for truth, given in (answers, square):
        np.testing.assert_array_equal(loss.call(truth[..., None], given), loss.call(truth, given))
    for truth in (labels[0], labels[:, :2], np.stack([labels] * 2, -1)):
        with pytest.raises(ValueError, match=r"expected labels \(2, 3, 4\) of logits"):
            loss(truth, logits)


@pytest.mark.parametrize("loss", [CrossEntropy([1.0, 2, 3]), Focal(2.0, [*WEIGHTS, 1.0])])
def test_weights_of_other_classes(answers, loss):
    with pytest.raises(ValueError, match=r"expected weights of 4 classes, got [35]"):
        loss(*answers)


def test_weights_of_examples_are_for_losses_of_examples(answers):
    with pytest.raises(ValueError, match="sample_weight with per_image=True only"):
        LovaszSoftmax()(*answers, sample_weight=[1.0, 0.0])
    first = LovaszSoftmax(per_image=True)(*answers, sample_weight=[2.0, 0.0])
    alone = LovaszSoftmax(per_image=True)(*(x[:1] for x in answers))
    assert float(first) == pytest.approx(float(alone), rel=1e-6)


@pytest.mark.slow
def test_pictures_of_more_pixels_than_float32_counts():
    """The same rows again and again: of the whole it is what it is of a part."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (1, 4, 4096))
    logits = random.normal(0, 1, (1, 4, 4096, 2)).astype("float32")
    part = labels, logits
    whole = np.tile(labels, (1, 1200, 1)), np.tile(logits, (1, 1200, 1, 1))
    assert whole[0].size > 2**24
    for loss in (Dice(), LovaszSoftmax()):
        assert float(loss(*whole)) == pytest.approx(float(loss(*part)), rel=1e-3)


@each
def test_saved_and_loaded(answers, loss, tmp_path):
    labels, logits = answers
    inputs = keras.Input((None, None, 4))
    model = keras.Model(inputs, layers.Conv2D(4, 1)(inputs))
    model.compile("sgd", loss)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == loss.get_config()
    values = [m.compute_loss(y=labels, y_pred=m(logits)) for m in (model, again)]
    assert values[0] == values[1] != 0


@pytest.mark.slow
def test_two_replicas_train_as_one(two_replicas, tmp_path):
    """The areas of a batch are those of all replicas."""
    random = np.random.default_rng(2)
    maps = random.normal(size=(4, 3, 5, 2)).astype("float32")
    labels = random.choice([0, 1, 2, 3, 255], (4, 3, 5)).astype("uint8")
    labels[:2][labels[:2] == 3] = 0  # one replica sees no 3
    data = tf.data.Dataset.from_tensors((maps, dict.fromkeys(LOSSES, labels))).repeat()

    def network():
        inputs = keras.Input((3, 5, 2))
        outputs = {name: layers.Conv2D(4, 1, name=name)(inputs) for name in LOSSES}
        model = keras.Model(inputs, outputs)
        losses = {name: loss.from_config(loss.get_config()) for name, loss in LOSSES.items()}
        model.compile(keras.optimizers.SGD(0.5), losses)
        return model

    weights = []
    for name, strategy in (("one", None), ("two", two_replicas)):
        config = TrainConfig(
            network, lambda first_step, seed: data, 2, max_epoch=1, log_dir=tmp_path / name
        )
        model = launch(config, strategy)
        weights.append({name: model.get_layer(name).kernel.numpy() for name in LOSSES})
    for name in LOSSES:
        one, two = (of[name] for of in weights)
        np.testing.assert_allclose(two, one, atol=1e-5, err_msg=name)
