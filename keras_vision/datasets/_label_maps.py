"""Photos with a label map each, as files side by side: what its pixels are, class by class."""

import io
import os

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import _photos
from keras_vision.rows import Rows

UNKNOWN = -1
GREY = 0  # in the header of a PNG


def rows(root, pairs, labels, class_names, more=None):
    """`Rows` of raw dicts: image uint8 (H, W, 3), label_map int32 (H, W), name string ().

    pairs: [(path of a photo below `root`, path of its label map)].
    labels: {number in the files: label}.
    more: columns of their own.
    """
    table = np.full(2**16, UNKNOWN, "int32")
    table[list(labels)] = list(labels.values())
    place = os.fsencode(root)
    columns = {"name": [a for a, _ in pairs], "label_file": [b for _, b in pairs], **(more or {})}
    columns = {
        name: tf.constant([os.fsencode(value) for value in values], tf.string)
        for name, values in columns.items()
    }

    def read(row):
        raw = dict(row)
        file = raw.pop("label_file")
        image = _photos.decoded(tf.io.read_file(tf.strings.join([place, row["name"]], "/")))
        numbers = of_size(number_map(place, file), image, file)
        found = tf.gather(table, numbers)
        strange = tf.unique(tf.boolean_mask(numbers, found == UNKNOWN)).y
        told = tf.strings.join(["numbers that stand for no class in ", file, ":"])
        tf.debugging.Assert(tf.size(strange) == 0, [told, strange])
        return {"image": image, "label_map": found, **raw}

    return Rows(columns, read, class_names)


def with_map(rows, root, file, name):
    """The same rows with another map of numbers, of the files in the column `file`."""
    place, before = os.fsencode(root), rows.read

    def read(row):
        raw = before(row)
        numbers = number_map(place, raw.pop(file))
        return {**raw, name: of_size(numbers, raw["image"], row[file])}

    return Rows(rows.columns, read, rows.class_names)


def number_map(place, file):
    """The numbers (H, W), int32, in a PNG of one channel, with a palette or not, or of 16 bits."""
    data = tf.io.read_file(tf.strings.join([place, file], "/"))
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 24, 2), tf.uint8), tf.int32)
    depth, kind = header[0], header[1]

    def native(dtype):
        return tf.cast(tf.io.decode_png(data, 1, dtype)[..., 0], tf.int32)

    kinds = [
        ((kind == GREY) & (depth == 8), lambda: native(tf.uint8)),
        ((kind == GREY) & (depth == 16), lambda: native(tf.uint16)),
    ]
    numbers = tf.case(kinds, lambda: tf.numpy_function(by_pillow, [data, file], tf.int32))
    return tf.ensure_shape(numbers, (None, None))


def by_pillow(data, file):
    """The same of a PNG with a palette, whose numbers TensorFlow would replace by colours."""
    data, file = (np.asarray(x).item() for x in (data, file))  # eagerly they come in arrays
    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode != "P":
            raise ValueError(
                f"{file.decode()}: expected a label map, a PNG of one number a pixel: grey, "
                f"of 8 or 16 bits, or has a palette; got the mode {picture.mode}"
            )
        return np.asarray(picture).astype("int32")


def of_size(numbers, image, file):
    own, wanted = tf.shape(numbers), tf.shape(image)[:2]
    told = tf.strings.join(["the size of ", file, " is not that of its photo:"])
    tf.debugging.Assert(tf.reduce_all(own == wanted), [told, own, wanted])
    return numbers


def loaded(found, root, layout, skip_broken):
    """What `load` returns of `Rows`, if there are any, or any that can be read."""
    found = found.whole(stacklevel=4) if skip_broken and len(found) else found
    if not len(found):
        raise FileNotFoundError(f"{root}: not one photo with its label map{layout}")
    return found


def refuse_missing(root, files, layout, fix=""):
    """Raises FileNotFoundError where some of these paths below `root` are missing."""
    missing = [file for file in files if not (root / file).is_file()]
    if missing:
        raise FileNotFoundError(f"{root}: {_photos.some(missing)} is missing{fix}{layout}")


def around(masks):
    """The smallest boxes (N, 4) around masks (N, H, W)."""
    _, height, width = tf.unstack(tf.shape(masks))
    rows, columns = tf.reduce_any(masks, 2), tf.reduce_any(masks, 1)
    left, top = (tf.argmax(seen, 1, tf.int32) for seen in (columns, rows))
    right = width - tf.argmax(columns[:, ::-1], 1, tf.int32)
    bottom = height - tf.argmax(rows[:, ::-1], 1, tf.int32)
    return tf.cast(tf.stack([left, top, right, bottom], axis=1), tf.float32)
