"""A detector measured on a dataset."""

from keras_vision.detection.detect import detect
from keras_vision.detection.metrics import average_precision

KEPT = {"boxes", "labels", "crowd", "area"}  # of the truth, for the evaluator


def evaluate(model, rows, **settings):
    """COCO's twelve numbers of the model on `Rows` of photos: see `metrics.average_precision`.

    rows: of raw dicts with an "image", "boxes" and "labels", as of `datasets.coco`.
    settings: of `detect`. By default it tells what is more probable than 0.05.
    """
    found, truth = detected(model, rows, **settings)
    return average_precision(found, truth, rows.class_names)


def scores(model, rows, **settings):
    """{"AP": ..., "AP50": ...}: `partial(scores, rows=rows)` is for `training.Evaluator`."""
    table = evaluate(model, rows, **settings)
    return table.loc["all", ["AP", "AP50"]].to_dict()


def detected(model, rows, score=0.05, **settings):
    """(found, truth): lists of what was found in each photo, and of what is there."""
    truth = []

    def photos():
        for raw in rows.as_numpy_iterator():
            truth.append({name: raw[name] for name in KEPT & raw.keys()})
            yield raw["image"]

    return list(detect(model, photos(), score, **settings)), truth
