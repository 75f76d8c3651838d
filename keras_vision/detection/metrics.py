"""How well objects are found: the average precision of COCO (Lin et al. 2014), by its evaluator.

`found` and `truth` are equally long iterables, generators too, of one dict for each photo:

found: boxes (N, 4), corners [x1, y1, x2, y2] in pixels; labels (N,) int from 0 on; scores (N,);
    and, for kind="masks", masks (N, H, W) bool.
truth: boxes, labels and masks likewise; where they are known, area (N,), by which an object is
    small (to 32²), medium or large (from 96²) instead of by its box or mask, and crowd (N,) bool:
    a region of many objects, in which detections count neither as right nor as wrong.
"""

from itertools import islice, zip_longest

import numpy as np
import pandas as pd

from keras_vision import plots

COLUMNS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
KINDS = {"boxes": "bbox", "masks": "segm"}  # in the evaluator's words
NEEDED = {"found": ["boxes", "labels", "scores"], "truth": ["boxes", "labels"]}
OPTIONAL = {"found": [], "truth": ["area", "crowd"]}
CURVES = 10  # in a figure: matplotlib has no more colours


def average_precision(found, truth, class_names=(), kind="boxes"):
    """COCO's twelve numbers as a table: row "all", the mean over classes, then a row a class.

    AP is the mean over the overlaps 0.5, 0.55 .. 0.95, AP50 and AP75 that at one; s, m, l are of
    small, medium, large objects. AR1, AR10, AR100 are the recall, over the same overlaps, of the
    1, 10, 100 best of a class in a photo; all else is of 100. NaN: there is nothing to measure.

    class_names: of the labels; without, numbers up to the highest label stand for them.
    kind: "boxes", or "masks" for the overlap of masks.
    Raises ValueError for what the head of this page does not allow, with the photo's number.
    """
    names, _, precision, recall = measured(found, truth, class_names, kind, OVERLAPS)
    by_overlap = precision.mean(1)  # (10, C, 4, 3)
    ap, ar = by_overlap.mean(0), recall.mean(0)  # (C, 4, 3)
    at_one = by_overlap[[0, 5], :, 0, -1].T  # (C, 2)
    numbers = np.column_stack([ap[:, 0, -1], at_one, ap[:, 1:, -1], ar[:, 0], ar[:, 1:, -1]])
    return all_first(pd.DataFrame(numbers, names, COLUMNS))


def precision_recall(found, truth, class_names=(), overlap=0.5):
    """{name: precision (101,) at the recalls 0, 0.01 .. 1}, whose mean is the AP at one overlap.

    First "all", the mean over the classes that occur, then the classes, those with most objects
    first. NaN for a class that does not occur. For the rest see `average_precision`.
    """
    if not 0 < overlap <= 1:
        raise ValueError(f"overlap must be above 0 and at most 1, but is {overlap}.")
    names, counts, precision, _ = measured(found, truth, class_names, "boxes", [overlap])
    curves = pd.DataFrame(precision[0, :, :, 0, -1].T, names)
    curves = all_first(curves.iloc[np.argsort(-counts, kind="stable")])
    return dict(zip(curves.index, curves.to_numpy(), strict=True))


def precision_recall_figure(curves):
    """The curves that `precision_recall` returns: "all" and the nine classes with most objects."""
    known = {name: curve for name, curve in curves.items() if not np.isnan(curve).any()}
    drawn = dict(islice(known.items(), CURVES))
    figure = plots.curves(drawn, "recall", "precision", x=RECALLS)
    ticks = np.linspace(0, 1, 6)
    figure.axes[0].set(xlim=(0, 1), ylim=(0, 1.02), xticks=ticks, yticks=ticks)
    return figure


def all_first(table):
    """A row a class -> the same below a row "all", their mean, NaN aside."""
    return pd.concat([table.mean().to_frame("all").T, table])


def measured(found, truth, class_names, kind, overlaps):
    """The classes' names; how many objects they have (C,), crowds aside; precision and recall.

    Precision (overlaps, 101 recalls, C, 4, 3) and recall (overlaps, C, 4, 3), for all, small,
    medium, large objects and the 1, 10, 100 best detections; NaN where there are no objects.
    """
    if kind not in KINDS:
        raise ValueError(f'kind must be "boxes" or "masks", but is {kind!r}.')
    coco = evaluator()  # before `found`, which may run a network for hours
    photos, detections, objects = read(found, truth, class_names, kind, coco.mask)
    highest = max((region["category_id"] for region in detections + objects), default=-1)
    names = [str(name) for name in (class_names if len(class_names) else range(highest + 1))]
    labels = [region["category_id"] for region in objects if not region["iscrowd"]]
    counts = np.bincount(np.array(labels, int), minlength=len(names))

    common = {"images": photos, "categories": [{"id": label} for label in range(len(names))]}
    sides = (coco.COCO(common | {"annotations": dicts}) for dicts in (objects, detections))
    evaluation = coco.COCOeval_faster(*sides, KINDS[kind])
    evaluation.params.iouThrs = np.asarray(overlaps)
    evaluation.evaluate()
    evaluation.accumulate()
    tables = (np.asarray(evaluation.eval[key]) for key in ("precision", "recall"))
    return names, counts, *(np.where(table < 0, np.nan, table) for table in tables)


