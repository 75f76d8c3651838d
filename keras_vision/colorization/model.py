"""The network of Zhang, Isola, Efros 2016, "Colorful Image Colorization" (figure 2, table 4)."""

from math import inf
from numbers import Integral, Real

from keras import Input, Model, layers

from keras_vision.colorization.remembered import Remembered
from keras_vision.colorization.weights import PUBLISHED, load_torch, shipped, width_of
from keras_vision.layers import convolution as padded_convolution
from keras_vision.layers import normalization
from keras_vision.layers.dilated import DilatedConv2D
from keras_vision.weights import find, load

# Filters and convolutions of the seven blocks, the stride of a block's last one, dilation.
BLOCKS = (
    (64, 2, 2, 1),
    (128, 2, 2, 1),
    (256, 3, 2, 1),
    (512, 3, 1, 1),
    (512, 3, 1, 2),
    (512, 3, 1, 2),
    (512, 3, 1, 1),
)


def build(input_shape=(None, None, 1), bins=313, width=None, weights=None):
    """Maps lightness L (B, H, W, 1) in 0..100 to logits (B, h, w, bins) of cells of 4x4 pixels.

    h = 2 ceil(H / 8), and w likewise: H / 4 where 8 divides H.

    bins: None builds the L2 twin on the same trunk; it maps L to colours ab (B, h, w, 2).
    width: scales the number of filters, as in MobileNet, and is at least 1/64. None means that
        of the weights, or 1, the paper's 32,235,385 trainable parameters.
    weights: None; "tiny_imagenet", which comes with this package; "eccv16", the authors', fetched
        once into Keras' cache; or a path: `.keras`, `.weights.h5`, or a `.pth` of the authors'.
    Raises ValueError where arguments make no network, or not that of the weights, and OSError
    where weights are not found or cannot be fetched.
    """
    published = {} if bins is None else PUBLISHED
    path = None if weights is None else find(weights, shipped(bins is None), published)
    of_file = width_of(path) if path else 1.0
    width = of_file if width is None else width
    check(input_shape, bins, width)
    if path and int(512 * width) != int(512 * of_file):
        raise ValueError(f"{path} holds a network of width {of_file:g}: build(width={of_file:g}).")
    model = network(input_shape, bins, width)
    if path:
        load(model, path, {".pth": load_torch})
    return model


def check(input_shape, bins, width):
    """Raises ValueError for arguments of `build` that make no network."""
    sides = list(input_shape)[:2] if isinstance(input_shape, list | tuple) else [0]
    sized = all(side is None or (isinstance(side, Integral) and side > 0) for side in sides)
    if not sized or len(input_shape) != 3 or input_shape[2] != 1:
        raise ValueError(
            f"input_shape must be (H, W, 1), with None for any height or width, not {input_shape}."
        )
    if bins is not None and not (isinstance(bins, Integral) and bins > 2):
        raise ValueError(f"bins must be None, for the L2 twin, or an integer above 2, not {bins}.")
    if not (isinstance(width, Real) and 1 <= BLOCKS[0][0] * width < inf):
        raise ValueError(
            f"width must be at least 1/{BLOCKS[0][0]}, a filter in the first layers, not {width}."
        )


def network(input_shape, bins, width):
    """The layers of `build`, with new weights."""
    x = inputs = Input(input_shape, name="lightness")
    x = Remembered(dtype="float32", name="remembered")(x)
    # In float32: bfloat16 would round L itself to steps of a half.
    x = layers.Rescaling(1 / 100, -0.5, dtype="float32", name="scaled_lightness")(x)
    for number, (filters, depth, stride, dilation) in enumerate(BLOCKS, 1):
        x = block(x, int(filters * width), depth, stride, dilation, f"conv{number}")
    x = layers.Conv2DTranspose(
        int(256 * width), 4, 2, padding="same", activation="relu", name="conv8_1"
    )(x)
    for step in (2, 3):
        x = convolution(x, int(256 * width), name=f"conv8_{step}")
    if bins is None:
        # ab in units of 110, its range, so that the last layer starts at the right scale.
        x = layers.Conv2D(2, 1, dtype="float32", name="scaled_ab")(x)
        x = layers.Rescaling(110.0, dtype="float32", name="ab")(x)
    else:
        x = layers.Conv2D(bins, 1, dtype="float32", name="logits")(x)
    return Model(inputs, x, name="colorizer")


def block(x, filters, depth, stride, dilation, name):
    """`depth` convolutions with ReLU, of which the last has the stride; BatchNorm closes it."""
    for step in range(1, depth + 1):
        x = convolution(x, filters, stride if step == depth else 1, dilation, f"{name}_{step}")
    return normalization(x, name=f"{name}_norm")


def convolution(x, filters, stride=1, dilation=1, name=None):
    """A 3x3 convolution with ReLU."""
    if dilation == 1:
        return padded_convolution(x, filters, 3, stride, activation="relu", name=name)
    settings = {"padding": "same", "dilation_rate": dilation, "activation": "relu", "name": name}
    return DilatedConv2D(filters, 3, **settings)(x)
