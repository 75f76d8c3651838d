"""Maps made to fit: sizes that can be halved again and again, and back to what they were."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("keras_vision")
class PaddedToMultiple(layers.Layer):
    """(B, H, W, C) -> (B, h, w, C), the next multiples: repeats the last row and column.

    least: pixels a side, of which there are at least so many.
    """

    def __init__(self, multiple, least=1, **settings):
        super().__init__(**settings)
        self.multiple, self.least = multiple, least

    def call(self, x):
        for axis in (1, 2):
            side = ops.shape(x)[axis]
            places = ops.arange(self.rounded(side))
            x = ops.take(x, ops.minimum(places, side - 1), axis=axis)
        return x

    def rounded(self, side):
        larger = max if isinstance(side, int) else ops.maximum
        whole = larger(side, self.least)
        return -(-whole // self.multiple) * self.multiple

    def compute_output_shape(self, shape):
        batch, *sides, channels = shape
        return (batch, *(side and self.rounded(side) for side in sides), channels)

    def get_config(self):
        return {**super().get_config(), "multiple": self.multiple, "least": self.least}


@keras.saving.register_keras_serializable("keras_vision")
class CroppedLike(layers.Layer):
    """[maps (B, H, W, C), like (B, h, w, .)] -> (B, h, w, C): the upper left part of the maps.

    middle: takes the middle of them instead; of an odd number of rows or columns that are too
        many, one more goes below or on the right.
    """

    def __init__(self, middle=False, **settings):
        super().__init__(**settings)
        self.middle = middle

    def call(self, inputs):
        maps, like = inputs
        (_, height, width, _), (_, rows, columns, _) = ops.shape(maps), ops.shape(like)
        top = (height - rows) // 2 if self.middle else 0
        left = (width - columns) // 2 if self.middle else 0
        return maps[:, top : top + rows, left : left + columns]

    def compute_output_shape(self, shapes):
        maps, like = shapes
        return (*like[:3], maps[3])

    def get_config(self):
        return {**super().get_config(), "middle": self.middle}


@keras.saving.register_keras_serializable("keras_vision")
class ResizedLike(layers.Layer):
    """[maps (B, h, w, C), like (B, H, W, .)] -> (B, H, W, C), bilinear, in float32."""

    def __init__(self, **settings):
        super().__init__(**{"dtype": "float32", **settings})

    def call(self, inputs):
        maps, like = inputs
        (_, *sides, _), (_, height, width, _) = ops.shape(maps), ops.shape(like)
        rows, columns = map(between, sides, (height, width))
        return ops.einsum("Ww,bHwc->bHWc", columns, ops.einsum("Hh,bhwc->bHwc", rows, maps))

    def compute_output_shape(self, shapes):
        maps, like = shapes
        return (*like[:3], maps[3])


def between(side, size):
    """How much each of `side` places counts in each of `size`: (size, side)."""
    old, new = (ops.cast(ops.arange(count), "float32") for count in (side, size))
    place = (new + 0.5) * (ops.cast(side, "float32") / ops.cast(size, "float32")) - 0.5
    place = ops.clip(place, 0, old[-1])
    return ops.relu(1 - ops.abs(place[:, None] - old))
