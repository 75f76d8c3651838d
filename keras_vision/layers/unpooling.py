"""Max-pooling that tells where each maximum stood, and unpooling, which puts it back there."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("keras_vision")
class MaxPoolingWithIndices(layers.Layer):
    """Maps (B, H, W, C) -> the maxima of windows (B, h, w, C), and their places, int32.

    h = floor((H + 2 padding - size) / stride) + 1. A place is y W + x in the maps that came in;
    of equal values the first counts, row by row. As `torch.nn.MaxPool2d(return_indices=True)`.

    size, stride: pixels a side; windows follow one another where there is no `stride`.
    padding: of all sides, half the window at most; what it adds is never a maximum.
    """

    def __init__(self, size=2, stride=None, padding=0, **settings):
        super().__init__(**settings)
        self.size, self.padding = size, padding
        self.stride = size if stride is None else stride
        check(self)

    def call(self, x):
        _, height, width, _ = ops.shape(x)
        rows, columns = (self.count(side) for side in (height, width))
        # Padded by what stands at the edge, which has its own place already.
        x = self.padded(self.padded(x, 1, height), 2, width) if self.padding else x
        best = place = None
        for i in range(self.size):
            top = ops.clip(ops.arange(rows) * self.stride + i - self.padding, 0, height - 1)
            for j in range(self.size):
                left = ops.clip(ops.arange(columns) * self.stride + j - self.padding, 0, width - 1)
                value = x[:, i :: self.stride, j :: self.stride][:, :rows, :columns]
                here = (top[:, None] * width + left)[..., None]
                if best is None:
                    best, place = value, ops.broadcast_to(here, ops.shape(value))
                    continue
                # One of them, and no mean of equal ones, gets the gradient. NaN is a maximum.
                better = ops.logical_or(value > best, ops.isnan(value))
                best, place = ops.where(better, value, best), ops.where(better, here, place)
        return best, place

    def padded(self, x, axis, side):
        places = ops.arange(side + 2 * self.padding) - self.padding
        return ops.take(x, ops.clip(places, 0, side - 1), axis=axis)

    def count(self, side):
        """Windows along a side."""
        return (side + 2 * self.padding - self.size) // self.stride + 1

    def compute_output_spec(self, x):
        batch, *sides, channels = x.shape
        shape = (batch, *(side and self.count(side) for side in sides), channels)
        return keras.KerasTensor(shape, x.dtype), keras.KerasTensor(shape, "int32")

    def get_config(self):
        return {**super().get_config(), **window(self)}


@keras.saving.register_keras_serializable("keras_vision")
class MaxUnpooling(layers.Layer):
    """[maxima (B, h, w, C), places (B, h, w, C), like (B, H, W, .)] -> maps (B, H, W, C) with each
    value at its place, and 0 elsewhere.

    The places are those of a `MaxPoolingWithIndices` of the same `size`, `stride` and `padding`,
    `like` is what went into it, or what has its height and width. As `torch.nn.MaxUnpool2d`; of
    windows that overlap, one of those that tell the same place is heard.
    """

    def __init__(self, size=2, stride=None, padding=0, **settings):
        super().__init__(**settings)
        self.size, self.padding = size, padding
        self.stride = size if stride is None else stride
        check(self)

    def call(self, inputs):
        values, places, like = inputs
        _, height, width, _ = ops.shape(like)
        found = self.alone if self.stride >= self.size else self.scattered
        return found(values, places, height, width)

    def alone(self, values, places, height, width):
        """Of windows that do not overlap: each pixel asks the only one that it lies in."""
        here = ops.reshape(ops.arange(height * width), (height, width, 1))
        values, places = (self.spread(x, height, width) for x in (values, places))
        return ops.where(places == here, values, ops.zeros_like(values))

    def spread(self, x, height, width):
        """What the window of each pixel has, or 0 beyond all windows: (B, height, width, C)."""
        x = ops.repeat(ops.repeat(x, self.stride, axis=1), self.stride, axis=2)
        x = x[:, self.padding :, self.padding :][:, :height, :width]
        _, rows, columns, _ = ops.shape(x)
        return ops.pad(x, [[0, 0], [0, height - rows], [0, width - columns], [0, 0]])

    def scattered(self, values, places, height, width):
        batch, *_, channels = ops.shape(values)
        image = ops.arange(batch)[:, None, None, None] * (height * width)
        number = (image + places) * channels + ops.arange(channels)
        flat = ops.zeros((batch * height * width * channels,), values.dtype)
        flat = ops.scatter_update(flat, ops.reshape(number, (-1, 1)), ops.reshape(values, (-1,)))
        return ops.reshape(flat, (batch, height, width, channels))

    def compute_output_spec(self, inputs):
        values, _, like = inputs
        return keras.KerasTensor((*like.shape[:3], values.shape[3]), values.dtype)

    def get_config(self):
        return {**super().get_config(), **window(self)}


def window(layer):
    return {name: getattr(layer, name) for name in ("size", "stride", "padding")}


def check(layer):
    if not (layer.size >= 1 and layer.stride >= 1 and 0 <= layer.padding <= layer.size // 2):
        raise ValueError(
            "size and stride must be 1 or more, and padding 0 to half of the size; got "
            f"{window(layer)}"
        )
