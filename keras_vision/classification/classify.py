"""Photos in, class names out."""

import os
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from keras import ops
from PIL import Image

from keras_vision import images
from keras_vision.classification import digits
from keras_vision.verbs import answers

BATCH = 32


def classify(model, photos, names=None, top=1, prepare=None):
    """Says of each photo what it most probably shows.

    model: maps pictures (B, H, W, C) in 0..255 to logits (B, classes).
    photos: a path, PIL image or array (H, W, 3), a batch (B, H, W, 3), or an iterable of photos
        of mixed kinds and sizes, which is read as it goes.
    names: of the classes, such as a dataset's `class_names`; by default "0", "1", "2" ...
    top: how many answers a photo gets, the most probable first.
    prepare: maps a photo, rgb uint8 (H, W, 3), to the model's picture (H, W, C). By default
        `digits.from_photo` for models of (28, 28, 1), which read handwritten digits, and for
        models of colour pictures `central` of their size, or of 224 pixels where any will do.

    Returns a table with `top` rows for each photo: `photo`, its path or its number; `rank`, 1 to
    `top`; `label`, the number of the class; `name`; and `probability`.
    Raises ValueError where model, names or photos do not fit, as a photo of nothing but paper.
    """
    classes = classes_of(model)
    prepare = prepare or preparation(model)
    names = tuple(map(str, range(classes))) if names is None else tuple(names)
    if len(names) != classes:
        raise ValueError(f"expected names of {classes} classes, got {len(names)}")
    if not 1 <= top <= classes:
        raise ValueError(f"top must be 1 to {classes}, the number of classes, not {top}")

    def probabilities(_, logits):
        return ops.convert_to_numpy(ops.softmax(ops.cast(logits, "float32")))

    found = answers(
        model, photos, lambda rgb: (prepare(rgb), None), probabilities, BATCH, "classify"
    )
    found = np.array(list(found)).reshape(-1, classes)
    labels = np.argsort(-found, axis=-1, kind="stable")[:, :top]
    return pd.DataFrame(
        {
            "photo": np.repeat(np.array(titles(photos, len(found)), object), top),
            "rank": np.tile(np.arange(1, top + 1), len(found)),
            "label": labels.ravel(),
            "name": np.array(names, object)[labels.ravel()],
            "probability": np.take_along_axis(found, labels, -1).ravel(),
        }
    )


def classes_of(model):
    """How many classes the model tells apart; ValueError where it is no classifier."""
    shape = model.output_shape
    if isinstance(shape, tuple) and len(shape) == 2 and shape[1]:
        return shape[1]
    raise ValueError(
        f"expected a classifier, whose output are logits (B, classes), got {model.name}, whose "
        f"output is {shape}: does it lack its last layers, as a backbone does?"
    )


def preparation(model):
    """How photos are prepared for the model unless one says otherwise."""
    shape = model.input_shape
    if shape[1:] == (28, 28, 1):
        return digits.from_photo
    if len(shape) != 4 or shape[-1] != 3:
        raise ValueError(
            f"expected a model of pictures (B, H, W, 3), got one of {shape}: say how photos "
            "become its input, prepare=..."
        )
    return partial(central, height=shape[1] or 224, width=shape[2] or 224)


def central(rgb, height, width):
    """The middle of a photo: 7/8 of what fits, as networks of ImageNet see theirs."""
    scale = max(height / rgb.shape[0], width / rgb.shape[1]) * 8 / 7
    rows, columns = height / scale, width / scale
    left, top = (rgb.shape[1] - columns) / 2, (rgb.shape[0] - rows) / 2
    box = (left, top, left + columns, top + rows)
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR, box))


def titles(photos, count):
    """What to call each of the photos: its path, or its number."""
    if isinstance(photos, Iterator):
        return list(range(count))
    several = photos if images.holds_several(photos) else [photos]
    return [
        os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else number
        for number, photo in enumerate(several)
    ]
