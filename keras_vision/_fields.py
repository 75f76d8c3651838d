"""Receptive fields: which of the input's pixels a cell of a map depends on, axis by axis."""

from fractions import Fraction
from math import ceil, floor, inf, lcm
from typing import NamedTuple

from keras import layers

from keras_vision.layers import (
    AdaptivePooling,
    CroppedLike,
    MaxPoolingWithIndices,
    MaxUnpooling,
    PaddedToMultiple,
    ResizedLike,
)


def of_each_rank(*names):
    """Keras' layers of one, two and three axes, as far as there are: "Conv{}D" -> Conv1D, ..."""
    found = (getattr(layers, name.format(rank), None) for name in names for rank in (1, 2, 3))
    return tuple(layer for layer in found if layer)


DEPTHWISE = of_each_rank("DepthwiseConv{}D", "SeparableConv{}D")
CONVOLUTIONS = (*of_each_rank("Conv{}D"), *DEPTHWISE)
TRANSPOSED = of_each_rank("Conv{}DTranspose")
POOLINGS = of_each_rank("AveragePooling{}D", "MaxPooling{}D")
ADAPTIVE = (*of_each_rank("AdaptiveAveragePooling{}D", "AdaptiveMaxPooling{}D"), AdaptivePooling)
RESIZINGS = (*of_each_rank("UpSampling{}D"), layers.Resizing)
PADDINGS = of_each_rank("ZeroPadding{}D")
CROPPINGS = of_each_rank("Cropping{}D")
# GroupNormalization, for its mean and deviation are those of the whole map.
GLOBAL = (
    *of_each_rank("GlobalAveragePooling{}D", "GlobalMaxPooling{}D"),
    layers.Flatten,
    layers.GroupNormalization,
)
# Layers with further inputs, which tell them sizes and places.
LIKE = (CroppedLike, MaxUnpooling, ResizedLike)
REORDERING = (layers.Permute, layers.Reshape)
# As they are at inference: BatchNorm knows its mean, nothing is dropped or moved by chance.
POINTWISE = (
    layers.Activation, layers.ActivityRegularization, layers.Add, layers.AlphaDropout,
    layers.Average, layers.BatchNormalization, layers.Dense, layers.Dropout, layers.ELU,
    layers.GaussianDropout, layers.GaussianNoise, layers.Identity, layers.LeakyReLU,
    layers.Maximum, layers.Minimum, layers.Multiply, layers.Normalization, layers.PReLU,
    layers.RandomBrightness, layers.RandomContrast, layers.RandomFlip, layers.RandomRotation,
    layers.RandomTranslation, layers.RandomZoom, layers.ReLU, layers.Rescaling, layers.Subtract,
    *of_each_rank("SpatialDropout{}D"),
)  # fmt: skip
# Of `keras.ops`, `x + y` among them: their classes are not public.
POINTWISE_OPERATIONS = {
    "Absolute", "Add", "Average", "Cast", "Clip", "Divide", "Elu", "Exp", "Gelu", "HardSigmoid",
    "HardSilu", "LeakyRelu", "Log", "Maximum", "Minimum", "Multiply", "Negative", "Power", "Relu",
    "Relu6", "Sigmoid", "Silu", "Softplus", "Sqrt", "Square", "Subtract", "Tanh", "TrueDivide",
}  # fmt: skip
# Pointwise as long as their axis is that of the channels.
ALONG_AN_AXIS = (
    layers.Concatenate,
    layers.LayerNormalization,
    layers.RMSNormalization,
    layers.Softmax,
    layers.UnitNormalization,
)


class Axis(NamedTuple):
    """What the cells along one axis of a map see of the input.

    Cell q x period + r sees the pixels firsts[r] + q x step to lasts[r] + q x step. The period is
    1, except where maps have been enlarged: there neighbours see fields of other sizes. Those of
    step 0 all see the same. Step None: cells have been put into another order, and it is known
    what they see all together.
    """

    firsts: tuple = (0,)
    lasts: tuple = (0,)
    step: int = 1

    @property
    def period(self):
        return len(self.firsts)

    @property
    def jump(self):
        """Pixels from the field of one cell to that of the next."""
        return Fraction(self.step, self.period)

    @property
    def field(self):
        """The size of a field, of the largest where they differ."""
        return max(last - first + 1 for first, last in zip(self.firsts, self.lasts, strict=True))

    @property
    def start(self):
        """The centre of the first cell's field; pixel i has its own at i + 1/2."""
        return (self.firsts[0] + self.lasts[0] + 1) / 2

    def seen(self, cells):
        """The first and last pixel that some cells see, outside the picture where they overhang.

        No cells see (inf, -inf): a transposed convolution may leave gaps.
        """
        fields = []
        for cell in cells:
            periods, phase = divmod(cell, self.period)
            shift = periods * self.step
            fields.append((self.firsts[phase] + shift, self.lasts[phase] + shift))
        return union(fields)


