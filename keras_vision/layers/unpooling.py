"""Max-pooling that tells where each maximum stood, and unpooling, which puts it back there."""

import itertools

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
        for (i, j), value in self.cells(x, rows, columns):
            top, left = (
                ops.clip(ops.arange(count) * self.stride + shift - self.padding, 0, side - 1)
                for count, shift, side in ((rows, i, height), (columns, j, width))
            )
            here = (top[:, None] * width + left)[..., None]
            if best is None:
                best, place = value, ops.broadcast_to(here, ops.shape(value))
                continue
            # One of them, and no mean of equal ones, gets the gradient. NaN is a maximum.
            better = ops.logical_or(value > best, ops.isnan(value))
            best, place = ops.where(better, value, best), ops.where(better, here, place)
        return best, place

    def cells(self, x, rows, columns):
        """((i, j), what windows have in row i and column j (B, rows, columns, C)), in turn."""
        places = list(itertools.product(range(self.size), repeat=2))
        if self.stride == self.size:  # a gradient of slices would take three times as long
            whole = x[:, : rows * self.size, : columns * self.size]
            return zip(places, apart(whole, self.size), strict=True)
        slices = (x[:, i :: self.stride, j :: self.stride] for i, j in places)
        return zip(places, (part[:, :rows, :columns] for part in slices), strict=True)

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
        _, rows, columns, _ = ops.shape(values)
        top, left = (ops.arange(count) * self.stride - self.padding for count in (rows, columns))
        shift, nothing = places - (top[:, None] * width + left)[..., None], ops.zeros_like(values)
        cells = [
            ops.where(shift == i * width + j, values, nothing)
            for i, j in itertools.product(range(self.stride), repeat=2)
        ]
        whole = together(cells, self.stride)[:, self.padding :, self.padding :]
        whole = whole[:, :height, :width]
        _, rows, columns, _ = ops.shape(whole)
        return ops.pad(whole, [[0, 0], [0, height - rows], [0, width - columns], [0, 0]])

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


def apart(x, size):
    """Maps (B, h size, w size, C) -> size^2 maps (B, h, w, C): the windows' cells, row by row."""
    batch, height, width, channels = ops.shape(x)
    x = ops.reshape(x, (batch, height // size, size, width // size, size, channels))
    return [cell for row in ops.unstack(x, size, 2) for cell in ops.unstack(row, size, 3)]


def together(cells, size):
    """The inverse of `apart`."""
    rows = [ops.stack(cells[size * i : size * (i + 1)], 3) for i in range(size)]
    batch, height, width, channels = ops.shape(cells[0])
    return ops.reshape(ops.stack(rows, 2), (batch, height * size, width * size, channels))


def window(layer):
    return {name: getattr(layer, name) for name in ("size", "stride", "padding")}


def check(layer):
    if not (layer.size >= 1 and layer.stride >= 1 and 0 <= layer.padding <= layer.size // 2):
        raise ValueError(
            "size and stride must be 1 or more, and padding 0 to half of the size; got "
            f"{window(layer)}"
        )
