"""Cells under the electron microscope (ISBI 2012 challenge, Arganda-Carreras et al. 2015)."""

from pathlib import Path

from keras_vision.datasets import _label_maps, _photos, check_split

splits = ("train", "test")
class_names = ("membrane", "cell")
palette = ((0, 0, 0), (255, 255, 255))
LABELS = {0: 0, 255: 1}

LAYOUT = """
Expected is the challenge as single pictures, `root` being the folder with:
    train/image/0.png ...  train/label/0.png ...  test/0.png ...
Get it from github.com/zhixuhao/unet (data/membrane)."""


def load(split, root, skip_broken=False):
    """`Rows` of one raw dict a picture, in the order of their numbers:

        image      uint8 (H, W, 3), 512x512 as published, grey
        label_map  int32 (H, W), 0 membrane, 1 cell; of "train" only
        name       string (), path below `root`

    split: "train" (30 pictures) or "test" (30, whose labels were never published).
    root: the folder with `train` and `test`.
    skip_broken: leave out pictures that cannot be read; one warning names them all.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a picture
    whose files are broken, of different sizes or with unknown numbers raises
    tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    folder = "train/image" if split == "train" else "test"
    if not (root / folder).is_dir():
        raise FileNotFoundError(f"{root / folder} is missing{LAYOUT}")
    names = sorted(_photos.pictures(root / folder), key=lambda name: (len(name), name))
    files = [f"{folder}/{name}" for name in names]
    if split == "test":
        rows = _photos.unlabelled(root, files, class_names)
        return _label_maps.loaded(rows, root, LAYOUT, skip_broken)
    pairs = [(file, f"train/label/{name}") for file, name in zip(files, names, strict=True)]
    if not skip_broken:
        _label_maps.refuse_missing(root, [label for _, label in pairs], LAYOUT)
    rows = _label_maps.rows(root, pairs, LABELS, class_names)
    return _label_maps.loaded(rows, root, LAYOUT, skip_broken)
