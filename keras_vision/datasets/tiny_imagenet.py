"""Tiny ImageNet (Stanford CS231n): 64x64 photos of 200 classes, one box each."""

import os
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_vision.datasets import _photos, check_split
from keras_vision.rows import Rows

SIZE = 64
NAMES = Path(__file__).parent / "names" / "tiny_imagenet.txt"

splits = ("train", "val", "test")
# Words like "goldfish, Carassius auratus", in the order of the official labels.
class_names = tuple(line.split("\t")[1] for line in NAMES.read_text().splitlines())

LAYOUT = """
Expected is the official layout, `root` being the folder tiny-imagenet-200:
    wnids.txt  words.txt
    train/<wnid>/images/*.JPEG  train/<wnid>/<wnid>_boxes.txt
    val/images/*.JPEG  val/val_annotations.txt
    test/images/*.JPEG
Get it with: python scripts/download_tiny_imagenet.py DIR"""

_refuse = partial(_photos.refuse, layout=LAYOUT)


def load(split, root, skip_broken=False):
    """`Rows` of one raw dict a picture, in the order of their names, class after class.

        image  uint8 (64, 64, 3), sRGB; grey files become RGB
        label  int32 (), line of wnids.txt counted from 0; -1 in the unlabelled test split
        box    float32 (4,), corners [x1, y1, x2, y2] in continuous pixels, 0..64. The files give
               the first and the last pixel inside, so "0 0 63 63" becomes [0, 0, 64, 64].
               The test split has no boxes: there it is the whole picture.
        name   string (), path below `root`

    split: "train", "val" or "test".
    root: the folder tiny-imagenet-200, or a subset of it in the same layout.
    skip_broken: leave out the files that are not whole 64x64 JPEGs; one warning names them all.
        Costs as much as reading the split once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a broken
    picture raises tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    ids = wnids(root)
    found = sorted({"train": _train, "val": _val, "test": _test}[split](root, ids))
    names, labels, boxes = zip(*found, strict=True) if found else ((), (), ())
    columns = {
        "name": np.array(names, "U"),
        "label": np.array(labels, "int32"),
        "box": np.array(boxes, "float32").reshape(-1, 4),
    }

    def read(row):
        data = tf.io.read_file(tf.strings.join([str(root), row["name"]], "/"))
        return {"image": _photos.of_side(_photos.jpeg(data), SIZE), **row}

    rows = Rows(columns, read, _words(root, ids))
    rows = rows.whole() if skip_broken else rows
    if not len(rows):
        raise FileNotFoundError(f"{root / split}: not one picture *.JPEG to read{LAYOUT}")
    return rows


def wnids(root):
    """WordNet ids, one a class, in the order that numbers the labels."""
    path, inner = Path(root) / "wnids.txt", Path(root) / "tiny-imagenet-200"
    if not path.exists() and (inner / "wnids.txt").exists():
        fix = f"root is one level too high, pass {str(inner)!r}"
        raise FileNotFoundError(f"{path} is missing: {fix}{LAYOUT}")
    ids = [wnid for (wnid,) in _lines(path, "wnid")]
    _refuse(_twice(ids), f"{path}: listed twice")
    return ids


def _words(root, ids):
    """The words of each class, in the order of `ids`."""
    path = root / "words.txt"
    words = dict(_lines(path, "wnid words"))
    _refuse(set(ids) - set(words), f"{path}: no words for wnids of wnids.txt")
    return [words[wnid] for wnid in ids]


def _train(root, ids):
    folders = {name for name in _listed(root, "train") if (root / "train" / name).is_dir()}
    counts = f"{root / 'train'}: {len(folders)} class folders, but {len(ids)} wnids in wnids.txt"
    _refuse(folders - set(ids), f"{counts}; folders that wnids.txt lacks")
    _refuse(set(ids) - folders, f"{counts}; wnids without a folder")
    rows = []
    for label, wnid in enumerate(ids):
        source = f"train/{wnid}/{wnid}_boxes.txt"
        pictures = _pictures(root, f"train/{wnid}/images", source, "file x1 y1 x2 y2")
        rows += [(name, label, box) for name, box in pictures]
    return rows


def _val(root, ids):
    source = "val/val_annotations.txt"
    pictures = _pictures(root, "val/images", source, "file wnid x1 y1 x2 y2")
    unknown = {wnid for _, wnid, _ in pictures} - set(ids)
    _refuse(unknown, f"{root / source}: wnids that wnids.txt lacks")
    labels = {wnid: label for label, wnid in enumerate(ids)}
    return [(name, labels[wnid], box) for name, wnid, box in pictures]


def _test(root, ids):
    del ids  # no labels
    files = _jpegs(root, "test/images")
    return [(f"test/images/{file}", -1, (0, 0, SIZE, SIZE)) for file in files]


def _pictures(root, folder, source, columns):
    """[(path below root, ..., box)] of a folder, provided that the file `source` lists just it."""
    lines = _lines(root / source, columns, _boxed)
    listed, there = [file for file, *_ in lines], _jpegs(root, folder)
    _refuse(_twice(listed), f"{root / source}: listed twice")
    _refuse(set(listed) - there, f"{root / source}: lines without a picture in {folder}")
    _refuse(there - set(listed), f"{root / folder}: pictures without a line in {source}")
    return [(f"{folder}/{file}", *rest) for file, *rest in lines]


def _lines(path, columns, parse=tuple):
    """Parsed fields of each line of a tab-separated file; a ValueError gives the line's number."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing{LAYOUT}")
    rows = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        fields = line.split("\t")
        try:
            if len(fields) != len(columns.split()) or "" in fields:
                raise ValueError(f"{len(fields)} columns")
            rows.append(parse(fields))
        except ValueError as error:
            expected = f"expected {columns}, separated by tabs"
            place = f"{path}, line {number}: {expected}, got {line!r} ({error})"
            raise ValueError(place + LAYOUT) from None
    return rows


def _boxed(fields):
    """[..., x1, y1, x2, y2] as text, pixels inside -> (..., continuous corners)."""
    x1, y1, x2, y2 = map(int, fields[-4:])
    if not (0 <= x1 <= x2 < SIZE and 0 <= y1 <= y2 < SIZE):
        raise ValueError(f"not a box inside 0..{SIZE - 1}")
    return *fields[:-4], (x1, y1, x2 + 1, y2 + 1)


def _jpegs(root, folder):
    return {file for file in _listed(root, folder) if file.endswith(".JPEG")}


def _listed(root, folder):
    if not (root / folder).is_dir():
        raise FileNotFoundError(f"{root / folder} is missing{LAYOUT}")
    return os.listdir(root / folder)


def _twice(items):
    return {item for item, count in Counter(items).items() if count > 1}
