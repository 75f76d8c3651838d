"""Pooling to a fixed size."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("keras_vision")
class AdaptivePooling(layers.Layer):
    """Averages (B, H, W, C) over a grid of cells: (B, size, size, C), whatever H and W are.

    Cell i reaches from floor(i H / size) to ceil((i + 1) H / size), as in PyTorch. Keras' own
    layer wants to know H and W when the network is built.
    """

    def __init__(self, size, **settings):
        super().__init__(**settings)
        self.size = size

    def call(self, x):
        _, height, width, _ = ops.shape(x)
        rows, columns = (cells(side, self.size, x.dtype) for side in (height, width))
        return ops.einsum("ih,bhwc,jw->bijc", rows, x, columns)

    def compute_output_shape(self, shape):
        return shape[0], self.size, self.size, shape[3]

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def cells(side, size, dtype):
    """How much each of `side` places counts in each of `size` cells: (size, side)."""
    cell, place = ops.arange(size)[:, None], ops.arange(side)[None]
    first, end = cell * side // size, -(-(cell + 1) * side // size)
    inside = ops.cast((first <= place) & (place < end), dtype)
    return inside / ops.sum(inside, axis=1, keepdims=True)
