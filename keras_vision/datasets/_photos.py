"""Labelled photos in files: found by their class folders, and read when their turn comes.

Pixels are those of `keras_vision.images.read`, alpha on white included, with two exceptions.
TensorFlow does not turn photos by their EXIF orientation; Pillow's `ImageOps.exif_transpose` does,
once and for all. And one colour that stands for transparent is not seen as such: in a GIF it
becomes black, in a grey or RGB PNG it remains what it is.
"""

import os
import posixpath
from functools import partial

import tensorflow as tf

from keras_vision.rows import Rows

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".pgm", ".ppm")  # in upper case, too
PALETTE = "a BMP with a palette, which TensorFlow ignores: save it as PNG, or with 24 bits"
PLAIN = "a PGM or PPM that is not binary (P5, P6), or has a broken header: save it as PNG"
DEEP = "a PGM or PPM whose brightest is not 255, as 8 bits have it: save it as PNG. It is"
GAP = r"(?:[\s\v]|#\C*?[\r\n])+"  # white space and comments, whose bytes may be no UTF-8
# Kind, width, height and brightest, and one white space, behind which the pixels begin.
HEADER = rf"^P([56]){GAP}0*([1-9]\d{{0,8}}){GAP}0*([1-9]\d{{0,8}}){GAP}0*([1-9]\d{{0,8}})[\s\v]"


def rows(root, found, class_names):
    """`Rows` of raw dicts of photos: image uint8 (H, W, 3), label int32 (), name string ().

    found: [(path below `root`, label)]. The image is sRGB of any size; see the top of this file.
    """
    columns = {
        # As bytes, since a file's name may be in any encoding.
        "name": tf.constant([os.fsencode(name) for name, _ in found], tf.string),
        "label": tf.constant([label for _, label in found], tf.int32),
    }
    return Rows(columns, partial(_photo, os.fsencode(root)), class_names)


def unlabelled(root, names, class_names=()):
    """The same without labels, of the files with these paths below `root`."""
    column = tf.constant([os.fsencode(name) for name in names], tf.string)
    return Rows({"name": column}, partial(_photo, os.fsencode(root)), class_names)


def finished(photos, root, decode):
    """What `load` returns of the `Rows` that can be read, with the files' bytes if asked."""
    if not len(photos):
        raise FileNotFoundError(f"{root}: not one picture can be read")
    if decode:
        return photos
    return Rows(photos.columns, partial(_file, os.fsencode(root)), photos.class_names)


def _photo(root, row):
    raw = _file(root, row)
    return {**raw, "image": decoded(raw["image"])}


def _file(root, row):
    path = tf.strings.join([root, row["name"]], "/")
    return {"image": tf.io.read_file(path), **row}


def decoded(data):
    """The bytes of a JPEG, PNG, BMP, GIF (its first frame), PGM or PPM -> sRGB uint8 (H, W, 3)."""
    netpbm = tf.strings.regex_full_match(tf.strings.substr(data, 0, 2), "P[1-7]")
    kinds = [
        (tf.io.is_jpeg(data), partial(jpeg, data)),
        (_begins(data, b"\x89PNG\r\n\x1a\n"), partial(_png, data)),
        (_begins(data, b"BM"), partial(_bmp, data)),
        (netpbm, partial(_pnm, data)),
    ]
    image = tf.case(kinds, default=partial(tf.io.decode_image, data, 3, expand_animations=False))
    return tf.ensure_shape(image, (None, None, 3))


def _begins(data, magic):
    return tf.strings.substr(data, 0, len(magic)) == magic


def jpeg(data):
    """The bytes of a JPEG -> sRGB uint8 (H, W, 3)."""
    # As precise as Pillow, and as fast as the default; a cut file is an error.
    return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")


