"""Anybody's own pictures: one folder a class."""

import warnings
from pathlib import Path

from keras_vision.datasets import _photos

KINDS = " ".join(suffix[1:] for suffix in _photos.SUFFIXES)
LAYOUT = f"""
Expected is one folder a class, named as the class is, with its pictures ({KINDS}):
    root/cat/1.jpg  root/cat/2.jpg ...
    root/dog/1.jpg ..."""


def load(root, decode=True, skip_broken=False):
    """`Rows` of one raw dict a picture, in the order of their names, class after class.

        image  uint8 (H, W, 3), sRGB of any size; grey and CMYK files become RGB, and alpha is put
               on white. Pictures are not turned by their EXIF orientation. With decode=False it
               is a string (), the bytes of the file.
        label  int32 (), 0, 1, 2 ... in the order of the folders' names, which are `class_names`
        name   string (), path below `root`

    root: a folder of class folders, two at least. Hidden files and folders are passed over.
    skip_broken: leave out files that are no pictures, or broken ones; warnings name them all.
        Costs as much as reading all pictures once, before this function returns.

    There are no splits. Keep every fifth picture for validation, say, which is a fifth of each
    class, and train on the others:

        rows = folder.load(root)
        fifth = np.arange(len(rows)) % 5 == 0
        train, val = rows.select(~fifth), rows.select(fifth)

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a broken
    picture raises tf.errors.InvalidArgumentError with its name.
    """
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    class_names = _classes(root)
    labels = {name: label for label, name in enumerate(class_names)}
    others = [name for folder in class_names for name in _others(root, folder)]
    if others and skip_broken:
        warnings.warn(f"{root}: no pictures ({KINDS}): {', '.join(others)}", stacklevel=2)
    elif others:
        fix = f"no pictures ({KINDS}); skip_broken=True leaves them out"
        _photos.refuse(others, f"{root}: {fix}", "")
    found = _photos.by_folder(root, "", labels, LAYOUT)
    photos = _photos.rows(root, found, class_names)
    photos = photos.whole() if skip_broken else photos
    return _photos.finished(photos, root, decode)


def unlabelled(root, decode=True, skip_broken=False):
    """`Rows` like those of `load`, without labels, of the pictures in a folder and those in it.

    Hidden files and folders are passed over.
    """
    root = Path(root).absolute()
    found = files(root, _photos.SUFFIXES)
    photos = _photos.unlabelled(root, found)
    photos = photos.whole() if skip_broken else photos
    return _photos.finished(photos, root, decode)


def files(root, suffixes):
    """Paths below `root` of the files of these suffixes in it and in its folders, sorted."""
    below = (path.relative_to(root) for path in Path(root).rglob("*") if path.is_file())
    found = sorted(
        str(path)
        for path in below
        if path.name.lower().endswith(suffixes) and not any(p.startswith(".") for p in path.parts)
    )
    if not found:
        kinds = " ".join(suffix[1:] for suffix in suffixes)
        raise FileNotFoundError(f"{root}: not one picture ({kinds}) in it, or in its folders")
    return found


def _classes(root):
    names = _photos.folders(root, "", LAYOUT)
    if not names and _photos.pictures(root):
        raise FileNotFoundError(f"{root}: pictures, but no class folder{LAYOUT}")
    outer = [name for name in names if _holds_folders(root, name)]
    if outer:
        inner = str(root / ("train" if "train" in outer else outer[0]))
        fix = f"if those are the classes, pass one of these, such as {inner!r}"
        raise ValueError(f"{root}: folders without pictures, but with folders; {fix}{LAYOUT}")
    if len(names) == 1:
        alone = f"{root}: {names[0]} is the only class"
        raise ValueError(f"{alone}, and a classifier needs two at least{LAYOUT}")
    return names


def _holds_folders(root, name):
    return bool(_photos.folders(root, name, LAYOUT)) and not _photos.pictures(root / name)


def _others(root, folder):
    """What is no picture in a class folder, as paths below `root`."""
    names = (entry.name for entry in _photos.visible(root / folder))
    return [f"{folder}/{name}" for name in sorted(names) if not _photos.is_picture(name)]
