"""What each anchor has to learn of one picture: its class, its box, and how much they count."""

from keras import ops

from keras_vision import boxes as box

BACKGROUND = -1
# Lin et al. 2017, section 4: IoU with an object from which on an anchor stands for it, and below
# which it is background. What lies between learns nothing.
OBJECT, NOTHING = 0.5, 0.4
CROWDED = 0.5  # share of an anchor in a crowd from which on nobody says what it shows


def assign(anchors, boxes, labels, crowd, size):
    """({"classes": (A,) int32, "boxes": (A, 4)}, {"classes": (A,), "boxes": (A,)}): y and weights.

    anchors: (A, 4). boxes, labels, crowd: (N, 4), (N,) and (N,) bool of the objects, N >= 0.
    size: (height, width) of the photo in its canvas: what lies beside it learns nothing.

    Classes are those of `labels`, or -1 for background, boxes as `boxes.encode` has them. Keras
    takes the mean of weighted losses over all anchors; the weights make of it their sum, divided
    by the number of anchors that stand for an object, or 1. The best anchors of an object stand
    for it, however little they overlap.
    """
    nothing = ops.zeros((1, 4), "float32")  # so that a picture without objects is no exception
    crowds = ops.concatenate([nothing, boxes * ops.cast(crowd, "float32")[:, None]])
    objects = ops.concatenate([nothing, boxes * (1 - ops.cast(crowd, "float32"))[:, None]])
    overlaps = box.iou(objects[:, None], anchors)  # (1 + N, A)
    match, best = ops.argmax(overlaps, axis=0), ops.max(overlaps, axis=0)
    highest = ops.max(overlaps, axis=1, keepdims=True)
    chosen = ops.any((overlaps == highest) & (highest > 0), axis=0)
    positive = (best >= OBJECT) | chosen
    learns = positive | ((best < NOTHING) & ~ignored(anchors, crowds, size))
    classes = ops.concatenate([ops.full((1,), BACKGROUND, "int32"), ops.cast(labels, "int32")])
    classes = ops.where(positive, ops.take(classes, match), BACKGROUND)
    deltas = box.encode(ops.take(objects, match, axis=0), anchors)
    deltas = ops.where(positive[:, None], deltas, 0.0)
    counts = ops.cast(positive, "float32")
    unit = ops.cast(ops.shape(anchors)[0], "float32") / ops.maximum(ops.sum(counts), 1.0)
    weights = {"classes": ops.cast(learns, "float32") * unit, "boxes": counts * unit}
    return {"classes": classes, "boxes": deltas}, weights


def ignored(anchors, crowds, size):
    """Anchors (A,) whose centre lies beside the photo, or whose half lies in a crowd."""
    center, _ = box.center_and_sides(anchors)
    limits = ops.cast(ops.stack([size[1], size[0]]), "float32")
    beside = ops.any(center >= limits, axis=-1)

    def crowded():
        shares = box.intersection(crowds[:, None], anchors) / box.area(anchors)
        return ops.max(shares, axis=0) > CROWDED

    # Few pictures have crowds, which would take as long as the objects.
    return ops.cond(ops.any(crowds > 0), lambda: beside | crowded(), lambda: beside)
