"""A photographed digit -> a picture as MNIST has them."""

import numpy as np
from PIL import Image

SIDE, BOX = 28, 20  # of MNIST's pictures, and of the square that a digit fills in them
ENOUGH = 512  # pixels a side: more would only take more memory
FAINT = 0.1  # shares of full ink below this are shadow and grain of the paper


def from_photo(rgb):
    """The crop of one digit, uint8 (H, W, 3), any ink on any paper -> uint8 (28, 28, 1).

    As MNIST was made: light ink on black, the digit scaled to fit 20x20, its centre of mass at
    pixel (14, 14). Whether ink or paper is darker is seen from the border, which must be paper.
    Raises ValueError where nothing stands out from the paper.
    """
    grey = Image.fromarray(rgb).convert("L")
    grey = grey.reduce(max(1, max(grey.size) // ENOUGH))
    ink = ink_of(np.asarray(grey, "float64"))
    rows, columns = (np.flatnonzero(ink.max(axis) > 0.5) for axis in (1, 0))
    if not len(rows):
        raise ValueError(
            f"expected the photo of one digit, got {rgb.shape[1]}x{rgb.shape[0]} pixels "
            "without any ink: crop it closer, or use more light"
        )
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return centred(shrunk(digit))[..., None]


def ink_of(grey):
    """Lightness (H, W) -> how much ink there is, 0..1.

    The paper is a plane through the border, which allows for light from one side; ink is what
    differs most from it, darker or lighter.
    """
    height, width = grey.shape
    y, x = np.mgrid[:height, :width]
    plane = np.stack([np.ones_like(grey), y, x], axis=-1)
    margin = max(1, round(0.04 * min(height, width)))
    border = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x)) < margin
    paper = np.linalg.lstsq(plane[border], grey[border])[0]
    difference = grey - plane @ paper
    low, high = np.percentile(difference, (0.5, 99.5))
    full = low if -low > high else high
    grain = 3 * difference[border].std()
    if abs(full) < max(16, grain):
        return np.zeros_like(grey)
    return np.clip((difference / full - FAINT) / (1 - FAINT), 0, 1)


def shrunk(digit):
    """A digit (H, W) in 0..1, scaled to fit the box."""
    scale = BOX / max(digit.shape)
    size = [max(1, round(side * scale)) for side in reversed(digit.shape)]
    small = Image.fromarray(np.float32(digit)).resize(size, Image.Resampling.BOX)
    small = np.asarray(small)
    return small / max(np.percentile(small, 95), 0.5)  # a thin pen fills no pixel of the small one


def centred(small):
    """A digit (h, w) in 0..1 -> uint8 (28, 28) with its centre of mass at pixel (14, 14)."""
    corner = []
    for axis, side in enumerate(small.shape):
        middle = np.average(np.arange(side), weights=small.sum(1 - axis))
        corner.append(int(np.clip(round(SIDE // 2 - middle), 0, SIDE - side)))
    top, left = corner
    picture = np.zeros((SIDE, SIDE), "uint8")
    height, width = small.shape
    picture[top : top + height, left : left + width] = np.rint(255 * np.clip(small, 0, 1))
    return picture
