import numpy as np
import pytest
import tensorflow as tf

from keras_vision.datasets import shapes
from keras_vision.pipeline import BatchData


@pytest.fixture(scope="module")
def raws():
    return list(shapes.load("val", size=96, count=60).as_numpy_iterator())


def test_what_a_raw_dict_holds(raws):
    for raw in raws:
        count = len(raw["labels"])
        assert raw["image"].shape == (96, 96, 3)
        assert raw["image"].dtype == np.uint8
        assert raw["boxes"].shape == (count, 4)
        assert raw["boxes"].dtype == np.float32
        assert raw["masks"].shape == (count, 96, 96)
        assert raw["masks"].dtype == bool
        assert raw["labels"].dtype == np.int32
        assert count <= 8
    labels = np.concatenate([raw["labels"] for raw in raws])
    assert set(labels) == set(range(len(shapes.class_names)))
    assert any(not len(raw["labels"]) for raw in raws)  # some are empty


def test_boxes_are_around_what_is_seen(raws):
    for raw in raws:
        for box, mask in zip(raw["boxes"], raw["masks"], strict=True):
            rows, columns = np.nonzero(mask)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_shapes_do_not_share_pixels_and_hide_little(raws):
    for raw in raws:
        assert raw["masks"].sum(0).max(initial=0) <= 1


def test_sizes_are_many(raws):
    sides = np.concatenate([(raw["boxes"][:, 2:] - raw["boxes"][:, :2]).max(1) for raw in raws])
    assert (sides < 14).any()
    assert (sides > 36).any()


def areas():
    """Of each shape of radius 1, in closed form."""
    fifth, arm = np.pi / 5, 0.35
    return {
        "disc": np.pi,
        "square": 2,
        "triangle": 3 * np.sqrt(3) / 4,
        "star": 5 * 0.4 * np.sin(fifth),
        "cross": (8 * arm - 4 * arm**2) / (1 + arm**2),
        "flower": np.pi * (0.75**2 + 0.25**2 / 2),
    }


@pytest.mark.parametrize("number", range(len(shapes.class_names)))
def test_each_shape_covers_its_area(number):
    """In the middle of a picture, turned anyhow, in pixels."""
    name = shapes.class_names[number]
    for angle in (0.0, 0.1, 0.77):
        shape = {"label": number, "center": tf.constant([0.5, 0.5]), "radius": 0.4, "angle": angle}
        side = tf.range(200)
        cover = shapes.coverage(shape, side, side, 200).numpy()
        assert cover.sum() == pytest.approx(areas()[name] * 80**2, rel=0.01)


def test_a_disc_is_where_it_is_said():
    shape = {"label": 0, "center": tf.constant([0.25, 0.5]), "radius": 0.1, "angle": 0.0}
    side = tf.range(100)
    rows, columns = np.nonzero(shapes.coverage(shape, side, side, 100).numpy() > 0.5)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (15, 34, 40, 59)


def test_a_picture_depends_on_its_number_only(raws):
    rows = shapes.load("val", size=96, count=7)
    for number in (6, 2):
        (one,) = rows.select([number]).as_numpy_iterator()
        for name in one:
            np.testing.assert_array_equal(one[name], raws[number][name])
    (other,) = shapes.load("train", size=96, count=1).as_numpy_iterator()
    assert not np.array_equal(other["image"], raws[0]["image"])


def test_length_and_batches():
    assert len(shapes.load("train")) == 100_000
    assert len(shapes.load("val")) == 500
    rows = shapes.load("train", size=64, count=10**7)  # costs nothing
    flow = BatchData(rows, 4, example=lambda raw: (raw["image"], tf.size(raw["labels"])))
    images, counts = next(iter(flow(0, 0)))
    assert images.shape == (4, 64, 64, 3)
    assert counts.shape == (4,)
    assert rows.class_names == shapes.class_names


def test_unknown_split():
    with pytest.raises(ValueError, match="no split 'test', expected one of train, val"):
        shapes.load("test")
