"""Plain loops, a grid of pixels, and Keras' own functions are the oracles."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vision import boxes


def some(count, seed=0, side=100.0):
    """Boxes (count, 4) with an area, in a picture of `side` pixels."""
    random = np.random.default_rng(seed)
    corners = np.sort(random.uniform(0, side - 1, (count, 2, 2)), axis=1).reshape(-1, 4)
    return (corners + np.array([0, 0, 1, 1])).astype("float32")


def whole(count, seed=0, side=20):
    return np.round(some(count, seed, side))


def pixels(box, side=24):
    """The pixels that a box of whole corners covers, bool (side, side)."""
    x1, y1, x2, y2 = box.astype(int)
    covered = np.zeros((side, side), bool)
    covered[y1:y2, x1:x2] = True
    return covered


def test_area_and_iou_count_pixels():
    a, b = whole(30), whole(20, seed=1)
    ours = boxes.iou(a[:, None], b)
    assert ours.shape == (30, 20)
    for i, first in enumerate(map(pixels, a)):
        assert float(boxes.area(a[i])) == first.sum()
        for j, second in enumerate(map(pixels, b)):
            expected = (first & second).sum() / (first | second).sum()
            assert float(ours[i, j]) == pytest.approx(expected, abs=1e-6)


def test_iou_is_kerass():
    a, b = some(30), some(20, seed=1)
    theirs = keras.utils.bounding_boxes.compute_iou(a, b, "xyxy")
    np.testing.assert_allclose(boxes.iou(a[:, None], b), theirs, rtol=1e-5, atol=1e-6)


def test_iou_is_symmetric_a_share_and_one_with_itself():
    a, b = some(50), some(50, seed=1)
    shares = ops.convert_to_numpy(boxes.iou(a[:, None], b))
    np.testing.assert_allclose(shares, ops.transpose(boxes.iou(b[:, None], a)), atol=1e-6)
    assert shares.min() >= 0
    assert 0.5 < shares.max() <= 1
    np.testing.assert_allclose(boxes.iou(a, a), 1, rtol=1e-6)


@pytest.mark.parametrize("empty", [[0, 0, 0, 0], [5, 5, 5, 9], [9, 9, 5, 5]])
def test_boxes_without_area_share_nothing(empty):
    empty, b = np.array([empty], "float32"), some(5)
    assert not ops.convert_to_numpy(boxes.iou(empty, b)).any()
    assert not ops.convert_to_numpy(boxes.iou(empty, empty)).any()
    assert np.isfinite(boxes.giou(empty, b)).all()
    assert np.isfinite(boxes.giou(empty, empty)).all()


def test_giou():
    """Overlapping, apart, one in the other, and the same."""
    a = np.array([[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 4, 4], [3, 3, 5, 8]], "float32")
    b = np.array([[1, 1, 3, 3], [2, 0, 3, 1], [1, 1, 2, 2], [3, 3, 5, 8]], "float32")
    np.testing.assert_allclose(boxes.giou(a, b), [1 / 7 - 2 / 9, -1 / 3, 1 / 16, 1], rtol=1e-5)


def test_decode_inverts_encode():
    anchors, objects = some(200, side=60), some(200, seed=1, side=60)  # below the bound
    deltas = boxes.encode(objects, anchors)
    np.testing.assert_allclose(boxes.decode(deltas, anchors), objects, atol=1e-2)


def test_encode_of_a_known_box():
    anchor, box = np.float32([[10, 20, 30, 60]]), np.float32([[15, 40, 55, 60]])
    expected = [[(35 - 20) / 20, (50 - 40) / 40, np.log(40 / 20), np.log(20 / 40)]]
    np.testing.assert_allclose(boxes.encode(box, anchor), expected, rtol=1e-6)


def test_decode_is_bounded():
    box = ops.convert_to_numpy(
        boxes.decode(np.float32([[0, 0, 500, -500]]), np.float32([[0, 0, 2, 2]]))
    )
    np.testing.assert_allclose(box, [[1 - 62.5, 1, 1 + 62.5, 1]], rtol=1e-5)


def test_clip():
    box = np.float32([[-5, -5, 5, 5], [3, 4, 90, 90], [70, 70, 80, 80]])
    expected = [[0, 0, 5, 5], [3, 4, 30, 20], [30, 20, 30, 20]]
    np.testing.assert_array_equal(boxes.clip(box, 20, 30), expected)


def greedy(box, scores, overlap, groups):
    """The indices of those to keep, by a plain loop."""
    kept = []
    for best in sorted(range(len(box)), key=lambda i: (-scores[i], i)):
        rivals = [k for k in kept if groups[k] == groups[best]]
        if all(float(boxes.iou(box[k], box[best])) <= overlap for k in rivals):
            kept.append(best)
    return kept


@pytest.fixture(params=["kernel", "loop"])
def nms(request, monkeypatch):
    """`boxes.nms` by TensorFlow's kernel, and by the loop that other backends use."""
    if request.param == "loop":
        monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    return boxes.nms


@pytest.mark.quick("kernel-1-0", "kernel-80-0", "loop-80-0")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("groups", [1, 80])
def test_nms_keeps_what_a_plain_loop_keeps(nms, seed, groups):
    """With whole corners, many overlaps are just at the threshold; a third of scores are equal."""
    random = np.random.default_rng(seed)
    box = np.concatenate([whole(40, seed), some(40, seed)])
    scores = random.integers(0, 30, 80).astype("float32")
    of = random.integers(0, groups, 80)
    expected = greedy(box, scores, 0.5, of)
    kept, count = nms(box, scores, 0.5, of)
    assert ops.convert_to_numpy(kept)[: int(count)].tolist() == expected
    kept, count = nms(box, scores, 0.5, of, most=3)
    assert len(kept) == 3
    assert ops.convert_to_numpy(kept)[: int(count)].tolist() == expected[:3]


def test_nms_of_nothing(nms):
    kept, count = nms(
        np.zeros((0, 4), "float32"), np.zeros(0, "float32"), 0.5, np.zeros(0, int), 5
    )
    assert int(count) == 0
    assert len(kept) == 5


def test_groups_are_apart_far_from_zero(nms):
    """Boxes near 1,333 of the last of 91 classes are not moved by float32."""
    box = np.float32([[1300, 1300, 1310, 1310], [1300, 1300, 1310, 1305.01]])
    _, count = nms(box, np.float32([0.9, 0.8]), 0.5, np.array([90, 90]))
    assert int(count) == 1
    _, count = nms(box, np.float32([0.9, 0.8]), 0.502, np.array([90, 90]))
    assert int(count) == 2
