"""Boxes: corners [x1, y1, x2, y2] in pixels, float32, everywhere. Pure functions.

Where two arguments are boxes they are taken in pairs, by the rules of broadcasting:
`iou(a[:, None], b)` (N, M) is that of every box of a (N, 4) with every one of b (M, 4).
"""

import math

import keras
from keras import ops

# No box becomes larger than 1000/16 of its anchor, lest exp overflows (torchvision's limit).
LARGEST = math.log(1000 / 16)


def area(boxes):
    """Areas (...) of boxes (..., 4); 0 of those that are inverted."""
    return ops.prod(ops.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)


def iou(a, b):
    """Intersection over union (...), in 0..1; 0 of boxes without area."""
    shared = intersection(a, b)
    return shared / ops.maximum(area(a) + area(b) - shared, 1e-8)


def giou(a, b):
    """Generalised intersection over union (...), in -1..1 (Rezatofighi et al. 2019, algorithm 1).

    It is IoU less the share of the smallest box around both that neither of them covers, so that
    boxes which do not touch know how far they are apart.
    """
    shared = intersection(a, b)
    union = area(a) + area(b) - shared
    sides = ops.maximum(a[..., 2:], b[..., 2:]) - ops.minimum(a[..., :2], b[..., :2])
    around = ops.maximum(ops.prod(sides, axis=-1), 1e-8)
    return shared / ops.maximum(union, 1e-8) - (around - union) / around


def intersection(a, b):
    """Areas (...) that boxes share."""
    # Side by side: TensorFlow is slow along an axis of two.
    width, height = (
        ops.minimum(a[..., n + 2], b[..., n + 2]) - ops.maximum(a[..., n], b[..., n])
        for n in (0, 1)
    )
    return ops.maximum(width, 0) * ops.maximum(height, 0)


def encode(boxes, anchors):
    """Boxes (..., 4) as seen from anchors (..., 4): (dx, dy, dw, dh).

    Girshick et al. 2014, appendix C: the centre in sides of the anchor, the sides by their
    logarithm. The boxes need an area.
    """
    center, sides = center_and_sides(boxes)
    anchor_center, anchor_sides = center_and_sides(anchors)
    shift = (center - anchor_center) / anchor_sides
    return ops.concatenate([shift, ops.log(sides / anchor_sides)], axis=-1)


def decode(deltas, anchors):
    """The boxes (..., 4) of which `encode` gives `deltas` (..., 4)."""
    anchor_center, anchor_sides = center_and_sides(anchors)
    center = deltas[..., :2] * anchor_sides + anchor_center
    sides = ops.exp(ops.minimum(deltas[..., 2:], LARGEST)) * anchor_sides
    return ops.concatenate([center - sides / 2, center + sides / 2], axis=-1)


def center_and_sides(boxes):
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sides / 2, sides


def clip(boxes, height, width):
    """What of the boxes (..., 4) lies within a picture."""
    limits = ops.cast(ops.stack([width, height, width, height]), boxes.dtype)
    return ops.clip(boxes, 0, limits)


def nms(boxes, scores, overlap=0.5, groups=None, most=None):
    """Non-maximum suppression: (indices (most,), count ()), int32, of the boxes to keep.

    The best of boxes (N, 4) by scores (N,) is kept, those whose IoU with it is greater than
    `overlap` go, and so on with the best of what is left; of equal scores the first is best. The
    first `count` indices are meant, best first, behind them are zeros.

    groups: (N,) integers, such as classes: those of another group are no rivals.
    most: how many are kept at most, all by default.
    """
    boxes, scores = ops.cast(boxes, "float32"), ops.cast(scores, "float32")
    if groups is not None:
        boxes = boxes + apart(boxes, groups)
    most = ops.shape(boxes)[0] if most is None else most
    if keras.backend.backend() == "tensorflow":  # one kernel for the loop below
        from tensorflow import raw_ops

        return raw_ops.NonMaxSuppressionV4(
            boxes=boxes,
            scores=scores,
            max_output_size=most,
            iou_threshold=overlap,
            score_threshold=float("-inf"),
            pad_to_max_output_size=True,
        )
    return suppressed(boxes, scores, overlap, most)


def apart(boxes, groups):
    """Shifts (N, 4) that bring each group to a cell of its own, on a square of cells.

    In a row they would come so far from zero that float32 loses hundredths of a pixel.
    """
    groups = ops.cast(groups, "float32")
    columns = ops.ceil(ops.sqrt(ops.max(groups, initial=0) + 1))
    farthest = ops.max(ops.abs(boxes), initial=0)
    side = ops.power(2.0, ops.ceil(ops.log2(2 * farthest + 1)))  # whole pixels stay whole
    row = ops.floor(groups / columns)
    column = groups - row * columns
    return side * ops.stack([column, row, column, row], axis=-1)


def suppressed(boxes, scores, overlap, most):
    """`nms` as a loop of `most` steps."""
    # One more that is never kept, so that there is a best one of no boxes, too.
    boxes = ops.pad(boxes, [[0, 1], [0, 0]])
    scores = ops.pad(scores, [[0, 1]], constant_values=float("-inf"))

    def step(number, state):
        left, kept, count = state
        best = ops.argmax(left)
        found = left[best] > float("-inf")
        rivals = iou(boxes[best], boxes) > overlap
        left = ops.where(rivals | (ops.arange(len(left)) == best), float("-inf"), left)
        kept = ops.where((ops.arange(most) == number) & found, ops.cast(best, "int32"), kept)
        return left, kept, count + ops.cast(found, "int32")

    state = scores, ops.zeros(most, "int32"), ops.zeros((), "int32")
    _, kept, count = ops.fori_loop(0, most, step, state)
    return kept, count
