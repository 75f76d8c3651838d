"""Omniglot (Lake, Salakhutdinov, Tenenbaum 2015): handwritten characters of 50 alphabets."""

import os
import re
from functools import partial
from pathlib import Path

import tensorflow as tf

from keras_vision.datasets import _photos, check_split
from keras_vision.rows import Rows

SIZE = 105
DRAWING = re.compile(r"\d{4}_(0[1-9]|1\d|20)\.png")  # the character's number, the drawer's

splits = ("background", "evaluation")

LAYOUT = """
Expected is the official layout, or some alphabets and characters of it:
    images_background/<alphabet>/character01/0001_01.png ... 0001_20.png
    images_evaluation/<alphabet>/...
Get images_background.zip and images_evaluation.zip from github.com/brendenlake/omniglot, where
they lie in the folder python, and unpack both into `root`."""


def load(split, root, skip_broken=False):
    """`Rows` of one raw dict a drawing, in the order of their names, character after character.

        image     uint8 (105, 105, 1), 0 ink, 255 paper
        label     int32 (), 0, 1, 2 ... the character, counted over all alphabets of the split in
                  the order of the names. `class_names` are like "Greek/character01".
        alphabet  int32 (), 0, 1, 2 ... in the order of the names
        drawer    int32 (), 0..19, who drew it; the files have 01..20
        name      string (), path below `root`

    split: "background" (30 alphabets, 964 characters, 20 drawings of each), to learn from, or
        "evaluation" (20 alphabets, 659 characters), none of which is in the other.
    root: the folder with `images_background` and `images_evaluation`. Alphabets, characters and
        drawings may be missing; the numbers are those of the folders found.
    skip_broken: leave out the files that are not whole 105x105 PNGs; one warning names them all.
        Costs as much as reading the split once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a broken
    drawing raises tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    folder = f"images_{split}"
    _refuse_near_misses(root, folder)
    characters = [
        (number, f"{alphabet}/{character}")
        for number, alphabet in enumerate(_folders(root, folder))
        for character in _folders(root, f"{folder}/{alphabet}")
    ]
    found = [
        (f"{folder}/{character}/{file}", label, alphabet, drawer)
        for label, (alphabet, character) in enumerate(characters)
        for file, drawer in _drawings(root / folder / character)
    ]
    names, labels, alphabets, drawers = zip(*found, strict=True)
    columns = {
        # As bytes, since a file's name may be in any encoding.
        "name": tf.constant([os.fsencode(name) for name in names], tf.string),
        "label": tf.constant(labels, tf.int32),
        "alphabet": tf.constant(alphabets, tf.int32),
        "drawer": tf.constant(drawers, tf.int32),
    }
    rows = Rows(columns, partial(_read, os.fsencode(root)), [name for _, name in characters])
    rows = rows.whole() if skip_broken else rows
    if not len(rows):
        raise FileNotFoundError(f"{root / folder}: not one drawing can be read{LAYOUT}")
    return rows


def _read(root, row):
    data = tf.io.read_file(tf.strings.join([root, row["name"]], "/"))
    # The files have 1 bit a pixel, which becomes 0 or 255.
    image = tf.io.decode_png(data, channels=1)
    return {"image": _photos.of_side(image, SIZE, 1), **row}


def _refuse_near_misses(root, folder):
    """Raises FileNotFoundError where the official files are near, but not yet `root`/`folder`."""
    if (root / folder).is_dir():
        return
    archive = root / f"{folder}.zip"
    if archive.is_file():
        fix = f"unpack {str(archive)!r} there, which holds it"
        raise FileNotFoundError(f"{root / folder} is missing: {fix}{LAYOUT}")
    if (root.parent / folder).is_dir():
        fix = f"root is one level too low, pass {str(root.parent)!r}"
        raise FileNotFoundError(f"{root / folder} is missing: {fix}{LAYOUT}")


def _folders(root, folder):
    names = _photos.folders(root, folder, LAYOUT)
    if not names:
        raise FileNotFoundError(f"{root / folder}: not one folder in it{LAYOUT}")
    beside = f"{root / folder}: pictures beside the folders"
    _photos.refuse(_photos.pictures(root / folder), beside, LAYOUT)
    return names


def _drawings(place):
    """[(name of a file, drawer)] of a character's folder, in the order of the names."""
    names = sorted(entry.name for entry in _photos.visible(place))
    if not names:
        raise FileNotFoundError(f"{place}: not one drawing in it{LAYOUT}")
    matches = {name: DRAWING.fullmatch(name) for name in names}
    strange = [name for name, match in matches.items() if not match]
    _photos.refuse(strange, f"{place}: not named as a drawing of 01..20 is", LAYOUT)
    return [(name, int(match[1]) - 1) for name, match in matches.items()]
