import keras
import numpy as np
import pytest

from keras_vision.layers import AdaptivePooling

RNG = np.random.default_rng(0)


def loop(maps, size):
    """PyTorch's: cell i is the mean of the places floor(i n / s) to ceil((i + 1) n / s)."""
    _, height, width, channels = maps.shape
    out = np.zeros((len(maps), size, size, channels))
    for i in range(size):
        for j in range(size):
            rows = slice(i * height // size, -(-(i + 1) * height // size))
            columns = slice(j * width // size, -(-(j + 1) * width // size))
            out[:, i, j] = maps[:, rows, columns].mean((1, 2))
    return out


@pytest.mark.parametrize("shape", [(7, 7), (14, 13), (1, 1), (3, 20), (9, 7)])
@pytest.mark.parametrize("size", [1, 6, 7])
def test_equals_the_loop(shape, size):
    maps = RNG.normal(size=(2, *shape, 3)).astype("float32")
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, AdaptivePooling(size)(inputs))
    assert model.output_shape == (None, size, size, 3)
    for found in (model(maps), model.predict_on_batch(maps)):
        np.testing.assert_allclose(found, loop(maps, size), atol=1e-5)


def test_saved_and_in_mixed_precision(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, AdaptivePooling(2, dtype="mixed_bfloat16")(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    maps = RNG.normal(size=(1, 5, 4, 3)).astype("float32")
    found = keras.ops.cast(again(maps), "float32")
    np.testing.assert_allclose(found, loop(maps, 2), atol=0.02)
