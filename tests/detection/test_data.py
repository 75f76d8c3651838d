import sys
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision import augment, boxes
from keras_vision.datasets import shapes
from keras_vision.detection import anchors, data
from keras_vision.pipeline import BatchData, batches
from keras_vision.rows import Rows

SIZE = (64, 96)


def raw(height=40, width=30, **changes):
    """A photo with one object, all white on black, and its upper left corner red."""
    image = np.zeros((height, width, 3), "uint8")
    image[10:20, 5:25] = 255
    image[:2, :2] = [255, 0, 0]
    found = {
        "image": image,
        "boxes": np.float32([[5, 10, 25, 20]]),
        "labels": np.int32([1]),
        "crowd": np.array([False]),
    }
    return {name: tf.constant(of) for name, of in {**found, **changes}.items()}


def white(image):
    """The box of what is white."""
    rows, columns = np.nonzero((image > 140).all(-1))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("size", [(40, 30), (20, 60), (200, 120), (64, 96)])
def test_the_photo_fits_and_its_boxes_go_along(size):
    box = np.float32([[0.2, 0.3, 0.8, 0.9]]) * np.float32([size[1], size[0]] * 2)
    box = np.round(box)
    image = np.zeros((*size, 3), "uint8")
    x1, y1, x2, y2 = box[0].astype(int)
    image[y1:y2, x1:x2] = 255
    found = data.fitted(raw(image=image, boxes=box), SIZE)
    scale = min(SIZE[0] / size[0], SIZE[1] / size[1])
    np.testing.assert_allclose(found["extent"], np.multiply(size, scale), atol=1)
    np.testing.assert_allclose(found["boxes"], box * scale, atol=0.6)
    np.testing.assert_allclose(found["boxes"][0], white(found["image"].numpy()), atol=1.5)
    height, width = found["extent"].numpy()
    assert (found["image"][height:].numpy() == data.PADDING).all()
    assert (found["image"][:, width:].numpy() == data.PADDING).all()


def test_example_is_the_same_in_a_graph():
    example = partial(data.example, size=SIZE, classes=3)
    (graph,) = tf.data.Dataset.from_tensors(raw()).map(example)
    tf.nest.map_structure(np.testing.assert_allclose, graph, example(raw()))
    image, y, weight = graph
    count = len(anchors.grid(*SIZE))
    assert image.shape == (*SIZE, 3)
    assert image.dtype == tf.uint8
    assert y["classes"].shape == (count,)
    assert y["boxes"].shape == (count, 4)
    assert set(np.unique(y["classes"])) == {-1, 1}
    assert weight["boxes"].shape == (count,)


def test_a_batch_without_any_box():
    rows = Rows({"number": np.arange(3)}, lambda row: raw(boxes=np.zeros((0, 4), "float32"),
                labels=np.zeros(0, "int32"), crowd=np.zeros(0, bool)))  # fmt: skip
    _, y, weight = next(iter(batches(rows, partial(data.example, size=SIZE, classes=2), 3)))
    assert (y["classes"].numpy() == -1).all()
    assert not weight["boxes"].numpy().any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.int32([3])}, r"labels are not in 0\.\.2"),
        ({"labels": np.int32([-1])}, r"labels are not in 0\.\.2"),
        ({"boxes": np.float32([[5, 10, np.nan, 20]])}, "boxes without an area"),
        ({"boxes": np.float32([[25, 10, 5, 20]])}, "boxes without an area"),
    ],
)
def test_what_cannot_be_learned_is_named(change, message):
    rows = Rows({"name": ["photo 7"]}, lambda row: {**raw(**change), **row})
    rows = Rows({"name": ["good", "photo 7"]}, lambda row: {
        name: tf.where(tf.reshape(row["name"] == "good", [1] * len(of.shape)), raw()[name], of)
        for name, of in raw(**change).items()})  # fmt: skip
    example = partial(data.example, size=SIZE, classes=3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"photo 7 .*{message}"):
        list(batches(rows, example, 2))


