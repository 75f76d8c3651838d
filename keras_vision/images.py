"""Photos in and out: paths, PIL images, arrays, any mode or size -> sRGB uint8; loud errors.

Alpha is composited on white and the EXIF orientation applied, as a viewer does; embedded colour
profiles are not applied. Every refusal names the photo, what was expected, what came and a way
out: a ValueError, or the OSError that says it better (missing, existing, forbidden, disk full).
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from keras_vision import _reading, _writing
from keras_vision._writing import FORMATS

__all__ = ["FORMATS", "VOID", "holds_several", "named", "read", "read_all", "reader", "save"]
__all__ += ["scaled"]

VOID = 255  # in label maps: what has no class, and is neither learned nor measured
UPWARDS = 4  # how many times a small photo's short side, at most, its long side becomes


def read(image):
    """One photo -> a new uint8 array (H, W, 3), sRGB.

    `image` is a path, a PIL image of any mode, or an array (H, W) or (H, W, 1..4: grey, grey and
    alpha, RGB, RGBA) of uint8, uint16 (0..65535 is scaled), bool, or other numbers in 0..255
    (rounded). Of an animated file the first frame is read, of a PIL image the one it stands at.
    Raises ValueError, FileNotFoundError or PermissionError.
    """
    return _reading.read(image, "")


def read_all(images):
    """One photo, a batch (B, H, W, C), or an iterable of photos of mixed kinds and sizes -> a
    list of uint8 arrays (H, W, 3). Raises like `read`, and tells the position, counted from 1.
    """
    return [reader(image, place)() for image, place in named(images)]


def named(images):
    """Yields (photo, place) of what `read_all` takes; the place is a beginning for errors."""
    if not holds_several(images):
        yield images, ""
        return
    of = f" of {len(images)}" if hasattr(images, "__len__") else ""
    for number, image in enumerate(images, 1):
        yield image, f"image {number}{of}: "


def reader(image, place=""):
    """A function without arguments that returns rgb uint8 (H, W, 3): a file is read when it is
    called, by any thread; what else may change, or be closed, is read now.
    """
    if isinstance(image, (str, os.PathLike)):
        return partial(_reading.read, image, place)
    rgb = _reading.read(image, place)
    return lambda: rgb


def scaled(rgb, short):
    """uint8 (H, W, 3) -> the same with this short side, without aliasing, as torchvision; where it
    is None, as it is.

    Photos that are small and very long stay smaller, so that they do not become huge.
    """
    if short is None or min(rgb.shape[:2]) == short:
        return rgb
    least, most = min(rgb.shape[:2]), max(rgb.shape[:2])
    over = max(1, short * most / least / max(UPWARDS * short, most))
    height, width = (max(round(side * short / (least * over)), 1) for side in rgb.shape[:2])
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


def save(path, rgb, overwrite=False):
    """Writes uint8 (H, W, 3) in the format of the suffix: all of it or nothing at all.

    Raises FileExistsError unless `overwrite`, FileNotFoundError, PermissionError, another
    OSError if the disk fails, and ValueError if suffix or pixels will not do.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"expected the path of a file to write, got {type(path).__name__}")
    data = _writing.encode(rgb, Path(path).suffix.lower(), repr(os.fspath(path)))
    _writing.write(path, data, overwrite)


def holds_several(images):
    if isinstance(images, (str, bytes, os.PathLike, Image.Image)):
        return False
    if hasattr(images, "__array__"):  # rank 1: paths, or a pandas column of them
        return getattr(images, "ndim", 0) in (1, 4)
    return hasattr(images, "__iter__")
