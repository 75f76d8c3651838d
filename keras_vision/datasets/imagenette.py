"""Imagenette (Howard, fast.ai): ten classes of ImageNet that are easy to tell apart."""

from pathlib import Path

from keras_vision.datasets import _photos, check_split

splits = ("train", "val")
CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
wnids, class_names = tuple(CLASSES), tuple(CLASSES.values())

LAYOUT = """
Expected is the official layout, `root` being imagenette2, imagenette2-320 or imagenette2-160:
    train/<wnid>/*.JPEG
    val/<wnid>/*.JPEG
Get it from https://github.com/fastai/imagenette."""


def load(split, root, decode=True, skip_broken=False):
    """`Rows` of one raw dict a photo, in the order of their names, class after class.

        image  uint8 (H, W, 3), sRGB of any size; the short side is 160 or 320 in the folders that
               say so. With decode=False it is a string (), the bytes of the file.
        label  int32 (), 0..9, place of the wnid among the sorted ones
        name   string (), path below `root`

    split: "train" (9,469 photos) or "val" (3,925).
    root: the folder with `train` and `val`; some of the classes will do.
    skip_broken: leave out the files that are no whole photos; one warning names them all. Costs
        as much as reading the split once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a broken
    photo raises tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    found = _photos.by_folder(root, split, labels, LAYOUT)
    photos = _photos.rows(root, found, class_names)
    photos = photos.whole() if skip_broken else photos
    return _photos.finished(photos, root, decode)