def test_jitter_keeps_boxes_on_what_they_hold():
    shares = []
    for seed in range(20):
        found = data.jitter(raw(80, 90), [seed, 1], SIZE)
        assert found["image"].shape == (*SIZE, 3)
        height, width = found["extent"].numpy()
        boxes = found["boxes"].numpy()
        assert len(boxes) == len(found["labels"]) == len(found["crowd"])
        if len(boxes):
            assert (boxes >= 0).all()
            assert (boxes <= [width, height] * 2).all()
            np.testing.assert_allclose(
                boxes[0], white(found["image"].numpy()[:height, :width]), atol=2
            )
        shares.append(height * width / (SIZE[0] * SIZE[1]))
    assert min(shares) < 0.5
    assert max(shares) == 1


def test_masks_go_along():
    for seed in range(8):
        given = raw(80, 90)
        given["masks"] = tf.reduce_all(given["image"] == 255, -1)[None]
        found = data.jitter(given, [seed, 2], SIZE)
        assert found["masks"].shape == (len(found["boxes"]), *SIZE)
        for box, mask in zip(found["boxes"].numpy(), found["masks"].numpy(), strict=True):
            np.testing.assert_allclose(box, white(255 * np.stack([mask] * 3, -1)), atol=1.5)


def test_objects_that_are_cut_off_go():
    boxes = np.float32([[0, 0, 10, 10], [35, 10, 45, 20]])
    photo = np.zeros((40, 120, 3), "uint8")
    given = raw(image=photo, boxes=boxes, labels=np.int32([1, 2]), crowd=np.array([False, True]))
    found = data.on_canvas(given, (32, 32), 1.0, (0.0, 7 / 89))  # from x = 7 on
    np.testing.assert_array_equal(found["boxes"], [[0, 0, 3, 10], [28, 10, 32, 20]])
    found = data.on_canvas(given, (32, 32), 1.0, (0.0, 8.5 / 89))  # a fifth of the first is left
    np.testing.assert_array_equal(found["boxes"], [[27, 10, 32, 20]])
    assert found["labels"].numpy().tolist() == [2]
    assert found["crowd"].numpy().tolist() == [True]


def test_flip_by_keras_keeps_what_coco_knows():
    flip = augment.by(keras.layers.RandomFlip("horizontal", bounding_box_format="xyxy"))
    found = [flip(raw(width=70), tf.constant([seed, 0])) for seed in range(8)]
    lefts = set()
    for one in found:
        np.testing.assert_allclose(one["boxes"][0], white(one["image"].numpy()), atol=1e-3)
        lefts.add(round(float(one["boxes"][0, 0])))
    assert lefts == {5, 45}
    assert all(one["crowd"].shape == (1,) for one in found)


def test_a_pipeline_of_shapes():
    rows = shapes.load("train", size=64, count=8)
    flow = BatchData(rows, 4, example=partial(data.example, size=(64, 64), classes=6))
    image, y, _ = next(iter(flow(0, 0)))
    assert image.shape == (4, 64, 64, 3)
    assert y["boxes"].shape == (4, len(anchors.grid(64, 64)), 4)


def test_mosaic_has_the_objects_of_four():
    pytest.importorskip("keras_cv")
    size = (128, 128)
    rows = shapes.load("train", size=128, count=8)
    flow = BatchData(
        rows, 8, example=partial(data.boxed, size=size, classes=6), mix=data.mosaic(size)
    )
    images, y, weight = next(iter(flow(0, 0)))
    assert images.shape == (8, *size, 3)
    assert images.dtype == tf.uint8
    positive = y["classes"].numpy() >= 0
    assert positive.any(1).all()
    found = boxes.decode(y["boxes"].numpy(), anchors.grid(*size)).numpy()[positive]
    assert (found >= -0.01).all()
    assert (found <= 128.01).all()
    np.testing.assert_array_equal(weight["boxes"].numpy() > 0, positive)


def test_mosaic_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv.layers", None)
    with pytest.raises(ImportError, match=r"Mosaic needs keras-cv: pip install"):
        data.mosaic((64, 64))
