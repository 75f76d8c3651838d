import keras
import numpy as np
import pytest
from keras import layers

from keras_vision.layers import SeenAt

COLOURS = np.array([[230, 40, 40], [40, 230, 40], [40, 40, 230]], "float32")


def nearest_colour(short=None):
    """A segmenter whose classes are three colours: -|x - c|^2, but for what all have in common."""
    inputs = keras.Input((None, None, 3))
    logits = layers.Conv2D(3, 1, name="logits")
    model = keras.Model(inputs, logits(SeenAt(short)(inputs)), name="nearest_colour")
    logits.set_weights([2 * COLOURS.T[None, None] / 1000, -(COLOURS**2).sum(1) / 1000])
    return model


@pytest.fixture
def colours():
    return COLOURS


@pytest.fixture(name="nearest_colour")
def nearest_colour_of():
    return nearest_colour


@pytest.fixture
def flag():
    """A photo (60, 90, 3) of three stripes, and its labels."""
    labels = np.repeat([[0, 1, 2]], 60, 0).repeat(30, 1)
    return COLOURS[labels].astype("uint8"), labels
