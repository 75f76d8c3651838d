"""MNIST (LeCun, Cortes, Burges): 28x28 handwritten digits, white ink on black."""

import gzip
from pathlib import Path

import keras
import numpy as np

from keras_vision.datasets import check_split
from keras_vision.rows import Rows

# Every tenth digit of both splits, 6,000 and 1,000: `load(split, SUBSET)` needs no network.
SUBSET = Path(__file__).parent / "digits" / "mnist_subset.npz"

splits = ("train", "test")
class_names = tuple("0123456789")

PREFIXES = {"train": "train", "test": "t10k"}
COUNTS = {"train": 60_000, "test": 10_000}
KINDS = {3: "images", 1: "labels"}  # by the number of axes, which is in the files' names
SHAPES = {3: "images (N, 28, 28)", 1: "labels (N,)"}
LAYOUT = """
Expected is an mnist.npz with x_train, y_train, x_test and y_test, or a folder with
    train-images-idx3-ubyte  train-labels-idx1-ubyte
    t10k-images-idx3-ubyte   t10k-labels-idx1-ubyte
each as it is or as .gz. root=None fetches it, root=mnist.SUBSET is built in."""


def load(split, root=None):
    """`Rows` of one raw dict a digit, in the files' order.

        image  uint8 (28, 28, 1), 0 is paper and 255 is ink
        label  int32 (), 0..9

    split: "train" (60,000 digits) or "test" (10,000).
    root: an mnist.npz, or a folder with the four official idx files, gzipped or not; None is
        `keras.datasets.mnist`, fetched once, checked by its hash, and kept in ~/.keras.

    Raises FileNotFoundError if a file is missing, ValueError if one is not what its name says,
    and OSError if None meets no network.
    """
    images, labels = arrays(split, root)
    columns = {"image": images[..., None], "label": labels.astype("int32")}
    return Rows(columns, class_names=class_names)


def arrays(split, root=None):
    """(images uint8 (N, 28, 28), labels uint8 (N,)) of a split; for the rest see `load`."""
    check_split(split, splits)
    if root is None:
        return fetched()[split]
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"{root} is missing{LAYOUT}")
    found = [read(root, split, axes) for axes in (3, 1)]
    (images, source), (labels, label_source) = found
    if len(images) != len(labels):
        raise ValueError(
            f"{source} has {len(images)} images, but {label_source} has {len(labels)} labels: "
            f"are they of the same split?{LAYOUT}"
        )
    return images, labels


def fetched():
    """{split: (images, labels)} of Keras' own copy."""
    try:
        train, test = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras gives a bare Exception where there is no network
        raise OSError(f"MNIST could not be fetched ({error}).{LAYOUT}") from error
    return {"train": train, "test": test}


def read(root, split, axes):
    """The array of `axes` axes of a split, and the name of where it comes from."""
    kind, expected = KINDS[axes], SHAPES[axes]
    if root.is_dir():
        path = idx_file(root, f"{PREFIXES[split]}-{kind}-idx{axes}-ubyte")
        array, source = read_idx(path, expected), path
        if len(array) != COUNTS[split]:
            raise ValueError(
                f"{path} has {len(array)} {kind}, but the {split} split has {COUNTS[split]}: "
                f"were files swapped?{LAYOUT}"
            )
    else:
        key = f"{'x' if axes == 3 else 'y'}_{split}"
        array, source = read_npz(root, key), f"{root}[{key!r}]"
    if array.ndim != axes or array.dtype != np.uint8 or array.shape[1:] not in ((), (28, 28)):
        came = f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"{source}: expected uint8 {expected}, got {came}{LAYOUT}")
    if axes == 1 and array.max(initial=0) > 9:
        raise ValueError(f"{source}: expected labels 0..9, got up to {array.max()}{LAYOUT}")
    return array, source


def idx_file(root, name):
    """The path of an official file, under any of the names it goes by."""
    names = [name, name.replace("-idx", ".idx")]  # the second is what many unpackers make of it
    for path in (root / f"{name}{suffix}" for name in names for suffix in ("", ".gz")):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{root / name} is missing, and so is its .gz{LAYOUT}")


def read_idx(path, expected):
    """The array in an idx file of bytes: 0, 0, 8, number of axes, their sizes, the data."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, gzip.zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}. Get a new copy.") from error
    axes = content[3] if content[:4] in (b"\0\0\x08\1", b"\0\0\x08\3") else 0
    header, data = content[4 : 4 + 4 * axes], content[4 + 4 * axes :]
    shape = np.frombuffer(header, ">u4").astype(int) if len(header) == 4 * axes else ()
    if not axes or len(data) != np.prod(shape):
        begins = f"begins with {content[:4].hex(' ')} and has {len(content)} bytes"
        raise ValueError(f"{path}: expected an idx file of uint8 {expected}, but it {begins}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def read_npz(path, key):
    try:
        with open(path, "rb") as file, np.load(file) as archive:
            return archive[key]
    except Exception as error:  # a damaged archive raises whatever its bytes happen to mean
        raise ValueError(f"{path} has no whole array {key!r}: {error}{LAYOUT}") from error
