"""COCO (Lin et al. 2014), as split in 2017: photos, boxes and masks of objects of 80 classes."""

import json
import mmap
import os
import warnings
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import tensorflow as tf

from keras_vision.datasets import _photos, check_split
from keras_vision.rows import Rows

splits = ("train", "val")
class_names = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # of 91 categories once planned
# Of the labels 0, 1, 2 ..., as the files and the official evaluation number the classes.
category_ids = tuple(number for number in range(1, 91) if number not in UNUSED)

LAYOUT = """
Expected is the official layout of 2017, `root` being the folder with:
    annotations/instances_train2017.json  annotations/instances_val2017.json
    train2017/*.jpg  val2017/*.jpg
Get it with: python scripts/download_coco.py DIR"""

TABLE = np.dtype([
    ("id", "i8"), ("image", "i8"), ("category", "i8"),
    ("box", "f8", 4), ("area", "f8"), ("crowd", "?"),
])  # fmt: skip

Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class _Image(msgspec.Struct):
    id: Id
    file_name: str
    height: Side
    width: Side


class _Category(msgspec.Struct):
    id: Id
    name: str


class _Listed(msgspec.Struct):
    images: list[_Image]
    annotations: list[msgspec.Raw]  # places in the mapped file: outlines would fill the memory
    categories: list[_Category]


class _Annotation(msgspec.Struct):
    """In the order of TABLE."""

    id: Id
    image_id: Id
    category_id: Id
    bbox: tuple[float | None, float | None, float | None, float | None]  # x, y, width, height
    area: float | None
    iscrowd: Id = 0


class _Outlined(msgspec.Struct):
    id: Id
    segmentation: list | dict  # polygons, or run lengths


