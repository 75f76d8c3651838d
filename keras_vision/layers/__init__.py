"""Layers, and steps of networks, that Keras lacks and several networks use."""

from keras_vision.layers.adaptive import AdaptivePooling
from keras_vision.layers.normalization import BatchNormalization
from keras_vision.layers.padded import convolution, normalization, pooling
from keras_vision.layers.response import LocalResponseNormalization

__all__ = [
    "AdaptivePooling",
    "BatchNormalization",
    "LocalResponseNormalization",
    "convolution",
    "normalization",
    "pooling",
]
