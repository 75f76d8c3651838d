"""What size of photos a colouriser wants is what it has learned from, and it remembers that."""

import keras
from keras import ops

PAPERS = 256  # the authors' results are of photos of 256x256


@keras.saving.register_keras_serializable("keras_vision")
class SeenSize(keras.layers.Layer):
    """Passes photos (B, H, W, C) through, and in training notes their size, the root of H x W.

    The note is a weight, though not a trained one, so that every file of weights has it.
    """

    def build(self, input_shape):
        # As BatchNorm's statistics: replicas see parts of one batch, whose photos have one size.
        self.size = self.add_weight(
            name="size",
            shape=(),
            initializer=keras.initializers.Constant(PAPERS),
            trainable=False,
            dtype="float32",
            aggregation="only_first_replica",
        )

    def call(self, photos, training=False):
        if training:
            height, width = ops.shape(photos)[1:3]
            self.size.assign(ops.sqrt(ops.cast(height, "float32") * width))
        return photos


def seen_size(model):
    """Side in pixels of the photos that a model has learned from, as if they were square."""
    notes = [layer for layer in model.layers if isinstance(layer, SeenSize)]
    return float(notes[0].size) if notes else PAPERS
