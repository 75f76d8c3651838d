"""What a verb wants to know of a network, kept in the network."""

import keras
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


def short_side(model):
    """What the model's `SeenAt` says; None where it has none."""
    return next((layer.short for layer in model.layers if isinstance(layer, SeenAt)), None)
