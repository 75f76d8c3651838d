"""DeconvNet: Noh, Hong, Han 2015, "Learning Deconvolution Network for Semantic Segmentation"
(figure 2, table 1).
"""

from keras import Input, Model, layers

from keras_vision import weights as files
from keras_vision.classification import published, vgg
from keras_vision.layers import (
    CroppedLike,
    MaxPoolingWithIndices,
    MaxUnpooling,
    PaddedToMultiple,
    SeenAt,
    normalization,
)
from keras_vision.segmentation.segnet import stages

FULLY = 4096  # filters of what was fully connected there
SMALLEST = 224  # pixels a side, of which the poolings leave the 7x7 that those want to see


def build(classes=None, weights=None, width=1.0, short=None):
    """Maps photos (B, H, W, 3), sRGB in 0..255 and of any size, to logits (B, H, W, classes).

    Those of less than 224 pixels a side are padded to that.

    classes: by default those of the weights, or 21.
    weights: None, or a path: `.keras` or `.weights.h5`.
    width: scales the number of filters.
    short: the short side, in pixels, of photos as `segment` shows them to it; None is their own.

    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found.
    """
    published.check({"width": width, "classes": classes})
    path = weights and files.find(weights, {})
    classes = classes or published.classes_of(path, "logits", default=21)
    inputs = Input((None, None, 3), name="image")
    x = SeenAt(short)(inputs)
    x = PaddedToMultiple(2 ** len(vgg.FILTERS), SMALLEST)(published.standardized(x))
    filters, pooled = stages(width), []
    for stage in filters:
        for count in stage:
            x = unit(x, layers.Conv2D, count, 3)
        before = x
        x, places = MaxPoolingWithIndices(2)(before)
        pooled.append((before, places))
    x = unit(x, layers.Conv2D, int(FULLY * width), 7, "valid")
    x = unit(x, layers.Conv2D, int(FULLY * width), 1)
    x = unit(x, layers.Conv2DTranspose, filters[-1][0], 7, "valid")
    for number in reversed(range(len(filters))):
        before, places = pooled.pop()
        x = MaxUnpooling(2)([x, places, before])
        for count in [*filters[number][1:], filters[max(number - 1, 0)][0]]:
            x = unit(x, layers.Conv2DTranspose, count, 3)
    x = layers.Conv2D(classes, 1, dtype="float32", name="logits")(x)
    model = Model(inputs, CroppedLike(dtype="float32")([x, inputs]), name="deconvnet")
    if path:
        files.load(model, path)
    return model


def unit(x, kind, filters, size, padding="same"):
    """A convolution, or a transposed one, its BatchNorm and its ReLU."""
    x = kind(filters, size, padding=padding, use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(normalization(x))
