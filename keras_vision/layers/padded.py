"""Convolutions, poolings and normalisations as Caffe and PyTorch have them."""

from keras import layers

from keras_vision.layers.dilated import DilatedConv2D
from keras_vision.layers.normalization import BatchNormalization


def convolution(x, filters, size=3, stride=1, dilation=1, **settings):
    """A convolution that keeps its middle over the pixels: (B, H, W, C) -> (B, ceil(H / stride),
    ...). One of the two, stride or dilation, is 1.

    Keras' "same" would pad a strided one on the right and below only, and move the picture.
    """
    if dilation > 1:
        return DilatedConv2D(filters, size, padding="same", dilation_rate=dilation, **settings)(x)
    if stride > 1 and size > 1:
        x = layers.ZeroPadding2D(size // 2)(x)
        return layers.Conv2D(filters, size, stride, **settings)(x)
    return layers.Conv2D(filters, size, stride, padding="same", **settings)(x)


def pooling(x, size=3, stride=2):
    """The greatest of each size x size cells, padded by size // 2 on all sides.

    What comes in must be positive, as behind a ReLU: the padding is 0.
    """
    return layers.MaxPooling2D(size, stride)(layers.ZeroPadding2D(size // 2)(x))


def normalization(x, epsilon=1e-5, **settings):
    """BatchNorm with PyTorch's constants; Keras' momentum is one minus theirs."""
    return BatchNormalization(momentum=0.9, epsilon=epsilon, **settings)(x)
