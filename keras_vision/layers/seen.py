"""What a verb wants to know of a network, kept in the network."""

import keras
import numpy as np
from keras import layers


@keras.saving.register_keras_serializable("keras_vision")
class SeenAt(layers.Layer):
    """Passes photos (B, H, W, C) through, and says at what size this network wants to see them.

    short: their short side in pixels; None is their own size, whatever it is.
    """

    pointwise = True  # for `arithmetic`: a cell sees no other place

    def __init__(self, short=None, **settings):
        super().__init__(**settings)
        self.short = short

    def call(self, photos):
        return photos

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "short": self.short}


def short_side(model, asked=None):
    """The short side asked for, in pixels; else what the model's `SeenAt` says; None where it has
    none. ValueError for what is no whole number above 0.
    """
    if asked is None:
        return next((layer.short for layer in model.layers if isinstance(layer, SeenAt)), None)
    if not isinstance(asked, (int, np.integer)) or asked < 1:
        raise ValueError(f"short must be a whole number of pixels, 1 or more, not {asked}")
    return asked
