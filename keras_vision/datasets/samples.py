"""Six real photos that come with the package, whole, or as small crops to learn from offline."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_vision import images

FOLDER = Path(__file__).parent / "photos"  # sources and licences: its README.md


def photos():
    """The photos as {name: uint8 (H, W, 3)}."""
    return {path.stem: images.read(path) for path in sorted(FOLDER.glob("*.jpg"))}


def load(split, size=64):
    """tf.data.Dataset of {"image": uint8 (size, size, 3), "name"}: crops of the halved photos.

    "val" has crops from the right edge of each photo, "train" from the rest, which shares no
    pixel with them. Neighbouring crops are a quarter of `size` apart.
    """
    if split not in ("train", "val"):
        raise ValueError(f"split must be 'train' or 'val', not {split!r}.")
    crops = [(crop, name) for name, rgb in photos().items() for crop in windows(rgb, split, size)]
    pixels, names = zip(*crops, strict=True)
    return tf.data.Dataset.from_tensor_slices({"image": np.stack(pixels), "name": list(names)})


def windows(rgb, split, size):
    """The crops of one photo, row by row."""
    half = np.asarray(Image.fromarray(rgb).reduce(2))
    border = half.shape[1] - size
    part = half[:, :border] if split == "train" else half[:, border:]
    tops, lefts = (range(0, length - size + 1, size // 4) for length in part.shape[:2])
    return [part[top : top + size, left : left + size] for top in tops for left in lefts]