def evaluator():
    try:
        import faster_coco_eval
    except ImportError as error:
        fix = 'pip install "keras_vision[detection]"'
        raise ImportError(f"Average precision needs faster-coco-eval: {fix} ({error})") from error
    return faster_coco_eval


def read(found, truth, class_names, kind, rle):
    """The photos, detections and objects as the evaluator's lists of dicts."""
    photos, detections, objects = [], [], []
    for number, (result, raw) in enumerate(zip_longest(found, truth)):
        short, long = ("found", "truth") if result is None else ("truth", "found")
        expect(result is not None and raw is not None, short, f"as many photos as {long}", number)
        result = checked(result, "found", number, class_names, kind)
        raw = checked(raw, "truth", number, class_names, kind)
        sizes = {one["masks"].shape[1:] for one in (result, raw) if len(one.get("masks", ()))}
        expect(len(sizes) < 2, f"photo {number}", "masks of one size", sizes)
        photos.append({"id": number, "height": 0, "width": 0})  # masks bring their own sizes
        detections += regions(result, number, len(detections) + 1, rle)
        objects += regions(raw, number, len(objects) + 1, rle)
    return photos, detections, objects


def checked(photo, side, number, class_names, kind):
    """The dict of a photo in NumPy arrays, if it is as the head of this page says."""
    place = f"{side}, photo {number}"
    needed = NEEDED[side] + ["masks"] * (kind == "masks")
    expect(isinstance(photo, dict), place, "a dict", type(photo).__name__)
    expect(photo.keys() >= set(needed), place, ", ".join(needed), ", ".join(photo))
    arrays = {key: np.asarray(photo[key]) for key in needed + OPTIONAL[side] if key in photo}
    boxes, labels = arrays["boxes"], arrays["labels"]

    shapes = {key: array.shape for key, array in arrays.items()}
    behind = {"boxes": (4,), "masks": shapes.get("masks", ())[-2:]}
    right = {key: (labels.size, *behind.get(key, ())) for key in shapes}
    expect(shapes == right, place, right, shapes)
    for key in ("boxes", "scores", "area"):
        array = arrays.get(key, np.zeros(0))
        expect(np.isfinite(array).all(), place, f"finite {key}", array)
    turned = (boxes[:, 2:] < boxes[:, :2]).any(1)
    expect(not turned.any(), place, "corners [x1, y1, x2, y2]", boxes[turned])
    classes = len(class_names) or np.inf
    known = (labels >= 0) & (labels < classes) & (labels == labels // 1)
    expect(known.all(), place, f"whole numbers 0 <= label < {classes}", labels[~known])
    if kind == "masks":
        stored = arrays["masks"].dtype
        expect(stored == np.bool_, place, "masks of bool", stored)
    return arrays


def expect(right, place, expected, got):
    if not right:
        raise ValueError(f"{place}: expected {expected}, got {got}.")


def regions(arrays, photo, first, rle):
    """The detections or objects of a photo as the evaluator's dicts, numbered from `first` on."""
    boxes = arrays["boxes"].astype("float64")
    boxes[:, 2:] -= boxes[:, :2]  # widths and heights
    codes, areas = [None] * len(boxes), boxes[:, 2] * boxes[:, 3]
    if "masks" in arrays and len(boxes):
        codes = [run_lengths(mask, rle) for mask in arrays["masks"]]
        areas = rle.area(codes)
    nothing = np.zeros(len(boxes))
    columns = (
        arrays["labels"].astype(int),
        boxes,
        arrays.get("area", areas),
        arrays.get("crowd", nothing).astype(int),
        arrays.get("scores", nothing),
    )
    rows = zip(*(column.tolist() for column in columns), codes, strict=True)
    return [
        {"id": number, "image_id": photo, "category_id": label, "bbox": box, "area": area,
         "iscrowd": crowd, "score": score, "segmentation": code}
        for number, (label, box, area, crowd, score, code) in enumerate(rows, first)
    ]  # fmt: skip


def run_lengths(mask, rle):
    """The evaluator's code of a mask (H, W), by NumPy in a third of its own time."""
    pixels = mask.ravel()  # row by row: it wants columns, but masks on their sides overlap alike
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    absent_first = [0] * bool(pixels[:1].any())  # no pixels outside before those inside
    counts = np.diff([*absent_first, *edges.tolist(), pixels.size], prepend=0)
    size = list(mask.shape[::-1])
    return rle.frPyObjects({"size": size, "counts": counts.tolist()}, *size)
