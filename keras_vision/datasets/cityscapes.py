"""Cityscapes (Cordts et al. 2016): streets of 50 cities, pixel by pixel and object by object.

It is for non-commercial use, on terms of its own.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_vision.datasets import _label_maps, _photos, check_split
from keras_vision.images import VOID

splits = ("train", "val", "test", "train_extra")
KINDS = ("gtFine", "gtCoarse")
# The 34 classes of the files by their number there, with colours; those that are evaluated are
# numbered anew, and the others are void.
CLASSES = (
    ("unlabeled", VOID, (0, 0, 0)), ("ego vehicle", VOID, (0, 0, 0)),
    ("rectification border", VOID, (0, 0, 0)), ("out of roi", VOID, (0, 0, 0)),
    ("static", VOID, (0, 0, 0)), ("dynamic", VOID, (111, 74, 0)), ("ground", VOID, (81, 0, 81)),
    ("road", 0, (128, 64, 128)), ("sidewalk", 1, (244, 35, 232)),
    ("parking", VOID, (250, 170, 160)), ("rail track", VOID, (230, 150, 140)),
    ("building", 2, (70, 70, 70)), ("wall", 3, (102, 102, 156)), ("fence", 4, (190, 153, 153)),
    ("guard rail", VOID, (180, 165, 180)), ("bridge", VOID, (150, 100, 100)),
    ("tunnel", VOID, (150, 120, 90)), ("pole", 5, (153, 153, 153)),
    ("polegroup", VOID, (153, 153, 153)), ("traffic light", 6, (250, 170, 30)),
    ("traffic sign", 7, (220, 220, 0)), ("vegetation", 8, (107, 142, 35)),
    ("terrain", 9, (152, 251, 152)), ("sky", 10, (70, 130, 180)), ("person", 11, (220, 20, 60)),
    ("rider", 12, (255, 0, 0)), ("car", 13, (0, 0, 142)), ("truck", 14, (0, 0, 70)),
    ("bus", 15, (0, 60, 100)), ("caravan", VOID, (0, 0, 90)), ("trailer", VOID, (0, 0, 110)),
    ("train", 16, (0, 80, 100)), ("motorcycle", 17, (0, 0, 230)), ("bicycle", 18, (119, 11, 32)),
)  # fmt: skip
EVALUATED = [(name, number, colour) for number, (name, label, colour) in enumerate(CLASSES)
             if label != VOID]  # fmt: skip
class_names = tuple(name for name, _, _ in EVALUATED)
palette = tuple(colour for _, _, colour in EVALUATED)
label_ids = tuple(number for _, number, _ in EVALUATED)  # of the labels 0, 1, 2 ... in the files
LABELS = {number: label for number, (_, label, _) in enumerate(CLASSES)}
FIRST_INSTANCE = 1000  # numbers below are classes, of what is not told apart

LAYOUT = """
Expected is the official layout, `root` being the folder with:
    leftImg8bit/<split>/<city>/<city>_000000_000000_leftImg8bit.png
    gtFine/<split>/<city>/<city>_000000_000000_gtFine_labelIds.png
or gtCoarse in place of gtFine. Get it from cityscapes-dataset.com, after registration."""


def load(split, root, kind="gtFine", instances=False, skip_broken=False):
    """`Rows` of one raw dict a photo, in the order of their names, city after city:

        image         uint8 (H, W, 3), 1024x2048 as published
        label_map     int32 (H, W), 0..18, the official trainIds, and 255 for what is not evaluated
        instance_map  int32 (H, W), only with instances=True: the official number of a class, or
                      1000 times that and the number of an object; see `objects`
        city          string ()
        name          string (), path below `root`

    split: "train" (2,975 photos), "val" (500), "test" (1,525, with all pixels void), or of the
        coarse labels "train_extra" (19,998).
    root: the folder with `leftImg8bit` and `gtFine` or `gtCoarse`, or with some of their cities.
    kind: "gtFine" or "gtCoarse".
    skip_broken: leave out photos that cannot be read, or have no labels; one warning names them
        all. Costs as much as reading the split once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a photo whose
    files are broken, of different sizes or with unknown numbers raises
    tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    cities = _photos.folders(root, f"leftImg8bit/{split}", LAYOUT)
    files = [
        f"{split}/{city}/{name}"
        for city in cities
        for name in _photos.pictures(root / f"leftImg8bit/{split}/{city}")
        if name.endswith("_leftImg8bit.png")
    ]

    def beside(what):
        return [f"{kind}/{file.replace('leftImg8bit', f'{kind}_{what}')}" for file in files]

    label_files, instance_files = beside("labelIds"), beside("instanceIds")
    if not skip_broken:
        lost = sorted(city for city in cities if not (root / kind / split / city).is_dir())
        fix = f" (of the cities {', '.join(lost)} there is nothing)" if lost else ""
        needed = label_files + (instance_files if instances else [])
        _label_maps.refuse_missing(root, needed, LAYOUT, fix)
    pairs = [
        (f"leftImg8bit/{file}", other) for file, other in zip(files, label_files, strict=True)
    ]
    more = {"city": [file.split("/")[1] for file in files]}
    more |= {"instance_file": instance_files} if instances else {}
    rows = _label_maps.rows(root, pairs, LABELS, class_names, more)
    if instances:
        rows = _label_maps.with_map(rows, root, "instance_file", "instance_map")
    return _label_maps.loaded(rows, root, LAYOUT, skip_broken)


def to_label_ids(labels):
    """Labels 0..18 and 255, of any shape -> the official numbers, as the test server has them."""
    table = np.zeros(VOID + 1, "int32")
    table[: len(label_ids)] = label_ids
    return table[np.asarray(labels)]


def objects(instance_map):
    """{"boxes" (N, 4), "labels" (N,), "masks" bool (N, H, W)} of an instance map (H, W).

    Objects of classes that are not evaluated go, and groups that nobody told apart.
    """
    numbers = tf.sort(tf.unique(tf.reshape(instance_map, [-1])).y)
    table = tf.constant([label for _, label, _ in CLASSES], tf.int32)
    labels = tf.gather(table, numbers // FIRST_INSTANCE)
    kept = (numbers >= FIRST_INSTANCE) & (labels != VOID)
    masks = instance_map == tf.boolean_mask(numbers, kept)[:, None, None]
    return {
        "boxes": _label_maps.around(masks),
        "labels": tf.boolean_mask(labels, kept),
        "masks": masks,
    }


def polygons(path):
    """[(name of the class, corners float32 (N, 2) as x, y)] of a `..._polygons.json`.

    In the order of drawing: what comes later hides what came before. Raises ValueError where the
    file is none.
    """
    try:
        found = json.loads(Path(path).read_text())["objects"]
        return [(one["label"], np.array(one["polygon"], "float32").reshape(-1, 2))
                for one in found if not one.get("deleted")]  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected objects with label and polygon: {error!r}") from error
