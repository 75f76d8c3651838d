"""A plain loop of the paper's rules is the oracle, and torchvision's matcher where it is there."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from keras_vision import boxes as box
from keras_vision.detection import anchors, targets

SIZE = (64, 96)
GRID = anchors.grid(*SIZE)


def some(count, seed=0):
    random = np.random.default_rng(seed)
    corner = random.uniform(0, [60, 40], (count, 2))
    sides = random.uniform(8, [60, 50], (count, 2))
    boxes = np.concatenate([corner, np.minimum(corner + sides, SIZE[::-1])], axis=1)
    return boxes.astype("float32"), random.integers(0, 5, count).astype("int32")


def assign(boxes, labels, crowd=None, size=SIZE):
    crowd = np.zeros(len(boxes), bool) if crowd is None else np.asarray(crowd)
    y, weight = targets.assign(GRID, boxes, labels, crowd, size)
    return tuple({name: np.asarray(of) for name, of in part.items()} for part in (y, weight))


def by_hand(boxes, labels):
    """(class of each anchor, -1 background, -2 ignored; index of its object)."""
    overlaps = np.array(
        [[float(o) for o in row] for row in np.asarray(box.iou(boxes[:, None], GRID))]
    )
    classes, match = [], []
    for anchor in range(len(GRID)):
        column = overlaps[:, anchor]
        best = int(column.argmax())
        chosen = any(column[i] == overlaps[i].max() for i in range(len(boxes)))
        is_object = column[best] >= 0.5 or chosen
        classes.append(labels[best] if is_object else -2 if column[best] >= 0.4 else -1)
        match.append(best)
    return np.array(classes), np.array(match)


@pytest.mark.parametrize("seed", range(3))
def test_rules_of_the_paper(seed):
    boxes, labels = some(4, seed)
    classes, match = by_hand(boxes, labels)
    y, weight = assign(boxes, labels)
    centers = (GRID[:, :2] + GRID[:, 2:]) / 2
    beside = (centers >= SIZE[::-1]).any(1) & (classes < 0)
    classes[beside] = -2
    np.testing.assert_array_equal(y["classes"], np.maximum(classes, -1))
    positive, unit = classes >= 0, len(GRID) / (classes >= 0).sum()
    np.testing.assert_allclose(weight["boxes"], positive * unit, rtol=1e-6)
    np.testing.assert_allclose(weight["classes"], (classes != -2) * unit, rtol=1e-6)
    found = box.decode(y["boxes"][positive], GRID[positive])
    np.testing.assert_allclose(found, boxes[match[positive]], atol=1e-3)
    assert not y["boxes"][~positive].any()


def test_every_object_has_an_anchor_however_small():
    y, weight = assign(np.float32([[40, 30, 42, 31]]), np.int32([3]))
    assert (y["classes"] == 3).any()
    assert weight["boxes"].any()


def test_no_object_at_all():
    y, weight = assign(np.zeros((0, 4), "float32"), np.zeros(0, "int32"))
    assert (y["classes"] == -1).all()
    assert not y["boxes"].any()
    assert not weight["boxes"].any()
    assert weight["classes"].any()
    assert np.isfinite(weight["classes"]).all()


def test_a_crowd_is_neither_object_nor_background():
    boxes, labels = np.float32([[0, 0, 64, 64], [70, 8, 94, 60]]), np.int32([1, 2])
    y, weight = assign(boxes, labels, [True, False])
    share = np.asarray(box.intersection(boxes[0], GRID) / box.area(GRID))
    background = y["classes"] == -1
    assert set(y["classes"]) == {-1, 2}
    assert not weight["classes"][background & (share > 0.5)].any()
    y, weight = assign(boxes[:1], labels[:1], [True])
    assert (y["classes"] == -1).all()
    assert not weight["classes"][share > 0.5].any()


def test_padding_teaches_nothing():
    boxes, labels = some(3)
    _, weight = assign(np.minimum(boxes, [48, 40] * 2), labels, size=(40, 48))
    centers = (GRID[:, :2] + GRID[:, 2:]) / 2
    beside = (centers >= [48, 40]).any(1) & (weight["boxes"] == 0)
    assert beside.any()
    assert not weight["classes"][beside].any()


def test_weights_make_keras_mean_the_papers_sum():
    boxes, labels = some(3)
    y, weight = assign(boxes, labels)
    positives = (y["classes"] >= 0).sum()
    assert weight["boxes"].mean() == pytest.approx(1)
    assert weight["classes"].mean() == pytest.approx((weight["classes"] > 0).sum() / positives)


def test_in_a_graph_it_is_the_same():
    boxes, labels = some(4)
    graph = tf.function(lambda b, n: targets.assign(GRID, b, n, tf.zeros(len(labels), bool), SIZE))
    close = partial(np.testing.assert_allclose, atol=1e-5)
    tf.nest.map_structure(close, graph(boxes, labels), assign(boxes, labels))


def test_it_is_torchvisions_matcher():
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("torchvision.models.detection._utils")
    boxes, labels = some(6, seed=5)
    matcher = utils.Matcher(0.5, 0.4, allow_low_quality_matches=True)
    theirs = matcher(torch.tensor(np.asarray(box.iou(boxes[:, None], GRID)))).numpy()
    y, weight = assign(boxes, labels, size=(10_000, 10_000))
    np.testing.assert_array_equal(y["classes"], np.where(theirs >= 0, labels[theirs], -1))
    np.testing.assert_array_equal(weight["classes"] == 0, theirs == -2)