def load(split, root, masks=False, skip_broken=False):
    """`Rows` of one raw dict a photo, in the order of the images' ids.

        image     uint8 (H, W, 3), sRGB; grey files become RGB. Photos are not turned by their
                  EXIF orientation: the boxes belong to the pixels as they are stored.
        image_id  int64 (), the official one
        boxes     float32 (N, 4), corners [x1, y1, x2, y2] in pixels, cut at the photo's edges
        labels    int32 (N,), 0..79; `category_ids` has their official numbers
        crowd     bool (N,), whether it is a group of objects that nobody told apart
        area      float32 (N,), pixels of the object, not of its box, as stated in the file
        masks     bool (N, H, W), only with masks=True
        name      string (), path below `root`

    Objects are in the file's order. A photo may have none. Those are left out whose box, once it
    is cut, is inverted or without area, or whose box or area is no finite number; one warning
    counts them.

    split: "train" (118,287 photos) or "val" (5,000).
    root: the folder with `annotations`, `train2017` and `val2017`, or with some of their photos.
    masks: whether to draw the objects' outlines, just as COCO's own tools do; it needs
        faster-coco-eval.
    skip_broken: leave out photos that are missing, broken, not of the size listed, or, with
        masks, outlined wrongly; one warning names them all. Costs as much as reading the split
        once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a broken
    photo raises tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    path = root / "annotations" / f"instances_{split}2017.json"
    listed = _listed(path)
    draw = _drawer(listed.annotations) if masks else None
    images = sorted(listed.images, key=lambda image: image.id)
    files = [each.file_name for each in images]
    lost = set(files) - _files(root / f"{split}2017")
    if lost and not skip_broken:
        problem = f"{path}: {len(lost)} of {len(files)} photos are not in {split}2017"
        fix = "skip_broken=True leaves them out"
        raise FileNotFoundError(f"{problem}; {fix}: {_photos.some(lost)}{LAYOUT}")
    columns = {
        "name": tf.constant([f"{split}2017/{file}" for file in files], tf.string),
        "image_id": np.array([each.id for each in images], "int64"),
        "size": np.array([(each.height, each.width) for each in images], "int32").reshape(-1, 2),
    }
    columns |= _objects(path, listed, columns["image_id"], columns["size"])
    place = os.fsencode(root)

    def read(row):
        data = tf.io.read_file(tf.strings.join([place, row["name"]], "/"))
        raw = {"image": _photos.jpeg(data), **row}
        size, numbers = raw.pop("size"), raw.pop("number")
        problem = "not of the height and width that the annotations list"
        tf.debugging.assert_equal(tf.shape(raw["image"])[:2], size, problem)
        if masks:
            drawn = tf.numpy_function(draw, [numbers, size], tf.bool)
            raw["masks"] = tf.ensure_shape(drawn, (None, None, None))
        return raw

    rows = Rows(columns, read, class_names)
    rows = rows.whole() if skip_broken else rows
    if not len(rows):
        raise FileNotFoundError(f"{root}: not one photo of {split}2017 to read{LAYOUT}")
    return rows


def _listed(path):
    """Images, annotations and categories of the file."""
    if not path.is_file():
        inner = sorted(path.parents[1].glob(f"*/annotations/{path.name}"))
        fix = f": root is one level too high, pass {str(inner[0].parents[1])!r}" if inner else ""
        raise FileNotFoundError(f"{path} is missing{fix}{LAYOUT}")
    decode = msgspec.json.Decoder(_Listed).decode
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            return decode(data)
        except msgspec.DecodeError:
            if data.find(b"NaN") < 0 and data.find(b"Infinity") < 0:
                raise
            # Python's json knows these, which are no JSON; msgspec writes null for them.
            return decode(msgspec.json.encode(json.loads(data[:])))
    except ValueError as error:  # DecodeError is one, and so is what an empty file raises
        problem = "expected whole JSON with images, annotations and categories"
        raise ValueError(f"{path}: {problem}, got: {error}{LAYOUT}") from error


def _files(folder):
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing{LAYOUT}")
    return set(os.listdir(folder))


def _objects(path, listed, ids, sizes):
    """Ragged columns of the objects in the images of these ids (M,), sorted, and sizes (M, 2)."""
    table = _table(path, listed.annotations)
    _check(path, table, listed.categories, ids)
    places = np.searchsorted(ids, table["image"])
    boxes = _corners(table["box"], sizes[places])
    good = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & np.isfinite(table["area"])
    if not good.all():
        problem = f"{path}: {(~good).sum()} of {len(good)} objects are left out"
        reason = "their boxes are inverted or without area in the photo, or no finite numbers"
        images = _photos.some(np.unique(table["image"][~good]))
        warnings.warn(f"{problem}, as {reason}; in the images {images}", stacklevel=3)
    order = np.argsort(places, kind="stable")
    order = order[good[order]]
    counts = np.bincount(places[good], minlength=len(ids))
    columns = {
        "boxes": boxes,
        "labels": np.searchsorted(category_ids, table["category"]).astype("int32"),
        "crowd": table["crowd"],
        "area": table["area"].astype("float32"),
        "number": np.arange(len(table)),  # of the annotation, in the file
    }
    return {
        name: tf.RaggedTensor.from_row_lengths(values[order], counts)
        for name, values in columns.items()
    }


def _table(path, annotations):
    """Array (N,) of the dtype TABLE."""
    decode = msgspec.json.Decoder(_Annotation).decode

    def rows():  # one at a time: as objects, all of them would take half a gigabyte
        for number, text in enumerate(annotations, 1):
            try:
                yield msgspec.structs.astuple(decode(text))
            except msgspec.DecodeError as error:
                problem = f"{path}: annotation number {number} is none of COCO's: {error}"
                raise ValueError(f"{problem}, in {bytes(text)[:99]!r}{LAYOUT}") from error

    return np.fromiter(rows(), TABLE, len(annotations))


def _check(path, table, categories, ids):
    """Raises ValueError where annotations, images and categories do not belong together."""

    def refuse(which, problem):
        culprits = [
            f"annotation {row['id']} (image {row['image']}, category {row['category']})"
            for row in table[which]
        ]
        _photos.refuse(culprits, f"{path}: {problem}", LAYOUT)

    twice = [str(number) for number in ids[1:][ids[1:] == ids[:-1]]]
    _photos.refuse(twice, f"{path}: images listed twice", LAYOUT)
    refuse(~np.isin(table["image"], ids), "annotations of images that it does not list")
    refuse(~np.isin(table["category"], category_ids), "unknown categories")
    named = {(category.id, category.name) for category in categories}
    strange = named - set(zip(category_ids, class_names, strict=True))
    strange = [f"{number} {name}" for number, name in strange]
    _photos.refuse(strange, f"{path}: categories that are not COCO's", LAYOUT)


def _corners(boxes, sizes):
    """[x, y, width, height] (N, 4) in photos (N, 2) -> corners (N, 4) float32, inside of them."""
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return np.clip(corners, 0, sizes[:, [1, 0, 1, 0]]).astype("float32")


def _drawer(annotations):
    """A function (numbers (N,), size (2,)) -> masks bool (N, H, W) of these annotations."""
    try:
        from faster_coco_eval import mask
    except ImportError as error:
        fix = 'pip install "keras_vision[detection]"'
        raise ImportError(f"masks=True needs faster-coco-eval: {fix}") from error
    decode = msgspec.json.Decoder(_Outlined).decode

    def encoded(outline, height, width):
        """Run lengths as COCO compresses them."""
        if isinstance(outline, list):  # polygons, all of one object
            return mask.merge(mask.frPyObjects(outline, height, width))
        counts, size = outline["counts"], outline["size"]
        if size != [height, width]:
            raise ValueError(f"its size is {size}, and the photo's {[height, width]}")
        if isinstance(counts, str):
            return outline
        if sum(counts) != height * width:
            raise ValueError(f"it has {sum(counts)} pixels, and the photo {height * width}")
        return mask.frPyObjects(outline, height, width)

    def draw(numbers, size):
        masks = np.zeros((len(numbers), *size), bool)
        for drawn, number in zip(masks, numbers, strict=True):
            found = decode(annotations[number])
            try:
                drawn[:] = mask.decode(encoded(found.segmentation, *size.tolist()))
            except Exception as error:  # whatever its C code raises
                problem = f"the outline of annotation {found.id} cannot be drawn"
                raise ValueError(f"{problem}: {error or type(error).__name__}") from error
        return masks

    return draw