def union(fields):
    """The first and last pixel of several fields; a hole between them counts as seen."""
    firsts, lasts = zip((inf, -inf), *fields, strict=True)
    return min(firsts), max(lasts)


def behind(axis, rate, cells):
    """The axis behind a layer whose cell i looks at the cells(i), which move on by `rate`."""
    rate = Fraction(rate) / axis.period
    fields = [axis.seen(cells(i)) for i in range(rate.denominator)]
    return Axis(*zip(*fields, strict=True), step=axis.step * rate.numerator)


def convolved(axis, kernel, stride, dilation, padding):
    def cells(i):
        return [i * stride - padding + tap * dilation for tap in range(kernel)]

    return behind(axis, stride, cells)


def transposed(axis, kernel, stride, dilation, padding):
    """As in the gradient of `convolved`: cell i takes part in what these cells look at."""

    def cells(i):
        taps = [i + padding - tap * dilation for tap in range(kernel)]
        return [tap // stride for tap in taps if tap % stride == 0]

    return behind(axis, Fraction(1, stride), cells)


def shifted(axis, before):
    """Behind `before` cells of padding; cropped ones are negative."""
    return behind(axis, 1, lambda i: [i - before])


def nearest(axis, rate):
    return behind(axis, rate, lambda i: [floor((i + Fraction(1, 2)) * rate)])


def bilinear(axis, rate):
    def cells(i):
        centre = (i + Fraction(1, 2)) * rate - Fraction(1, 2)
        return [floor(centre), ceil(centre)]

    return behind(axis, rate, cells)


def adaptive(axis, rate):
    return behind(axis, rate, lambda i: range(floor(i * rate), ceil((i + 1) * rate)))


def whole(axis, cells, pixels):
    """Every cell behind sees all that `cells` cells see of a picture with `pixels` pixels."""
    first, last = axis.seen(range(cells))
    return Axis((max(first, 0),), (min(last, pixels - 1),), 0)


def merged(axes, cells, pixels):
    """`cells` cells that see all that those of several axes see; None where these drift apart."""
    resting = [axis for axis in axes if not axis.step]
    moving = [axis for axis in axes if axis.step]
    if resting:
        first, last = union(axis.seen([0]) for axis in resting)
        rest = [whole(axis, cells, pixels).seen([0]) for axis in moving]
        covered = union([(first, last), *rest]) == (first, last)
        return Axis((first,), (last,), 0) if covered else None
    if len({axis.jump for axis in axes}) > 1:
        return None
    period = lcm(*(axis.period for axis in axes))
    seen = [union(axis.seen([cell]) for axis in axes) for cell in range(period)]
    return Axis(*zip(*seen, strict=True), step=int(axes[0].jump * period))


def window(layer):
    """(kernel, stride, dilation), each one number an axis; None for layers that have no window."""
    if isinstance(layer, CONVOLUTIONS + TRANSPOSED):
        return layer.kernel_size, layer.strides, layer.dilation_rate
    if isinstance(layer, POOLINGS):
        return layer.pool_size, layer.strides, (1,) * len(layer.pool_size)
    if isinstance(layer, MaxPoolingWithIndices):
        return (layer.size,) * 2, (layer.stride,) * 2, (1, 1)
    return None


def fields(layer, inputs, shape, pixels):
    """The axes of a layer's output, or None where it is not known what its cells see.

    inputs: the maps it takes, with their `axes` and `shape`; shape: of what it makes, (B, H, W,
    C); pixels: the picture's size, (H, W).
    """
    if None in shape[1:] or any(maps.axes is None for maps in inputs):
        return None
    numbers = range(len(pixels))
    inputs = inputs[:1] if isinstance(layer, LIKE) else inputs
    if any(axis.step is None for maps in inputs for axis in maps.axes):
        return reordered(layer, inputs)
    if not any(axis.step for maps in inputs for axis in maps.axes):
        axes = [merged([maps.axes[n] for maps in inputs], 1, pixels[n]) for n in numbers]
    elif pointwise(layer, inputs, shape):
        spreads = [[spread(maps, n, shape, pixels[n]) for maps in inputs] for n in numbers]
        axes = [merged(spreads[n], shape[n + 1], pixels[n]) for n in numbers]
    elif len(inputs) == 1:
        axes = [along(layer, n, inputs[0], shape, pixels[n]) for n in numbers]
    else:
        return None
    return None if None in axes else tuple(axes)


def reordered(layer, inputs):
    """The axes behind a layer that takes cells in another order."""
    if isinstance(layer, layers.Flatten):
        return tuple(axis._replace(step=0) for axis in inputs[0].axes)
    return inputs[0].axes if isinstance(layer, REORDERING) else None


def pointwise(layer, inputs, shape):
    """Whether a cell depends on the same one of its inputs alone; layers may say so themselves."""
    if isinstance(layer, ALONG_AN_AXIS) or type(layer).__name__ == "Concatenate":
        axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
        return all(axis % len(shape) == len(shape) - 1 for axis in axes)
    if isinstance(layer, layers.Reshape):
        return inputs[0].shape[:-1] == shape[:-1]
    if isinstance(layer, layers.Layer):
        return isinstance(layer, POINTWISE) or getattr(layer, "pointwise", False)
    return type(layer).__name__ in POINTWISE_OPERATIONS


def spread(maps, number, shape, pixels):
    """An axis of maps. If one cell is broadcast along it, all cells see what that one does."""
    axis = maps.axes[number]
    if not axis.step or maps.shape[number + 1] == shape[number + 1]:
        return axis
    return whole(axis, 1, pixels)


def along(layer, number, maps, shape, pixels):
    """An axis behind a layer with one input, or None where it is not known."""
    axis, before = maps.axes[number], maps.shape[number + 1]
    if isinstance(layer, GLOBAL):
        return whole(axis, before, pixels)
    if isinstance(layer, REORDERING):
        return whole(axis, before, pixels)._replace(step=None)
    after = shape[number + 1]
    if isinstance(layer, PADDINGS):
        return shifted(axis, pair(layer.padding, number)[0])
    if isinstance(layer, CROPPINGS):
        return shifted(axis, -pair(layer.cropping, number)[0])
    if isinstance(layer, PaddedToMultiple):
        return axis
    if isinstance(layer, CroppedLike):
        return shifted(axis, -((before - after) // 2 if layer.middle else 0))
    if isinstance(layer, ResizedLike):
        return bilinear(axis, Fraction(before, after))
    if isinstance(layer, MaxPoolingWithIndices):
        return convolved(axis, layer.size, layer.stride, 1, layer.padding)
    if isinstance(layer, MaxUnpooling):
        return transposed(axis, layer.size, layer.stride, 1, layer.padding)
    if window(layer):
        geometry = [values[number] for values in window(layer)]
        if isinstance(layer, TRANSPOSED):
            return transposed(axis, *geometry, overhang(after, before, *geometry))
        causal = layer.padding == "causal"
        return convolved(axis, *geometry, overhang(before, after, *geometry, causal))
    if isinstance(layer, ADAPTIVE):
        return adaptive(axis, Fraction(before, after))
    if isinstance(layer, RESIZINGS):
        distorts = ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio")
        way = getattr(layer, "interpolation", "nearest")
        if way in RESIZED and not any(getattr(layer, name, False) for name in distorts):
            return RESIZED[way](axis, Fraction(before, after))
    return None


RESIZED = {"nearest": nearest, "bilinear": bilinear}


def pair(borders, number):
    """(before, after) along an axis; layers of one axis hold one pair, others a pair an axis."""
    return borders if isinstance(borders[0], int) else borders[number]


def overhang(cells, windows, kernel, stride, dilation, causal=False):
    """How far the first window reaches out of the cells: half of what all overhang, or all of it.

    With padding="valid" nothing overhangs, so one formula serves it and "same".
    """
    reach = dilation * (kernel - 1) + 1
    total = max((windows - 1) * stride + reach - cells, 0)
    return reach - 1 if causal else total // 2