def _png(data):
    """Alpha on white: TensorFlow would drop it, and show what is hidden under it."""
    native = tf.io.decode_png(data)  # (H, W, 1..4): grey, grey and alpha, RGB, RGBA
    height, width, channels = tf.unstack(tf.shape(native))

    def on_white():
        exact = tf.cast(native, tf.float32)
        colour, alpha = exact[..., :-1], exact[..., -1:] / 255
        return tf.cast(tf.round(colour * alpha + 255 * (1 - alpha)), tf.uint8)

    flat = tf.cond(channels % 2 == 0, on_white, lambda: native)
    return tf.broadcast_to(flat, (height, width, 3))


def _bmp(data):
    bits = tf.io.decode_raw(tf.strings.substr(data, 28, 1), tf.uint8)  # of a pixel
    tf.debugging.assert_greater_equal(bits, tf.constant(24, tf.uint8), PALETTE)
    return tf.io.decode_image(data, 3, expand_animations=False)


def _pnm(data):
    """Netpbm's binary PGM and PPM of 8 bits, which TensorFlow does not know."""
    pixels = tf.strings.regex_replace(data, HEADER, "", replace_global=False)
    length = tf.strings.length(data) - tf.strings.length(pixels)
    tf.debugging.assert_positive(length, PLAIN)
    header = tf.strings.substr(data, 0, length)
    fields = tf.strings.split(tf.strings.regex_replace(header, HEADER, r"\1 \2 \3 \4"))
    kind, width, height, brightest = tf.unstack(tf.strings.to_number(fields, tf.int64), 4)
    tf.debugging.Assert(brightest == 255, [DEEP, brightest])
    channels = tf.where(kind == 5, tf.constant(1, tf.int64), 3)
    there, needed = tf.strings.length(pixels), height * width * channels
    whole = tf.cast(there, tf.int64) >= needed
    tf.debugging.Assert(whole, ["a PGM or PPM cut short: bytes there, needed:", there, needed])
    image = tf.io.decode_raw(tf.strings.substr(pixels, tf.zeros_like(needed), needed), tf.uint8)
    return tf.broadcast_to(tf.reshape(image, (height, width, channels)), (height, width, 3))


def of_side(image, side, channels=3):
    """The image, whose shape is now known; InvalidArgumentError unless it is side x side."""
    shape = (side, side, channels)
    tf.debugging.assert_equal(tf.shape(image), shape, f"not {side}x{side} pixels")
    return tf.ensure_shape(image, shape)


def by_folder(root, split, labels, layout):
    """[(path below `root`, label)] of the pictures in the class folders of `root`/`split`.

    labels: {name of a folder: label}; some may be missing. In the order of the names.
    """
    names = folders(root, split, layout)
    place, found, empty = root / split, [], []
    if not names:
        raise FileNotFoundError(f"{place}: not one class folder{layout}")
    refuse(set(names) - set(labels), f"{place}: folders that are no class", layout)
    refuse(pictures(place), f"{place}: pictures beside the class folders", layout)
    for name in names:
        files = pictures(place / name)
        found += [(posixpath.join(split, name, file), labels[name]) for file in files]
        empty += [] if files else [name]
    refuse(empty, f"{place}: class folders without a picture", layout)
    return found


def folders(root, split, layout):
    """Names of the folders in `root`/`split`, sorted, without the hidden ones."""
    place = root / split
    if not place.is_dir():
        inner = [path for path in root.glob("*") if (path / split).is_dir()]
        one = len(inner) == 1
        fix = f": root is one level too high, pass {str(inner[0])!r}" if one else ""
        raise FileNotFoundError(f"{place} is missing{fix}{layout}")
    return sorted(entry.name for entry in visible(place) if entry.is_dir())


def pictures(place):
    """Names of the picture files in a folder, sorted, without the hidden ones."""
    return sorted(entry.name for entry in visible(place) if is_picture(entry.name))


def visible(place):
    with os.scandir(place) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


def is_picture(name):
    return name.lower().endswith(SUFFIXES)


def refuse(culprits, problem, layout):
    if culprits:
        raise ValueError(f"{problem}: {some(culprits)}{layout}")


def some(culprits):
    """The first five of them, in words."""
    return ", ".join(map(str, sorted(culprits)[:5])) + (", ..." if len(culprits) > 5 else "")
