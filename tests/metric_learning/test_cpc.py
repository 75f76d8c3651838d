from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.metric_learning import cpc
from keras_vision.metric_learning.cpc import GAP, Predictive, info_nce

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)  # with some others all of a layer's ReLUs stay shut
    return cpc.build(filters=8, dim=6)


def photos(height, width, count=1):
    return tf.constant(RNG.uniform(0, 255, (count, height, width, 3)), tf.float32)


# 1. The network


@pytest.mark.parametrize("size", [(16, 16), (17, 24), (31, 32), (64, 64), (65, 90)])
def test_the_grid(model, size):
    rows, columns = ((side - 8) // 8 for side in size)
    found = model(photos(*size, 2))
    assert found.shape == (2, rows, columns, 4, 6)
    assert found.dtype == tf.float32
    patches = cpc.encoder(8, 6)
    assert patches(photos(*size)).shape == (1, rows, columns, 6)


def seen_by(function, inputs):
    """Which places of (B, H, W, C) a number depends on in any of B, bool (H, W)."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(inputs)
    return tf.reduce_any(tape.gradient(value, inputs) != 0, axis=(0, 3)).numpy()


def squares(model, row, column, steps, training=False):
    return lambda images: tf.reduce_sum(
        model(images, training=training)[:, row, column, steps] ** 2
    )


def block(shape, rows, columns):
    inside = np.zeros(shape, bool)
    inside[slice(*rows), slice(*columns)] = True
    return inside


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (3, 3)])
def test_a_cell_sees_16_pixels(model, row, column):
    seen = seen_by(squares(model, row, column, 0), photos(40, 40, 8))
    rows, columns = ((8 * place, 8 * place + 16) for place in (row, column))
    np.testing.assert_array_equal(seen, block((40, 40), rows, columns))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("row", [0, 1, 3, 5])
def test_a_prediction_sees_nothing_below_its_row(model, row, training):
    """But what is above, as far as three masked layers reach; and nothing of what it foretells."""
    images = photos(72, 80, 8)
    seen = seen_by(squares(model, row, 3, slice(1, None), training), images)
    rows = (max(8 * (row - 3), 0), 8 * row + 16)
    np.testing.assert_array_equal(seen, block((72, 80), rows, (0, 8 * 6 + 16)))
    foretold = seen_by(squares(model, row + GAP, slice(None), 0, training), images)
    assert not (seen & foretold).any()
    assert (seen | foretold)[8 * row + 15 : 8 * row + 17].any(1).all()  # which begins right below


def test_context_of_cells():
    """Three layers at row i and column j depend on rows i - 3 .. i and columns j - 3 .. j + 3."""
    inputs = keras.Input((None, None, 6))
    x = inputs
    for _ in range(3):
        x = keras.layers.Add()([x, cpc.above(x, 6)])
    context = keras.Model(inputs, x)
    z = tf.constant(RNG.normal(size=(8, 9, 11, 6)), tf.float32)
    seen = seen_by(lambda z: tf.reduce_sum(context(z)[:, 5, 5] ** 2), z)
    np.testing.assert_array_equal(seen, block((9, 11), (2, 6), (2, 9)))


def test_saved_and_loaded(model, tmp_path):
    model.compile("sgd", Predictive())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = photos(48, 64, 2)
    np.testing.assert_array_equal(again(images), model(images))
    assert again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(images, np.zeros(2), verbose=0) == model.evaluate(
        images, np.zeros(2), verbose=0
    )


def test_mixed_precision(model):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = cpc.build(filters=8, dim=6)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    images = photos(48, 48, 2)
    assert mixed(images).dtype == tf.float32
    # Three digits, of which cells that hardly differ lose some as they are normalised.
    assert np.mean(np.abs(mixed(images) - model(images))) < 0.05
    np.testing.assert_allclose(mixed(images), model(images), atol=0.4)


# 2. The loss


def test_info_nce_equals_the_loop():
    queries, keys = RNG.normal(size=(2, 9, 5)).astype("float32")
    expected = []
    for i, query in enumerate(queries):
        likely = [np.exp(query @ key) for key in keys]
        expected.append(-np.log(likely[i] / sum(likely)))
    np.testing.assert_allclose(info_nce(queries, keys), expected, rtol=1e-5, atol=1e-6)


def test_info_nce_of_large_numbers_and_of_nothing_known():
    keys = 100 * np.eye(4, dtype="float32")
    np.testing.assert_allclose(info_nce(keys, keys), 0, atol=1e-6)
    np.testing.assert_allclose(info_nce(keys, keys[[1, 0, 3, 2]]), 1e4, rtol=1e-5)
    np.testing.assert_allclose(info_nce(0 * keys, keys), np.log(4), rtol=1e-6)


def bound(correlation, dimension, count, trials=20):
    """log N - loss of the best critic, log p(y | x) / p(y), of Gaussians.

    It is a sum of products of x^2, x y and y^2, so of what queries and keys can hold.
    """
    random = np.random.default_rng(1)
    square = 1 - correlation**2
    found = []
    for _ in range(trials):
        x, noise = random.normal(size=(2, count, dimension))
        y = correlation * x + np.sqrt(square) * noise
        ones = np.ones((count, 1))
        # -(y - r x)^2 / 2 (1 - r^2) + y^2 / 2; the constant cancels.
        queries = [correlation / square * x, ones, ones * (x**2).sum(1, keepdims=True)]
        keys = [
            y,
            (y**2).sum(1, keepdims=True) * (0.5 - 0.5 / square),
            ones * -(correlation**2) / (2 * square),
        ]
        both = (np.concatenate(x, axis=1).astype("float32") for x in (queries, keys))
        found.append(np.log(count) - np.mean(info_nce(*both)))
    return np.mean(found)


def information(correlation, dimension):
    return -dimension / 2 * np.log(1 - correlation**2)


@pytest.mark.parametrize(("correlation", "dimension"), [(0.5, 2), (0.8, 1), (0.6, 4), (0.0, 3)])
def test_log_n_minus_the_loss_is_the_mutual_information_of_many(correlation, dimension):
    known = information(correlation, dimension)
    assert np.exp(known) < 10
    found = bound(correlation, dimension, 1000)
    assert found < known + 0.02
    assert found == pytest.approx(known, abs=0.05)


def test_it_is_at_most_the_mutual_information_and_at_most_log_n():
    known = information(0.95, 8)  # 9.3 nats
    for count in (4, 16, 64):
        found = bound(0.95, 8, count)
        assert 0.9 * np.log(count) < found <= np.log(count) < known
    known = information(0.9, 2)
    found = [bound(0.9, 2, count, 200) for count in (2, 8, 32, 512)]
    assert found == sorted(found)  # the more candidates, the nearer
    assert found[-1] < known + 0.02


def predictive(cells):
    """A loop over steps, cells, and candidates."""
    pictures, rows, columns, more, _ = cells.shape
    z, steps = cells[:, :, :, 0], []
    for step in range(1, more):
        down, costs = GAP + step - 1, []
        places = list(product(range(pictures), range(rows), range(columns)))
        candidates = [z[place] for place in places if place[1] >= down]
        for b, i, j in places:
            if i + down < rows:
                query = cells[b, i, j, step]
                likely = sum(np.exp(query @ key) for key in candidates)
                costs.append(-np.log(np.exp(query @ z[b, i + down, j]) / likely))
        steps.append(np.mean(costs))
    return np.mean(steps)


@pytest.mark.parametrize("shape", [(2, 5, 3, 4, 6), (1, 7, 2, 2, 3), (3, 4, 1, 3, 2)])
def test_predictive_equals_the_loop(shape):
    cells = RNG.normal(size=shape).astype("float32")
    np.testing.assert_allclose(Predictive()(np.zeros(len(cells)), cells), predictive(cells), 1e-5)


def test_what_is_true_is_not_looked_at():
    cells = RNG.normal(size=(2, 5, 3, 4, 6)).astype("float32")
    assert Predictive()(np.zeros(2), cells) == Predictive()(np.arange(2), cells)


def test_no_step():
    with pytest.raises(ValueError, match="steps must be 1 or more, not 0"):
        cpc.build(steps=0)


def test_pictures_that_are_too_low(model):
    expected = r"3 steps look 4 rows down, and the pictures have 4: use pictures of 48 or more pix"
    model.compile("sgd", Predictive())
    for images in (photos(47, 64), photos(16, 64)):
        with pytest.raises(ValueError, match="3 steps look 4 rows down"):
            Predictive()(np.zeros(1), model(images))
    with pytest.raises(ValueError, match=expected):
        model.train_on_batch(photos(47, 64), np.zeros(1))
    assert np.isfinite(model.train_on_batch(photos(48, 16, 3), np.zeros(3)))
    with pytest.raises(ValueError, match="Negative dimension"):
        model.predict(photos(64, 15), verbose=0)


# 3. What it learns


def stripes(count=8):
    """Pictures whose columns go on downwards, each of a colour of its own."""
    colours = np.random.default_rng(2).uniform(0, 255, (count, 1, 9, 3))
    return np.repeat(np.repeat(colours, 8, axis=2), 64, axis=1)[:, :, :64].astype("float32")


@pytest.mark.slow
def test_what_comes_below_is_foretold():
    """Of 8 pictures, whose rows are all alike."""
    keras.utils.set_random_seed(0)
    model, images = cpc.build(filters=16, dim=16), stripes()
    model.compile(keras.optimizers.Adam(3e-3), Predictive(), jit_compile=False)
    start = float(model.train_on_batch(images, np.zeros(8)))
    for _ in range(200):
        found = float(model.train_on_batch(images, np.zeros(8)))
    candidates = np.mean([np.log(8 * (7 - rows) * 7) for rows in (2, 3, 4)])
    assert start > candidates - 0.5
    # A column's cells are equal, so that no more than the column can be told.
    least = np.mean([np.log(7 - rows) for rows in (2, 3, 4)])
    assert least - 0.01 < found < least + 0.2
