"""What a detector says of its anchors -> the objects of one photo."""

from keras import ops

from keras_vision import boxes as box
from keras_vision.detection import anchors

CANDIDATES = 1000  # of each map
OVERLAP = 0.5  # IoU of two boxes of a class above which the less certain one goes


def detections(outputs, canvas, size, score=0.05, most=300):
    """The objects in a photo, best first: boxes (N, 4), scores (N,) and labels (N,), N <= most.

    outputs: of a network, for one photo: {"classes": (A, C), "boxes": (A, 4)}.
    canvas, size: (height, width) of what it saw, and of the photo in its upper left corner.
    score: probability of an object's class above which it is one.

    Lin et al. 2017, section 4.1, as in torchvision: of each map the thousand best pairs of an
    anchor and a class; then non-maximum suppression among those of a class.
    """
    best, start = [], 0
    for places in anchors.levels(*canvas):
        logits, anchor, labels = candidates(outputs["classes"][start : start + len(places)])
        best.append((logits, anchor + start, labels))
        start += len(places)
    logits, anchor, labels = (ops.concatenate(parts) for parts in zip(*best, strict=True))
    scores = ops.sigmoid(logits)
    places = anchors.grid(*canvas)
    deltas, places = (ops.take(x, anchor, axis=0) for x in (outputs["boxes"], places))
    boxes = box.decode(deltas, places)
    boxes = box.clip(boxes, *size)
    # What lies wholly beside the photo has no area left in it.
    sure = ops.convert_to_numpy((scores > score) & (box.area(boxes) > 0))
    boxes, scores, labels = (ops.convert_to_numpy(x)[sure] for x in (boxes, scores, labels))
    kept, count = box.nms(boxes, scores, OVERLAP, labels, most)
    kept = ops.convert_to_numpy(kept)[: int(count)]
    return boxes[kept], scores[kept], labels[kept]


def candidates(logits):
    """Of a map's (A, C): the best logits (K,), of which anchors they are, and of which classes."""
    # The best pairs are among the anchors that are best in one of their classes.
    count, classes = min(CANDIDATES, logits.shape[0]), logits.shape[1]
    _, likely = ops.top_k(ops.max(logits, axis=-1), count)
    pairs = ops.reshape(ops.take(logits, likely, axis=0), (-1,))
    best, pair = ops.top_k(pairs, min(CANDIDATES, count * classes))
    return best, ops.take(likely, pair // classes), pair % classes
