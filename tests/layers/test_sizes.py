"""NumPy's slices and `np.pad`, and a loop of the bilinear formula, are the oracles."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.layers.sizes import CroppedLike, PaddedToMultiple, ResizedLike

ANY = tf.TensorSpec((None, None, None, 2))


def maps(height, width):
    random = np.random.default_rng(height * width)
    return random.normal(size=(3, height, width, 2)).astype("float32")


def each_way(layer, inputs):
    """Of the layer by itself, and inside a tf.function that knows no sizes."""
    signature = [ANY] * len(inputs) if isinstance(inputs, list) else ANY
    compiled = tf.function(layer, input_signature=[signature])
    return layer(inputs).numpy(), compiled(inputs).numpy()


@pytest.mark.parametrize(
    ("multiple", "least", "sides", "larger"),
    [
        (4, 1, (5, 8), (8, 8)),
        (4, 1, (1, 13), (4, 16)),
        (1, 1, (5, 7), (5, 7)),
        (4, 10, (5, 7), (12, 12)),
        (4, 10, (11, 17), (12, 20)),
        (32, 1, (3, 33), (32, 64)),
    ],
)
def test_padded_by_the_last_row_and_column(multiple, least, sides, larger):
    x = maps(*sides)
    more = [(0, b - a) for a, b in zip(sides, larger, strict=True)]
    expected = np.pad(x, [(0, 0), *more, (0, 0)], mode="edge")
    layer = PaddedToMultiple(multiple, least)
    for found in each_way(layer, x):
        np.testing.assert_array_equal(found, expected)
    assert layer(keras.Input((*sides, 2))).shape == (None, *larger, 2)
    assert layer(keras.Input((None, sides[1], 2))).shape == (None, None, larger[1], 2)


@pytest.mark.parametrize("sides", [(4, 6), (5, 5), (8, 9), (7, 8)])
def test_cropped(sides):
    x, like = maps(8, 9), maps(*sides)
    top, left = (a // 2 for a in (8 - sides[0], 9 - sides[1]))
    for middle, (y0, x0) in ((False, (0, 0)), (True, (top, left))):
        layer = CroppedLike(middle)
        for found in each_way(layer, [x, like]):
            np.testing.assert_array_equal(found, x[:, y0 : y0 + sides[0], x0 : x0 + sides[1]])
        shape = layer([keras.Input((None, None, 5)), keras.Input((*sides, 2))]).shape
        assert shape == (None, *sides, 5)


def test_an_odd_row_too_many_goes_below():
    x = np.arange(4.0).reshape(1, 4, 1, 1)
    found = CroppedLike(middle=True)([x, np.zeros((1, 1, 1, 1))])
    assert found.numpy().ravel().tolist() == [1]


def bilinear(x, height, width):
    """Centers of pixels lie at halves; beyond the last of them nothing changes."""
    _, rows, columns, _ = x.shape
    result = np.zeros((len(x), height, width, x.shape[-1]))
    for i, j in np.ndindex(height, width):
        y = np.clip((i + 0.5) * rows / height - 0.5, 0, rows - 1)
        z = np.clip((j + 0.5) * columns / width - 0.5, 0, columns - 1)
        for row, column in np.ndindex(rows, columns):
            near = max(0, 1 - abs(y - row)) * max(0, 1 - abs(z - column))
            result[:, i, j] += near * x[:, row, column]
    return result


@pytest.mark.parametrize("sides", [(8, 12), (7, 5), (4, 6), (3, 2)])
def test_resized(sides):
    x, like = maps(4, 6), maps(*sides)
    for found in each_way(ResizedLike(), [x, like]):
        np.testing.assert_allclose(found, bilinear(x, *sides), atol=1e-5)
    shape = ResizedLike()([keras.Input((4, 6, 5)), keras.Input((*sides, 2))]).shape
    assert shape == (None, *sides, 5)


def test_resized_to_one_size_after_another():
    """From the second on, Keras compiles for sizes that it does not know."""
    inputs = keras.Input((None, None, 2))
    small = keras.layers.MaxPooling2D()(inputs)
    model = keras.Model(inputs, ResizedLike()([small, inputs]))
    for sides in ((4, 6), (5, 7), (7, 9), (9, 8)):
        assert model.predict_on_batch(maps(*sides)).shape == (3, *sides, 2)


def test_resized_in_float32_where_the_rest_is_not():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = ResizedLike()
    finally:
        keras.config.set_dtype_policy("float32")
    x, like = maps(4, 6), maps(7, 9)
    found = layer([tf.cast(x, "bfloat16"), tf.cast(like, "bfloat16")])
    assert found.dtype == tf.float32
    rounded = tf.cast(tf.cast(x, "bfloat16"), "float32").numpy()
    np.testing.assert_allclose(found, bilinear(rounded, 7, 9), atol=1e-5)


def test_saved_and_loaded(tmp_path):
    x = keras.Input((None, None, 2))
    padded = PaddedToMultiple(4, 10)(x)
    outputs = [padded, CroppedLike(middle=True)([padded, x]), ResizedLike()([x, padded])]
    model = keras.Model(x, outputs)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [y.shape for y in again.predict_on_batch(maps(5, 7))[:2]] == [
        (3, 12, 12, 2),
        (3, 5, 7, 2),
    ]
    for a, b in zip(again(maps(5, 7)), model(maps(5, 7)), strict=True):
        np.testing.assert_array_equal(a, b)
