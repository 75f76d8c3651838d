"""SimCLR and SimSiam: two views of a picture are brought together."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.classification import resnet
from keras_vision.metric_learning import NTXent, embed, embedder, simclr, simsiam, views
from keras_vision.metric_learning.simsiam import Invariance
from keras_vision.pipeline import BatchData
from keras_vision.rows import Rows
from keras_vision.training import TrainConfig, launch

RNG = np.random.default_rng(0)
IDS = np.array([3, 7, 3, 7, 7, 1])  # of which 1 is alone
PHOTOS = RNG.uniform(0, 255, (2, 19, 32, 3)).astype("float32")
BUILDS = {
    "simclr": simclr.build,
    "simsiam": simsiam.build,
    "no predictor": partial(simsiam.build, predictor=False),
}
every = pytest.mark.parametrize("name", BUILDS)


def backbone():
    return resnet.backbone(18, width=1 / 16, small=True)


@pytest.fixture(scope="module")
def models():
    return {name: build(backbone(), dim=16) for name, build in BUILDS.items()}


def small_backbone(filters=16):
    """Three convolutions, which learn in seconds."""
    x = image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    for _ in range(3):
        x = keras.layers.Conv2D(filters, 3, 2, "same")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(image, {"c5": x})


# 1. The networks


@every
def test_shapes_at_any_size(models, name):
    for side in (16, 33):
        photos = RNG.uniform(0, 255, (3, side, 24, 3)).astype("float32")
        found = models[name].predict(photos, verbose=0)
        assert found.shape == ((3, 16) if name == "simclr" else (3, 2, 16))
        assert found.dtype == np.float32
        if name == "simclr":
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
        else:
            same = np.array_equal(found[:, 0], found[:, 1])
            assert same == (name == "no predictor")


def dense(model):
    return {
        layer.name: layer.kernel.shape
        for layer in model.layers
        if isinstance(layer, keras.layers.Dense)
    }


def test_heads_have_two_layers(models):
    assert dense(models["simclr"]) == {"projection.0": (32, 32), "projection.2": (32, 16)}
    wide = simclr.build(backbone(), dim=5, hidden=12)
    assert dense(wide) == {"projection.0": (32, 12), "projection.2": (12, 5)}
    projection = {"projection.0": (32, 32), "projection.2": (32, 16)}
    assert dense(models["no predictor"]) == projection
    predictor = {"predictor.0": (16, 4), "predictor.2": (4, 16)}
    assert dense(models["simsiam"]) == projection | predictor


def test_the_head_by_hand(models):
    """Means, a layer, BatchNorm, ReLU, a layer."""
    model = models["simclr"]
    pooled = keras.Model(model.input, model.get_layer("pooled").output)
    x = np.asarray(pooled(PHOTOS)) @ np.asarray(model.get_layer("projection.0").kernel)
    norm = model.get_layer("projection.1")
    x = (x - norm.moving_mean) / np.sqrt(norm.moving_variance + 1e-5) * norm.gamma + norm.beta
    kernel, bias = model.get_layer("projection.2").get_weights()
    x = np.maximum(x, 0) @ kernel + bias
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(model(PHOTOS), x, atol=1e-5)


@every
def test_saved_and_loaded(models, name, tmp_path):
    model = models[name]
    model.compile("sgd", NTXent(0.2) if name == "simclr" else Invariance(stop_gradient=False))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(PHOTOS), model(PHOTOS))
    assert again.loss.get_config() == model.loss.get_config()


@every
def test_mixed_precision(models, name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = BUILDS[name](backbone(), dim=16)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(models[name].get_weights())
    found = mixed(PHOTOS)
    assert found.dtype == tf.float32
    close = np.sum(keras.ops.normalize(found) * keras.ops.normalize(models[name](PHOTOS)), -1)
    assert close.min() > 0.99
    # bfloat16 would have 8 bits of each number.
    assert not np.array_equal(found, tf.cast(tf.cast(found, tf.bfloat16), tf.float32))


def test_what_is_learned_stays_when_the_head_goes():
    below = backbone()
    model, vectors = simclr.build(below, dim=8), embedder.build(below, dim=None)
    before = embed(vectors, PHOTOS)
    model.compile(keras.optimizers.SGD(0.1), NTXent())
    model.train_on_batch(np.concatenate([PHOTOS, PHOTOS[:, :, ::-1]]), np.tile([0, 1], 2))
    assert np.abs(embed(vectors, PHOTOS) - before).max() > 1e-3


# 2. The loss of SimSiam


def of_loop(ids, both):
    """-cos(p_i, z_j) of pairs with the same id."""
    costs = []
    for i in range(len(ids)):
        for j in range(len(ids)):
            if i != j and ids[i] == ids[j]:
                p, z = both[i, 0], both[j, 1]
                costs.append(-tf.tensordot(p, z, 1) / (tf.norm(p) * tf.norm(z)))
    return sum(costs) / len(costs)


def value_and_gradient(loss, ids, both):
    both = tf.convert_to_tensor(both)
    with tf.GradientTape() as tape:
        tape.watch(both)
        value = loss(ids, both)
    return value, tape.gradient(value, both, unconnected_gradients="zero").numpy()


@pytest.mark.parametrize("still", [True, False])
def test_invariance_equals_the_loop(still):
    both = RNG.normal(size=(6, 2, 4)).astype("float32")
    value, gradient = value_and_gradient(Invariance(still), IDS, both)
    expected, expected_gradient = value_and_gradient(of_loop, IDS, both)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient[:, 0], expected_gradient[:, 0], atol=1e-6)
    assert np.abs(expected_gradient[:5, 1]).max() > 0.01
    expected_gradient[:, 1] *= not still  # what is predicted stands still
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)
    assert not gradient[5].any()  # it is alone


def test_invariance_of_equal_and_of_opposite_vectors():
    z = RNG.normal(size=(2, 1, 4)).astype("float32")
    both = np.concatenate([z, 3 * z], axis=1)
    assert float(Invariance()(np.zeros(2, int), both[[0, 0]])) == pytest.approx(-1)
    both[1] = -both[0]
    assert float(Invariance()(np.zeros(2, int), both)) == pytest.approx(1)
    value, gradient = value_and_gradient(Invariance(), np.arange(2), both)
    assert value == 0
    assert not gradient.any()
    value, gradient = value_and_gradient(Invariance(), np.zeros(2, int), 0 * both)
    assert value == 0
    assert np.isfinite(gradient).all()


def test_two_replicas_train_as_one(two_replicas, tmp_path):
    """A picture's two views lie on different ones."""
    x = RNG.normal(size=(16, 6)).astype("float32")
    data = tf.data.Dataset.from_tensors((x, np.tile(np.arange(8), 2))).repeat()

    def model():
        inputs = keras.Input((6,))
        outputs = keras.layers.Reshape((2, 5))(keras.layers.Dense(10)(inputs))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.5), Invariance())
        return model

    trained = []
    for folder, strategy in (("one", None), ("two", two_replicas)):
        config = TrainConfig(model, lambda *_: data, 3, max_epoch=1, log_dir=tmp_path / folder)
        trained.append(launch(config, strategy).get_weights())
    for one, two in zip(*trained, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)
    start = model().get_weights()
    assert any(np.abs(a - b).max() > 1e-2 for a, b in zip(trained[0], start, strict=True))


