"""DAVIS 2017 (Perazzi et al. 2016, Pont-Tuset et al. 2017): short films, object by object.

The lists of DAVIS 2016, one object a film, have another form and are not read.
"""

import os
from itertools import groupby
from pathlib import Path

import tensorflow as tf

from keras_vision.datasets import _label_maps, _photos, check_split
from keras_vision.rows import Rows

splits = ("train", "val")
class_names = ()  # objects are told apart, whatever they are
LABELS = {number: number for number in range(256)}  # 255 is void in the files, too

LAYOUT = """
Expected is the official layout of DAVIS 2017, `root` being the folder with:
    ImageSets/2017/train.txt  ImageSets/2017/val.txt
    JPEGImages/480p/<sequence>/00000.jpg ...
    Annotations/480p/<sequence>/00000.png ...
or another resolution in place of 480p. Get it from davischallenge.org (DAVIS 2017, TrainVal)."""


def load(split, root, resolution="480p", skip_broken=False):
    """`Rows` of one raw dict a frame, sequence after sequence as listed, frame after frame:

        image      uint8 (H, W, 3), 480 high and mostly 854 wide at 480p
        label_map  int32 (H, W), 0 background, 1, 2 ... the objects, and 255 void; a number is the
                   same object throughout its sequence, and stands for no class
        sequence   string (), such as "bear"
        frame      int32 (), 0, 1 ... its number in the sequence, which is the file's
        name       string (), path of the photo below `root`

    split: "train" (60 sequences) or "val" (30), or as many as the lists name.
    root: the folder with `ImageSets`, `JPEGImages` and `Annotations`.
    resolution: the name of the folders, "480p" or "Full-Resolution".
    skip_broken: leave out frames that cannot be read, or have no annotation; one warning names
        them all. Costs as much as reading the split once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a frame
    whose files are broken or of different sizes raises tf.errors.InvalidArgumentError with its
    name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    photos, annotations = f"JPEGImages/{resolution}", f"Annotations/{resolution}"
    there = set(_photos.folders(root, photos, LAYOUT))
    _photos.folders(root, annotations, LAYOUT)
    listed = _listed(root, split)
    files = {name: _photos.pictures(root / photos / name) for name in listed if name in there}
    lost = [name for name in listed if not files.get(name)]
    if lost:
        problem = f"{root / photos}: no folder of photos for {_photos.some(lost)}"
        raise FileNotFoundError(f"{problem}, listed in ImageSets/2017/{split}.txt{LAYOUT}")
    frames = [(name, *os.path.splitext(file)) for name in listed for file in files[name]]
    strange = [f"{name}/{stem}{suffix}" for name, stem, suffix in frames if not stem.isdecimal()]
    _photos.refuse(strange, f"{root / photos}: not named by the frame's number", LAYOUT)
    order = {name: number for number, name in enumerate(listed)}
    frames.sort(key=lambda frame: (order[frame[0]], int(frame[1])))  # 10 after 9
    pairs = [
        (f"{photos}/{name}/{stem}{suffix}", f"{annotations}/{name}/{stem}.png")
        for name, stem, suffix in frames
    ]
    if not skip_broken:
        _label_maps.refuse_missing(root, [file for _, file in pairs], LAYOUT)
    more = {"sequence": [name for name, _, _ in frames]}
    rows = _label_maps.rows(root, pairs, LABELS, class_names, more)
    numbers = tf.constant([int(stem) for _, stem, _ in frames], tf.int32)
    rows = Rows({**rows.columns, "frame": numbers}, rows.read, class_names)
    return _label_maps.loaded(rows, root, LAYOUT, skip_broken)


def sequences(rows):
    """{name of a sequence: slice of its row numbers} of what `load` returns, in order.

    `rows.select(sequences(rows)["bear"])` is a film. Raises ValueError where the rows of a
    sequence do not follow one another.
    """
    found, first = {}, 0
    for name, run in groupby(rows.columns["sequence"].numpy(), os.fsdecode):
        if name in found:
            raise ValueError(f"the rows of {name} do not follow one another: were they shuffled?")
        end = first + len(list(run))
        found[name] = slice(first, end)
        first = end
    return found


def _listed(root, split):
    """The names of the split's sequences, in the order of its list."""
    path, older = root / f"ImageSets/2017/{split}.txt", root / f"ImageSets/480p/{split}.txt"
    if not path.is_file():
        fix = ": there is a list of DAVIS 2016, which has another form" if older.is_file() else ""
        raise FileNotFoundError(f"{path} is missing{fix}{LAYOUT}")
    names = path.read_text().split()
    _photos.refuse({n for n in names if names.count(n) > 1}, f"{path}: listed twice", LAYOUT)
    return names
