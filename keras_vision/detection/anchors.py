"""Anchors: the boxes that a detector starts from, nine at each place of five maps.

Lin et al. 2017, "Focal Loss for Dense Object Detection", section 4: three sizes and three ratios
of height to width. Rounded as in torchvision, whose published weights know no others.
"""

from functools import lru_cache

import numpy as np

STRIDES = (8, 16, 32, 64, 128)  # of the maps P3 to P7
RATIOS = (0.5, 1.0, 2.0)
PER_PLACE = 3 * len(RATIOS)


@lru_cache(maxsize=16)
def levels(height, width):
    """Anchors of the maps P3 to P7 of a picture: five arrays (h w 9, 4), corners in pixels.

    Row by row, and place by place; some reach beyond the picture. h and w are the sides of the
    map: those of the picture over its stride, rounded up.
    """
    return tuple(of_map(height, width, stride) for stride in STRIDES)


def grid(height, width):
    """All anchors of a picture (A, 4)."""
    return np.concatenate(levels(height, width))


def of_map(height, width, stride):
    rows, columns = -(-height // stride), -(-width // stride)
    # Torchvision's step between places: where a side is no multiple of 128, less than the stride.
    y, x = np.arange(rows) * (height // rows), np.arange(columns) * (width // columns)
    places = np.stack([*np.meshgrid(x, y)] * 2, axis=-1)  # (h, w, 4): x, y, x, y
    anchors = places[:, :, None] + of_place(4 * stride)
    return anchors.reshape(-1, 4).astype("float32")


def of_place(size):
    """Nine boxes (9, 4) around zero, as large as squares of size, 2^(1/3) and 2^(2/3) size."""
    sizes = np.array([int(size * 2 ** (step / 3)) for step in range(3)])
    heights = np.sqrt(RATIOS)[:, None]
    sides = np.stack([sizes / heights, sizes * heights], axis=-1).reshape(-1, 2)
    return np.round(np.concatenate([-sides, sides], axis=1) / 2)