# 3. What they learn


def pictures(count=8):
    """Two colours in stripes, each in its own way."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:24, :24]
    found = []
    for _ in range(count):
        angle, wave = random.uniform(0, np.pi), random.uniform(3, 9)
        stripe = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wave) > 0
        colours = random.uniform(0, 255, (2, 3))
        found.append(colours[stripe.astype(int)])
    return np.array(found).astype("uint8")


def flow(count=8):
    view = views.in_turn(views.crop, views.flip, views.jitter(0.3))
    rows = Rows({"image": pictures(count), "label": np.zeros(count, "int32")})
    return BatchData(rows, count, mix=partial(views.two, view=view))


def fitted(model, optimizer, loss, steps, count=8):
    """The model, and what the loss was in its last step."""
    model.compile(optimizer, loss, jit_compile=False)
    for images, ids in flow(count)().take(steps):
        cost = model.train_on_batch(images, ids)
    return model, float(cost)


@pytest.mark.slow
def test_views_of_a_picture_come_nearer_than_others():
    model = simclr.build(small_backbone(), dim=16)
    ((images, ids),) = flow()(seed=1).take(1)  # views that it will not be trained on

    def found():
        """The share of views whose nearest is the other one of their picture."""
        z = model.predict(images, verbose=0)
        nearest = (z @ z.T - 9 * np.eye(len(z))).argmax(1)
        return np.mean(np.take(ids, nearest) == ids)

    assert found() < 0.6
    fitted(model, keras.optimizers.Adam(3e-3), NTXent(0.2), 100)
    assert found() > 0.8


def spread(model, images):
    """How far vectors are from their mean, 1 at the most; BatchNorm by the pictures themselves."""
    z = np.array(model(images, training=True))[:, 1]
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return np.linalg.norm(z - z.mean(0), axis=1).mean()


@pytest.mark.parametrize("held", [True, False])
def test_without_predictor_and_stop_gradient_all_become_equal(held):
    """The loss is met either way; only held back, vectors still tell pictures apart."""
    images = RNG.uniform(0, 255, (64, 24, 24, 3)).astype("float32")
    model = simsiam.build(small_backbone(), dim=16, predictor=held)
    before = spread(model, images)
    _, cost = fitted(model, keras.optimizers.SGD(0.1, 0.9), Invariance(held), 50, count=64)
    after = spread(model, images)
    if held:
        assert cost < -0.3
        assert after > 0.9 * before
    else:
        assert cost < -0.98
        assert after < 0.4 * before
