"""The confusion of classes, pixel by pixel, and what follows from it.

As the official evaluations count: IoU over all pixels of a dataset, and not picture by picture.
"""

import keras
import numpy as np
import pandas as pd
from keras import ops

from keras_vision.images import VOID


@keras.saving.register_keras_serializable("keras_vision")
class Confusion(keras.metrics.Metric):
    """Counts pixels of class i that are taken for j; what is no class, as void, 255, never counts.

    Takes labels (B, H, W), and logits (B, H, W, C) or labels for the second; ValueError for
    weights of examples. `result` is {"pixel_accuracy", "class_accuracy", "mean_iou"}: the share of
    pixels that are right, its mean over the classes that occur, and the mean of intersection over
    union over those that occur or are predicted; 0 before there is any. `matrix` has the counts,
    `table` the figures by class.
    """

    def __init__(self, classes, name="confusion", **kwargs):
        super().__init__(name=name, **kwargs)
        self.classes = classes
        # As whole numbers: sums of float32 stop to grow at 16.7 million pixels.
        dtype = "int64" if keras.backend.backend() == "tensorflow" else "int32"
        self.counts = self.add_weight(
            name="counts", shape=(classes, classes), initializer="zeros", dtype=dtype
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            raise ValueError("Confusion counts pixels: give it in metrics, not weighted_metrics")
        y_true, y_pred = map(ops.convert_to_tensor, (y_true, y_pred))
        if y_pred.shape[-1] == self.classes and len(y_pred.shape) == 4:
            y_pred = ops.argmax(y_pred, axis=-1)
        truth, found = (ops.cast(ops.reshape(y, (-1,)), "int32") for y in (y_true, y_pred))
        known = (truth >= 0) & (truth < self.classes) & (found >= 0) & (found < self.classes)
        # What is void falls behind the last number, and is cut off there.
        cell = ops.where(known, truth * self.classes + found, self.classes**2)
        ones = ops.ones_like(cell)  # added up, which compiles everywhere, as bincount does not
        counts = ops.segment_sum(ones, cell, num_segments=self.classes**2 + 1)[:-1]
        counts = ops.reshape(counts, (self.classes, self.classes))
        self.counts.assign(self.counts + ops.cast(counts, self.counts.dtype))

    def result(self):
        counts = ops.cast(self.counts, "float32")
        right, truth, found = ops.diagonal(counts), ops.sum(counts, 1), ops.sum(counts, 0)

        def mean(values, present):
            present = ops.cast(present > 0, "float32")
            return ops.sum(values * present) / ops.maximum(ops.sum(present), 1)

        return {
            "pixel_accuracy": ops.sum(right) / ops.maximum(ops.sum(counts), 1),
            "class_accuracy": mean(right / ops.maximum(truth, 1), truth),
            "mean_iou": mean(right / ops.maximum(truth + found - right, 1), truth + found),
        }

    @property
    def matrix(self):
        """(C, C) int64: row i has the pixels of class i, by what they were taken for."""
        return ops.convert_to_numpy(self.counts).astype("int64")

    def table(self, names=None):
        return table(self.matrix, names)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


def confusion(labels, found, classes):
    """(C, C) int64 of label maps, in NumPy, of any shape.

    Raises ValueError for labels that are neither in 0..classes-1 nor 255, and where what is found
    is not in 0..classes-1.
    """
    labels, found = (np.asarray(x, "int64").ravel() for x in (labels, found))
    known = labels != VOID
    cells = classes * among(labels[known], classes) + among(found[known], classes)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def among(labels, classes):
    """The labels (N,); ValueError where they are not in 0..classes-1."""
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        wrong = np.unique(labels[(labels < 0) | (labels >= classes)])[:5].tolist()
        raise ValueError(f"expected labels in 0..{classes - 1}, and 255 where void, got {wrong}")
    return labels


def table(matrix, names=None):
    """A row for each class, and "mean": `iou`, `accuracy` (recall), `precision`, `pixels`.

    What no pixel tells is NaN, as of a class that neither occurs nor is predicted; the mean leaves
    it out, and has all `pixels`. The table's `attrs` have the `pixel_accuracy`.
    """
    matrix = np.asarray(matrix)
    right, truth, found = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    with np.errstate(invalid="ignore"):
        rows = pd.DataFrame(
            {
                "iou": right / (truth + found - right),
                "accuracy": right / truth,
                "precision": right / found,
                "pixels": truth,
            },
            index=pd.Index(names if names is not None else range(len(matrix)), name="class"),
        )
        rows.loc["mean"] = {**rows.mean(), "pixels": truth.sum()}
        rows.attrs["pixel_accuracy"] = float(right.sum() / matrix.sum())
    return rows.astype({"pixels": int})
