"""SegNet: Badrinarayanan, Kendall, Cipolla 2017, "SegNet: A Deep Convolutional Encoder-Decoder
Architecture for Image Segmentation" (figure 2).
"""

from keras import Input, Model, layers

from keras_vision import weights as files
from keras_vision.classification import published, vgg
from keras_vision.layers import (
    CroppedLike,
    MaxPoolingWithIndices,
    PaddedToMultiple,
    SeenAt,
    convolution,
    normalization,
)
from keras_vision.segmentation.upsampling import WAYS

DEPTH = 16  # of VGG, whose convolutions these are, forwards and then backwards


def build(classes=None, weights=None, width=1.0, upsampling="indices", short=None):
    """Maps photos (B, H, W, 3), sRGB in 0..255 and of any size, to logits (B, H, W, classes).

    classes: by default those of the weights, or 21. With 12 there are 29,449,932 trainable
        parameters.
    weights: None, or a path: `.keras` or `.weights.h5`.
    width: scales the number of filters.
    upsampling: how maps get back the size that a pooling took from them: "indices", as in the
        paper, or another of `upsampling.WAYS`.
    short: the short side, in pixels, of photos as `segment` shows them to it; None is their own.

    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found.
    """
    form = {"upsampling": upsampling, "width": width, "classes": classes}
    published.check(form, "upsampling", WAYS)
    path = weights and files.find(weights, {})
    classes = classes or published.classes_of(path, "logits", default=21)
    inputs = Input((None, None, 3), name="image")
    x, pooled = published.standardized(SeenAt(short)(inputs)), []
    x = PaddedToMultiple(2 ** len(vgg.FILTERS))(x)
    filters = stages(width)
    for stage in filters:
        before = convolutions(x, stage)
        x, places = MaxPoolingWithIndices(2)(before)
        pooled.append((before, places))
    for number in reversed(range(len(filters))):
        x = WAYS[upsampling](x, pooled.pop())
        # The last of a stage makes as many maps as the next pooling's have that is undone.
        finer = filters[number - 1][:1] if number else []
        x = convolutions(x, [*filters[number][1:], *finer])
    x = layers.Conv2D(classes, 3, padding="same", dtype="float32", name="logits")(x)
    model = Model(inputs, CroppedLike(dtype="float32")([x, inputs]), name="segnet")
    if path:
        files.load(model, path)
    return model


def stages(width):
    """The filters of VGG's convolutions, in a list for each pooling."""
    return [
        [int(filters * width)] * count
        for filters, count in zip(vgg.FILTERS, vgg.DEPTHS[DEPTH], strict=True)
    ]


def convolutions(x, filters):
    for count in filters:
        x = normalization(convolution(x, count, kernel_initializer="he_normal"))
        x = layers.ReLU()(x)
    return x
