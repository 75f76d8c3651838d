"""Autoencoder: pictures through a bottleneck, and back (Hinton, Salakhutdinov 2006, "Reducing the
Dimensionality of Data with Neural Networks").
"""

import math

import numpy as np
from keras import Input, Model, layers


def build(shape=(28, 28, 1), code=32, hidden=(512, 128)):
    """Maps pictures (B, H, W, C) in 0..255 to pictures of the same shape, float32.

    code: numbers that are left of a picture; the layer "code" has them.
    hidden: units of the layers before it, and in reverse order behind it. With none of them the
        network is linear, and the best that it can learn is what `pca` finds (Bourlard, Kamp
        1988).
    """
    inputs = Input(shape, name="image")
    x = layers.Flatten()(layers.Rescaling(1 / 255, dtype="float32")(inputs))
    for units in hidden:
        x = layers.Dense(units, "relu", kernel_initializer="he_normal")(x)
    x = layers.Dense(code, name="code")(x)
    for units in reversed(hidden):
        x = layers.Dense(units, "relu", kernel_initializer="he_normal")(x)
    x = layers.Dense(math.prod(shape), name="decoded")(x)
    x = layers.Rescaling(255, dtype="float32")(x)
    x = layers.Reshape(shape, dtype="float32", name="image_again")(x)
    return Model(inputs, x, name="autoencoder")


def pca(pictures, code):
    """(mean (D,), directions (code, D), variances (D,)) of pictures (N, ...), in NumPy.

    Of N pictures, the mean of the squared error of each pixel is at least what the variances
    from number `code` on add up to, divided by D; no linear network does better.
    """
    flat = np.asarray(pictures, "float64").reshape(len(pictures), -1)
    mean = flat.mean(0)
    _, singular, directions = np.linalg.svd(flat - mean, full_matrices=False)
    return mean, directions[:code], singular**2 / len(flat)


def through(pictures, mean, directions):
    """Pictures as PCA's directions have them: what a linear bottleneck lets pass."""
    flat = np.asarray(pictures, "float64").reshape(len(pictures), -1) - mean
    return (flat @ directions.T @ directions + mean).reshape(np.shape(pictures))
