"""A plain loop over all anchors and classes is the oracle."""

import numpy as np
import pytest

from keras_vision import boxes as box
from keras_vision.detection import anchors, decode

CANVAS = (64, 96)


def some(seed=0, classes=3, canvas=CANVAS):
    random = np.random.default_rng(seed)
    count = len(anchors.grid(*canvas))
    return {
        "classes": random.normal(-3, 2, (count, classes)).astype("float32"),
        "boxes": random.normal(0, 0.3, (count, 4)).astype("float32"),
    }


def by_hand(outputs, canvas, size, score, most):
    """Boxes, scores, labels, best first."""
    pairs = []
    deltas = np.asarray(box.decode(outputs["boxes"], anchors.grid(*canvas)))
    for place, logits in enumerate(outputs["classes"]):
        x1, y1, x2, y2 = deltas[place]
        x1, x2 = np.clip([x1, x2], 0, size[1])
        y1, y2 = np.clip([y1, y2], 0, size[0])
        for label, logit in enumerate(logits):
            probability = 1 / (1 + np.exp(-logit))
            if probability > score and x2 > x1 and y2 > y1:
                pairs.append((probability, label, np.float32([x1, y1, x2, y2])))
    kept = []
    for pair in sorted(pairs, key=lambda pair: -pair[0]):
        rivals = [other for other in kept if other[1] == pair[1]]
        if all(float(box.iou(other[2], pair[2])) <= 0.5 for other in rivals):
            kept.append(pair)
    scores, labels, found = zip(*kept[:most], strict=True)
    return np.array(found), np.array(scores), np.array(labels)


@pytest.mark.parametrize("most", [300, 5])
def test_what_a_plain_loop_finds(most):
    outputs = some()
    found = decode.detections(outputs, CANVAS, (50, 90), 0.4, most)
    expected = by_hand(outputs, CANVAS, (50, 90), 0.4, most)
    assert len(expected[2]) > 4
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_nothing_found():
    found = decode.detections(some(), CANVAS, CANVAS, 1.0)
    assert [part.shape for part in found] == [(0, 4), (0,), (0,)]


def test_nothing_is_found_in_the_padding():
    """However sure the network is of it."""
    outputs, grid = some(), anchors.grid(*CANVAS)
    outputs["boxes"][:] = 0
    outputs["classes"][:] = -9
    beside = (grid[:, 0] >= 48) & (grid[:, 2] <= 96)
    outputs["classes"][beside] = 9
    assert beside.any()
    assert len(decode.detections(outputs, CANVAS, (64, 48))[0]) == 0
    assert len(decode.detections(outputs, CANVAS, CANVAS)[0]) > 0


def test_the_best_thousand_pairs_of_a_map_are_candidates():
    random = np.random.default_rng(0)
    logits = random.normal(0, 1, (3000, 7)).astype("float32")
    best, anchor, labels = decode.candidates(logits)
    order = np.argsort(-logits.ravel())[:1000]
    np.testing.assert_array_equal(best, logits.ravel()[order])
    np.testing.assert_array_equal(anchor, order // 7)
    np.testing.assert_array_equal(labels, order % 7)
