"""How well a segmenter does on a dataset."""

import numpy as np

from keras_vision.segmentation import metrics
from keras_vision.segmentation.segment import segment


def evaluate(model, rows, short=None):
    """A pandas table by class, as `metrics.table`, of photos in their own sizes.

    rows: raw dicts with "image" and "label_map", such as `datasets.camvid.load("test", root)`;
        their `class_names` name the table's rows.
    short: for `segment`.

    Raises ValueError where the model has other classes than the dataset, or that has no labels.
    """
    names, classes = getattr(rows, "class_names", None) or None, model.output_shape[-1]
    if names and len(names) != classes:
        raise ValueError(f"{model.name} has {classes} classes, the dataset {len(names)}: {names}")
    return metrics.table(matrix(model, rows, short), names)


def scores(model, rows):
    """{"mean_iou", "pixel_accuracy"}, for `training.Evaluator`."""
    table = evaluate(model, rows)
    return {"mean_iou": table.loc["mean", "iou"], "pixel_accuracy": table.attrs["pixel_accuracy"]}


def matrix(model, rows, short=None):
    """The confusion (C, C) of all pixels of a dataset."""
    truth, classes = [], model.output_shape[-1]
    if "label_map" not in rows.element_spec:
        raise ValueError(f'expected raw dicts with a "label_map", got {sorted(rows.element_spec)}')

    def photos():
        for raw in rows.as_numpy_iterator():
            truth.append(raw["label_map"])
            yield raw["image"]

    counts = np.zeros((classes, classes), "int64")
    for found in segment(model, photos(), short):
        counts += metrics.confusion(truth.pop(0), found, classes)
    return counts
