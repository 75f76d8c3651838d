"""Ways back to maps of twice the height and width: (maps, pooled) -> maps.

maps: (B, h, w, C)
pooled: what once was pooled to that size, (B, 2h, 2w, C), and the places of its maxima, as
    `MaxPoolingWithIndices` tells them
"""

import keras
from keras import layers

from keras_vision.layers import MaxPoolingWithIndices, MaxUnpooling, ResizedLike


def indices(x, pooled):
    """Each value goes back to where the maximum stood; the rest is 0."""
    before, places = pooled
    return MaxUnpooling(2)([x, places, before])


def nails(x, pooled):
    """A bed of nails: each value goes to the upper left of its four pixels; the rest is 0."""
    before, _ = pooled
    # Where all are equal, the first counts as the maximum.
    _, corners = MaxPoolingWithIndices(2)(layers.Rescaling(0)(before))
    return MaxUnpooling(2)([x, corners, before])


def nearest(x, pooled):
    return layers.UpSampling2D(2)(x)


def bilinear(x, pooled):
    before, _ = pooled
    return ResizedLike(dtype=keras.config.dtype_policy().name)([x, before])


def transposed(x, pooled):
    """Each value lays down a kernel of 3x3 that is learned. They overlap by one row and column,
    so that some pixels get more than others: a checkerboard.
    """
    return layers.Conv2DTranspose(x.shape[-1], 3, 2, "same", kernel_initializer="he_normal")(x)


WAYS = {way.__name__: way for way in (indices, nails, nearest, bilinear, transposed)}
