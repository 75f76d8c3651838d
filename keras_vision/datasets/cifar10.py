"""CIFAR-10 (Krizhevsky): 32x32 photos of ten classes."""

import pickle
from pathlib import Path

import numpy as np

from keras_vision.datasets import _photos, check_split
from keras_vision.rows import Rows

SIZE = 32
PIXELS = SIZE * SIZE * 3

splits = ("train", "test")
class_names = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
COUNT = 10_000  # pictures in a batch
INNER = ("cifar-10-batches-bin", "cifar-10-batches-py", "CIFAR-10-images", "")
LAYOUT = """
Expected is one of these three, `root` being the folder or the one that it lies in:
    cifar-10-batches-bin/data_batch_1.bin ... data_batch_5.bin  test_batch.bin
    cifar-10-batches-py/data_batch_1 ... data_batch_5  test_batch
    CIFAR-10-images/{train,test}/<class>/*.jpg, or *.png, as airplane, automobile, bird ...
Get the first two from https://www.cs.toronto.edu/~kriz/cifar.html."""


def load(split, root, skip_broken=False):
    """`Rows` of one raw dict a picture, in the files' order.

        image  uint8 (32, 32, 3), sRGB
        label  int32 (), 0..9
        name   string (), path below the folder; only where each picture is a file of its own

    split: "train" (50,000 pictures) or "test" (10,000).
    root: a folder with the official batches, the binary or the Python ones, or with a folder a
        class, of which some may be missing; or the folder around it.
    skip_broken: leave out the files of class folders that are not whole 32x32 pictures; one
        warning names them all. Costs as much as reading the split once, before `load` returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Nothing that a pickle
    asks for is run. Reading a broken picture raises tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()
    for folder in (root / inner for inner in INNER):
        for suffix, read in ((".bin", _from_binary), ("", _from_pickle)):
            names = [f"{name}{suffix}" for names in BATCHES.values() for name in names]
            if any((folder / name).is_file() for name in names):
                return _batches([folder / f"{name}{suffix}" for name in BATCHES[split]], read)
        if any((folder / name).is_dir() for name in splits):
            photos = _pictures(folder, split)
            photos = photos.whole() if skip_broken else photos
            return _photos.finished(photos, folder, decode=True)
    raise FileNotFoundError(f"{root}: neither batches of CIFAR-10 nor train or test{LAYOUT}")


def _pictures(folder, split):
    labels = {name: label for label, name in enumerate(class_names)}
    found = _photos.by_folder(folder, split, labels, LAYOUT)
    photos = _photos.rows(folder, found, class_names)

    def read(row):
        raw = photos.read(row)
        return {**raw, "image": _photos.of_side(raw["image"], SIZE)}

    return Rows(photos.columns, read, class_names)


def _batches(paths, read):
    """`Rows` of these files, of which `read` makes (labels, pixels)."""
    images, labels = zip(*(_batch(path, read) for path in paths), strict=True)
    columns = {"image": np.concatenate(images), "label": np.concatenate(labels)}
    return Rows(columns, class_names=class_names)


def _batch(path, read):
    """(images uint8 (N, 32, 32, 3), labels int32 (N,)) of a file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing{LAYOUT}")
    labels, pixels = read(path)
    if labels.shape != (COUNT,) or pixels.shape != (COUNT, PIXELS):
        came = f"{labels.shape} labels and {pixels.shape} pixels"
        expected = f"expected labels of {COUNT:,} pictures and {PIXELS:,} pixels of each"
        raise ValueError(f"{path}: {expected}, got {came}. Get a new copy.")
    if not np.isin(labels, range(10)).all():
        wrong = labels[~np.isin(labels, range(10))][0]
        raise ValueError(f"{path}: expected labels 0..9, got {wrong}. Is it CIFAR-10?")
    planes = pixels.reshape(-1, 3, SIZE, SIZE)  # all of red, then of green, then of blue
    return planes.transpose(0, 2, 3, 1), labels.astype("int32")


def _from_binary(path):
    """Records of a byte of label and 3,072 of pixels."""
    data = np.fromfile(path, np.uint8)
    if len(data) != COUNT * (1 + PIXELS):
        expected = f"{COUNT:,} records of {1 + PIXELS:,} bytes"
        raise ValueError(f"{path}: expected {expected}, got {len(data):,}. Get a new copy.")
    records = data.reshape(COUNT, 1 + PIXELS)
    return records[:, 0], records[:, 1:]


def _from_pickle(path):
    """A dict, of which `labels` is a list and `data` an array uint8 (N, 3072)."""
    try:
        with open(path, "rb") as file:
            # Python 2 wrote the official ones, whose strings are bytes.
            found = _Batch(file, encoding="bytes").load()
        found = {key.decode() if isinstance(key, bytes) else key: found[key] for key in found}
        return np.array(found["labels"], int), found["data"].values
    except Exception as error:  # whatever damaged bytes happen to raise
        problem = f"{path} is no whole batch of CIFAR-10: {error or type(error).__name__}"
        raise ValueError(f"{problem}. Get a new copy.") from error


class _Batch(pickle.Unpickler):
    """Reads lists, dicts and arrays of bytes; a pickle can otherwise run any code.

    Not even NumPy is called, only what stands for it here.
    """

    def find_class(self, module, name):
        known = KNOWN.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise ValueError(f"it wants to run {module}.{name}, which no batch needs")
        return known


class _Array:
    """Stands for numpy.core.multiarray._reconstruct, and for the array it makes."""

    def __init__(self, *arguments):
        self.values = None

    def __setstate__(self, state):
        _, shape, _, by_columns, data = state
        order = "F" if by_columns else "C"
        self.values = np.frombuffer(data, np.uint8).reshape(shape, order=order)


class _Buffer(_Array):
    """Stands for numpy.core.numeric._frombuffer, of pickles since protocol 5."""

    def __init__(self, data, kind, shape, order):
        self.values = np.frombuffer(data, np.uint8).reshape(shape, order=order)


class _Kind:
    """Stands for numpy.dtype, of which bytes are the only one."""

    def __init__(self, name, *flags):
        if name not in ("u1", b"u1"):
            raise ValueError(f"it has an array of {name}, not of uint8")

    def __setstate__(self, state):
        pass


KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _Buffer,
    ("numpy", "ndarray"): object,
    ("numpy", "dtype"): _Kind,
    (
        "_codecs",
        "encode",
    ): bytes,  # of a string and "latin1", as in protocol 2
}
