"""Layers, and steps of networks, that Keras lacks and several networks use."""

from keras_vision.layers.adaptive import AdaptivePooling
from keras_vision.layers.dilated import DilatedConv2D
from keras_vision.layers.normalization import BatchNormalization
from keras_vision.layers.padded import convolution, normalization, pooling
from keras_vision.layers.response import LocalResponseNormalization
from keras_vision.layers.seen import SeenAt
from keras_vision.layers.sizes import CroppedLike, PaddedToMultiple, ResizedLike
from keras_vision.layers.unpooling import MaxPoolingWithIndices, MaxUnpooling

__all__ = [
    "AdaptivePooling",
    "BatchNormalization",
    "CroppedLike",
    "DilatedConv2D",
    "LocalResponseNormalization",
    "MaxPoolingWithIndices",
    "MaxUnpooling",
    "PaddedToMultiple",
    "ResizedLike",
    "SeenAt",
    "convolution",
    "normalization",
    "pooling",
]
