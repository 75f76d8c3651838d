import keras
import numpy as np
import pytest

from keras_vision.layers.seen import SeenAt, short_side


def network(*layers):
    inputs = keras.Input((None, None, 3))
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("short", [None, 520])
def test_passes_photos_and_says_their_size(short, tmp_path):
    model = network(SeenAt(short), keras.layers.Conv2D(2, 1))
    photos = np.random.default_rng(0).uniform(0, 255, (2, 5, 7, 3)).astype("float32")
    np.testing.assert_array_equal(SeenAt(short)(photos), photos)
    assert SeenAt(short)(keras.Input((5, None, 3))).shape == (None, 5, None, 3)
    assert short_side(model) == short
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert short_side(again) == short
    np.testing.assert_array_equal(again(photos), model(photos))


def test_a_network_without_it_says_nothing():
    assert short_side(network(keras.layers.Conv2D(2, 1))) is None


def test_the_first_counts():
    assert short_side(network(SeenAt(7), SeenAt(9))) == 7
