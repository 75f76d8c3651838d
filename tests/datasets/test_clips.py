from itertools import pairwise

import numpy as np
import pytest

from keras_vision.datasets import shapes
from keras_vision.pipeline import BatchData

SIZE, FRAMES = 96, 6


@pytest.fixture(scope="module")
def raws():
    return list(shapes.clips("val", SIZE, FRAMES, count=40).as_numpy_iterator())


def objects(raws):
    """(video, masks (T, S, S)) of each shape that is ever seen."""
    for raw in raws:
        for number in np.setdiff1d(raw["label_maps"], 0):
            yield raw["video"], raw["label_maps"] == number


def inside(masks):
    """Whether a shape touches no edge in any frame."""
    edges = masks[:, [0, -1]].any() or masks[:, :, [0, -1]].any()
    return not edges and masks.any((1, 2)).all()


def alone(masks, label_maps):
    """Whether nothing else is near, by which it might be hidden."""
    near = np.zeros_like(masks)
    for time, down, right in np.argwhere(masks):
        near[time, max(down - 2, 0) : down + 3, max(right - 2, 0) : right + 3] = True
    return not (near & (label_maps > 0) & ~masks).any()


@pytest.fixture(scope="module")
def whole(raws):
    """(video, masks) of the shapes that are seen as a whole from first to last."""
    found = [
        (raw["video"], masks)
        for raw in raws
        for _, masks in objects([raw])
        if inside(masks) and alone(masks, raw["label_maps"])
    ]
    assert len(found) > 15
    return found


def test_what_a_raw_dict_holds(raws):
    for raw in raws:
        assert set(raw) == {"video", "label_maps"}
        assert raw["video"].shape == (FRAMES, SIZE, SIZE, 3)
        assert raw["video"].dtype == np.uint8
        assert raw["label_maps"].shape == (FRAMES, SIZE, SIZE)
        assert raw["label_maps"].dtype == np.int32
    numbers = np.unique([raw["label_maps"] for raw in raws])
    np.testing.assert_array_equal(numbers, [0, 1, 2, 3, 4])  # never 255
    assert any(not raw["label_maps"].any() for raw in raws)  # some show no shape


def test_numbers_begin_at_one(raws):
    """But for those that have left the picture, or lie wholly behind others."""
    for raw in raws:
        there = np.setdiff1d(raw["label_maps"], 0)
        np.testing.assert_array_equal(there, np.arange(1, len(there) + 1))


def centroids(masks):
    return np.array([np.mean(np.nonzero(mask), axis=1) for mask in masks])


def test_shapes_move_straight_at_one_speed(whole):
    """From the label maps alone: centroids of each lie on a line, at equal distances."""
    time = np.arange(FRAMES)
    speeds = []
    for _, masks in whole:
        places = centroids(masks)
        line = np.polynomial.polynomial.polyfit(time, places, 1)
        assert np.abs(line[0] + time[:, None] * line[1] - places).max() < 1
        speeds.append(line[1])
    assert np.abs(speeds).max() < SIZE * shapes.SPEED + 0.3
    assert np.abs(speeds).max() > SIZE * shapes.SPEED / 2  # they do move
    assert np.std(speeds, axis=0).min() > 0.3


def test_areas_stay(whole):
    for _, masks in whole:
        areas = masks.sum((1, 2))
        assert np.ptp(areas) < 0.06 * areas.mean() + 4


def test_a_number_stays_with_its_shape(raws):
    """From frame to frame a shape overlaps itself, where it is not small, and no other number."""
    for raw in raws:
        for before, after in pairwise(raw["label_maps"]):
            for number in np.setdiff1d(before, 0):
                mask = before == number
                if mask.sum() > 400:
                    assert np.bincount(after[mask], minlength=5).argmax() == number


def test_the_video_shows_what_the_label_maps_say(raws, whole):
    """What lies behind stands still, and each shape keeps its colours."""
    for raw in raws:
        behind = (raw["label_maps"] == 0) & (raw["label_maps"][:1] == 0)
        change = np.abs(raw["video"].astype(int) - raw["video"][:1])[behind]
        # Edges of shapes cover pixels in part.
        assert (change.max(-1) > 0).mean() < 0.05 if len(change) else True
    for video, masks in whole:
        colours = np.array([frame[mask].mean(0) for frame, mask in zip(video, masks, strict=True)])
        assert np.ptp(colours, axis=0).max() < 20


def test_the_first_frame_is_drawn_as_pictures_are(raws):
    shown = [len(np.setdiff1d(raw["label_maps"][0], 0)) for raw in raws]
    assert max(shown) <= 4
    most_one = shapes.clips("val", 48, 2, count=12, most=1).as_numpy_iterator()
    assert {int(raw["label_maps"].max()) for raw in most_one} == {0, 1}


def test_a_clip_depends_on_its_number_only(raws):
    rows = shapes.clips("val", SIZE, FRAMES)
    for number in (9, 2):
        (one,) = rows.select([number]).as_numpy_iterator()
        for name in one:
            np.testing.assert_array_equal(one[name], raws[number][name])
    first, second = rows.select([5, 3]).as_numpy_iterator()
    np.testing.assert_array_equal(first["video"], raws[5]["video"])
    np.testing.assert_array_equal(second["video"], raws[3]["video"])


def test_a_longer_clip_goes_on(raws):
    (longer,) = shapes.clips("val", SIZE, FRAMES + 3).select([4]).as_numpy_iterator()
    for name in longer:
        np.testing.assert_array_equal(longer[name][:FRAMES], raws[4][name])


def test_one_frame(raws):
    (raw,) = shapes.clips("val", SIZE, 1).select([4]).as_numpy_iterator()
    assert raw["video"].shape == (1, SIZE, SIZE, 3)
    np.testing.assert_array_equal(raw["video"][0], raws[4]["video"][0])


def test_a_world_without_shapes():
    for raw in shapes.clips("val", 48, 3, count=3, most=0).as_numpy_iterator():
        assert not raw["label_maps"].any()
        np.testing.assert_array_equal(raw["video"][0], raw["video"][2])


def test_shapes_may_leave_the_picture():
    """In long clips most do, and nothing breaks."""
    left = 0
    for raw in shapes.clips("train", 32, 60, count=6).as_numpy_iterator():
        first, last = (set(np.unique(raw["label_maps"][time])) for time in (0, -1))
        left += len(first - last)
    assert left > 2


def test_splits_are_other_worlds(raws):
    (train,) = shapes.clips("train", SIZE, FRAMES, count=1).as_numpy_iterator()
    assert not np.array_equal(train["video"], raws[0]["video"])
    firsts = [raws[0]["video"][0], train["video"][0]]
    for split in shapes.splits:
        (picture,) = shapes.load(split, SIZE, count=1, most=4).as_numpy_iterator()
        assert not any(np.array_equal(picture["image"], first) for first in firsts)
    with pytest.raises(ValueError, match="no split 'test', expected one of train, val"):
        shapes.clips("test")


def test_length_and_batches():
    assert (len(shapes.clips("train")), len(shapes.clips("val"))) == (100_000, 500)
    flow = BatchData(
        shapes.clips("train", 32, 3, count=10**6),
        2,
        example=lambda raw: (raw["video"], raw["label_maps"]),
    )
    video, label_maps = next(iter(flow()))
    assert video.shape == (2, 3, 32, 32, 3)
    assert label_maps.shape == (2, 3, 32, 32)
