"""Six real photos that come with the package, whole, or as small crops to learn from offline."""

from pathlib import Path

import numpy as np
from PIL import Image

from keras_vision import images
from keras_vision.datasets import check_split
from keras_vision.rows import Rows

FOLDER = Path(__file__).parent / "photos"  # sources and licences: its README.md

splits = ("train", "val")
class_names = ()  # what the photos show has no labels


def photos(root=FOLDER):
    """The photos *.jpg of a folder, the built-in ones, as {name: uint8 (H, W, 3)}."""
    return {path.stem: images.read(path) for path in sorted(Path(root).glob("*.jpg"))}


def load(split, root=FOLDER, size=64):
    """`Rows` of {"image": uint8 (size, size, 3), "name"}: crops of the halved photos.

    "val" has crops from the right edge of each photo, "train" from the rest, which shares no
    pixel with them. Neighbouring crops are a quarter of `size` apart.

    root: a folder of photos *.jpg, instead of the built-in ones. Raises FileNotFoundError where
        it has none that is large enough.
    """
    check_split(split, splits)
    crops = [
        (crop, name) for name, rgb in photos(root).items() for crop in windows(rgb, split, size)
    ]
    if not crops:
        raise FileNotFoundError(f"{root} has no photo *.jpg of {4 * size} pixels a side or more")
    pixels, names = zip(*crops, strict=True)
    return Rows({"image": np.stack(pixels), "name": np.array(names)})


def windows(rgb, split, size):
    """The crops of one photo, row by row."""
    half = np.asarray(Image.fromarray(rgb).reduce(2))
    border = half.shape[1] - size
    part = half[:, :border] if split == "train" else half[:, border:]
    tops, lefts = (range(0, length - size + 1, size // 4) for length in part.shape[:2])
    return [part[top : top + size, left : left + size] for top in tops for left in lefts]
