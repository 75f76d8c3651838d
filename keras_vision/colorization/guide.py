"""Colours of coarse cells on a fine photo: the lightness says where they end.

He, Sun 2015, "Fast Guided Filter": in the small, a colour is nearly linear in the lightness, ab =
slope x L + offset. Slope and offset are fitted around each cell, where little is to compute; they
vary slowly, so that they can be enlarged as they are, and the photo's own L makes the edges.
"""

from keras import ops

SOFT = 8.0  # L: where it varies by less than this, the colours keep to themselves


def lines(ab, lightness):
    """ab (h, w, 2) and mean L (h, w, 1) of cells -> slope and offset (h, w, 4), float32.

    Fitted over the cell and its eight neighbours.
    """
    ab, lightness = (ops.convert_to_tensor(x, "float32")[None] for x in (ab, lightness))
    mean_ab, mean_lightness = means(ab), means(lightness)
    covariance = means(ab * lightness) - mean_ab * mean_lightness
    variance = means(lightness**2) - mean_lightness**2
    slope = covariance / (variance + SOFT**2)
    offset = mean_ab - slope * mean_lightness
    return means(ops.concatenate([slope, offset], axis=-1))[0]


def means(planes):
    """Of the cells (B, h, w, C) and their neighbours, of which those at the border have fewer."""
    return ops.average_pool(planes, 3, strides=1, padding="same")
