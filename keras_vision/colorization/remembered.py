"""What `colorize` wants to know of a network is among its weights, and so in each file of them."""

import keras
from keras import ops

# The authors': their results are of 256x256 pixels, annealed at the temperature of section 2.3.
SIZE, TEMPERATURE = 256, 0.38


@keras.saving.register_keras_serializable("keras_vision")
class Remembered(keras.layers.Layer):
    """Passes photos (B, H, W, C) through, and holds two weights that no gradient changes.

    size: of the photos that the network has learned from, the root of H x W, noted in training.
    temperature: of the annealed mean, which serves this network best.
    """

    pointwise = True  # for `arithmetic`: a cell sees no other place

    def build(self, input_shape):
        self.size = self.noted("size", SIZE)
        self.temperature = self.noted("temperature", TEMPERATURE)

    def noted(self, name, value):
        return self.add_weight(
            name=name,
            shape=(),
            initializer=keras.initializers.Constant(value),
            trainable=False,
            dtype="float32",
            # Replicas see parts of one batch, whose photos have one size.
            aggregation="only_first_replica",
        )

    def call(self, photos, training=False):
        if training:
            height, width = ops.shape(photos)[1:3]
            self.size.assign(ops.sqrt(ops.cast(height, "float32") * width))
        return photos


def remembered(model):
    """(size, temperature) of a model; the authors' where it has none of its own."""
    for layer in model.layers:
        if isinstance(layer, Remembered):
            return float(layer.size), round(float(layer.temperature), 6)
    return SIZE, TEMPERATURE
