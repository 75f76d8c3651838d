from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from keras_vision import augment
from keras_vision.classification.data import in_turn
from keras_vision.datasets import camvid
from keras_vision.pipeline import BatchData, batches
from keras_vision.rows import Rows
from keras_vision.segmentation import data

WAYS = pytest.mark.parametrize("way", [lambda f: f, tf.function], ids=["eager", "graph"])


def raw(height=40, width=60, block=8):
    """Blocks of the labels 1..9, but 5; red is 20 times the label, green and blue the place."""
    rows, columns = np.indices((height, width))
    labels = np.random.default_rng(0).choice([1, 2, 3, 4, 6, 7, 8, 9], (9, 9))
    labels = labels[rows // block % 9, columns // block % 9]
    image = np.stack([20 * labels, rows, columns], -1).astype("uint8")
    return {"image": tf.constant(image), "label_map": tf.constant(labels, tf.int32)}


def aligned(found, reach=2):
    """The share of pixels all around which the labels are the same: there, red says which."""
    labels, red = found["label_map"].numpy(), found["image"].numpy()[..., 0].astype(int)
    assert set(np.unique(labels)) <= {1, 2, 3, 4, 6, 7, 8, 9, 255}
    size = 2 * reach + 1
    lowest = ndimage.minimum_filter(labels, size, mode="constant", cval=-1)
    even = lowest == ndimage.maximum_filter(labels, size)
    np.testing.assert_array_equal(red[even], np.where(labels == 255, 0, 20 * labels)[even])
    return even.mean()


def numbers(raws):
    return {name: values.numpy() for name, values in raws.items()}


@pytest.mark.parametrize("wrong", [-1, 3, 7, 254, 256])
def test_labels_that_are_no_class_are_refused(wrong):
    photos = np.zeros((2, 1, 3, 3), "uint8")
    maps = np.int32([[[0, 2, 255]], [[0, wrong, 255]]])
    rows = Rows({"image": photos, "label_map": maps, "name": ["good", "photo 7"]})
    example = partial(data.example, classes=3)
    image, labels = next(iter(batches(rows.select([0]), example, 1)))
    assert (image.dtype, labels.numpy().tolist()) == (tf.uint8, [[[0, 2, 255]]])
    message = rf"photo 7 .*labels are not in 0\.\.2, nor 255:.*{wrong}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(batches(rows, example, 2))


def painted(masks, labels, crowd):
    """Pixel by pixel: of the masks that cover it, the smallest."""
    found = np.zeros(masks.shape[1:], int)
    for place in np.ndindex(found.shape):
        over = [(masks[n].sum(), n) for n in range(len(masks)) if masks[n][place]]
        if over:
            _, n = min(over)
            found[place] = 255 if crowd[n] else labels[n] + 1
    return found


@WAYS
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_smaller_one_is_seen_and_crowds_are_void(way, order):
    masks = np.zeros((4, 8, 9), bool)
    masks[0, 1:7, 1:8] = masks[1, 3:5, 3:5] = masks[2, 4:8, 0:4] = masks[3, 4, 2:7] = True
    order = list(order)
    masks, labels = masks[order], np.int32([0, 79, 5, 3])[order]
    crowd = np.array([True, False, False, False])[order]
    given = {"masks": tf.constant(masks), "labels": tf.constant(labels), "name": tf.constant("a")}
    found = way(data.from_instances)({**given, "crowd": tf.constant(crowd)})
    np.testing.assert_array_equal(found["label_map"], painted(masks, labels, crowd))
    assert set(np.unique(found["label_map"])) == {0, 4, 6, 80, 255}
    assert (found["label_map"].dtype, found["name"]) == (tf.int32, b"a")
    found = way(data.from_instances)(given)
    np.testing.assert_array_equal(found["label_map"], painted(masks, labels, 4 * [False]))


@WAYS
def test_a_photo_without_objects_is_background(way):
    given = {"masks": tf.zeros((0, 3, 4), bool), "labels": tf.zeros(0, tf.int32)}
    given["crowd"] = tf.zeros(0, bool)
    np.testing.assert_array_equal(way(data.from_instances)(given)["label_map"], np.zeros((3, 4)))


@pytest.mark.parametrize("size", [(40, 60), (20, 30), (57, 101), (100, 31), (1, 1)])
def test_resize(size):
    given = raw(block=12)
    found = data.resize(given, size)
    rows, columns = (np.int32((np.arange(size[n]) + 0.5) * (40, 60)[n] / size[n]) for n in (0, 1))
    truth = given["label_map"].numpy()[rows][:, columns]
    np.testing.assert_array_equal(found["label_map"], truth)
    assert (found["image"].dtype, found["label_map"].dtype) == (tf.uint8, tf.int32)
    assert found["image"].shape == (*size, 3)
    assert aligned(found) > 0.05 or size == (1, 1)


@pytest.mark.parametrize(
    ("shape", "size"), [((40, 60), (20, 30)), ((60, 40), (30, 20)), ((21, 64), (20, 61))]
)
@WAYS
def test_resized_to_a_short_side(way, shape, size):
    found = way(partial(data.resized, short=20))(raw(*shape), tf.constant([1, 2]))
    np.testing.assert_equal(numbers(found), numbers(data.resize(raw(*shape), size)))


def crops(count, given, *args):
    seeds = tf.data.Dataset.range(count).map(lambda n: data.crop(given, tf.stack([n, 3]), *args))
    return list(seeds)


def test_a_crop_without_a_scale_is_a_part_of_the_photo():
    given, places = raw(), set()
    for found in crops(60, given, (37, 58), (1.0, 1.0)):
        assert found["image"].shape == (37, 58, 3)
        top, left = found["image"].numpy()[0, 0, 1:]
        for name in ("image", "label_map"):
            part = given[name][top : top + 37, left : left + 58]
            np.testing.assert_array_equal(found[name], part)
        places.add((top, left))
    assert places == {(top, left) for top in range(4) for left in range(3)}


def test_beyond_the_photo_is_black_and_void():
    """How far it reaches tells its scale."""
    scales = []
    for found in crops(60, raw(), (90, 130)):
        inside = found["label_map"].numpy() != 255
        height, width = inside.any(1).sum(), inside.any(0).sum()
        assert inside[:height, :width].all()
        assert not found["image"].numpy()[~inside].any()
        np.testing.assert_allclose(height / 40, width / 60, atol=0.02)
        scales.append(height / 40)
        assert aligned(found) > 0.3
    assert 0.5 <= min(scales) < 0.6
    assert 1.8 < max(scales) <= 2
    np.testing.assert_allclose(np.mean(np.log2(scales)), 0, atol=0.3)


def test_crops_of_all_scales_stay_aligned():
    found = crops(12, raw(), (32, 24), (0.4, 3.0))
    for one in found:
        assert aligned(one) > 0.02
        assert one["label_map"].shape == (32, 24)
    assert len({one["image"].numpy().tobytes() for one in found}) == 12
    np.testing.assert_equal(
        *map(numbers, (found[3], data.crop(raw(), [3, 3], (32, 24), (0.4, 3.0))))
    )


def test_elastic_without_a_deviation_changes_nothing():
    np.testing.assert_equal(numbers(data.elastic(raw(), [1, 2], 0.0)), numbers(raw()))


@pytest.mark.parametrize("grid", [2, 3, 5])
def test_elastic_keeps_labels_on_what_they_are_of(grid):
    bend = partial(data.elastic, deviation=3.0, grid=grid)
    given = raw(72, 108, block=12)
    found = [bend(given, [seed, 2]) for seed in range(3)]
    for one in found:
        assert aligned(one) > 0.3
        assert (one["label_map"].numpy() != given["label_map"].numpy()).mean() > 0.03
    (graph,) = tf.data.Dataset.from_tensors(given).map(lambda one: bend(one, [1, 2]))
    np.testing.assert_equal(numbers(graph), numbers(found[1]))
    np.testing.assert_equal(numbers(bend(given, [1, 2])), numbers(found[1]))
    assert (found[0]["image"].numpy() != found[1]["image"].numpy()).any()


def test_the_middle_is_moved_by_the_deviation():
    """Of 3 x 3 points the middle one lies on it: what is seen there tells where it was."""
    given = raw(101, 121)
    seeds = tf.data.Dataset.range(150)
    moved = seeds.map(lambda n: data.elastic(given, tf.stack([n, 9]))["image"][50, 60, 1:])
    moved = np.stack(list(moved.as_numpy_iterator())) - [50.0, 60.0]
    np.testing.assert_allclose(moved.std(0), 10, rtol=0.2)
    np.testing.assert_allclose(moved.mean(0), 0, atol=2.5)
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.25


def test_places_between_pixels_and_beyond_the_edges():
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 256, (5, 7, 2), np.uint8)
    places = rng.uniform(-14, 14, (6, 4, 2)).astype("float32")
    found = data.bilinear(tf.constant(maps), tf.constant(places))
    for channel in range(2):
        truth = ndimage.map_coordinates(
            maps[..., channel].astype(float), places.transpose(2, 0, 1), order=1, mode="reflect"
        )
        np.testing.assert_allclose(found[..., channel], truth, atol=1e-2)
    padded = np.pad(maps, ((5, 5), (7, 7), (0, 0)), "symmetric")
    whole = np.stack(np.indices((15, 21)), -1) - [5, 7]
    np.testing.assert_array_equal(data.at(tf.constant(maps), tf.constant(whole, tf.int32)), padded)


def counted(maps, classes):
    frequencies = []
    for label in range(classes):
        own = everything = 0
        for pixels in maps:
            if label in pixels:
                own += sum(pixel == label for pixel in pixels.ravel())
                everything += sum(pixel != 255 for pixel in pixels.ravel())
        frequencies.append(own / everything if everything else None)
    middle = np.median([frequency for frequency in frequencies if frequency])
    return [middle / frequency if frequency else 0 for frequency in frequencies]


def labelled(maps):
    return Rows({"label_map": np.int32(maps)})


def test_median_frequency_by_a_plain_count():
    maps = np.random.default_rng(0).choice([0, 0, 0, 1, 3, 3, 4, 255], (6, 3, 4))
    maps[:3][maps[:3] == 4] = 0
    maps[1] = 255
    found = data.median_frequency(labelled(maps), 6)
    np.testing.assert_allclose(found, counted(maps, 6))
    assert (found[2], found[5], found[0] < 1 < found[4]) == (0, 0, True)


def test_median_frequency_of_nothing_but_void():
    assert data.median_frequency(labelled(np.full((2, 3, 4), 255)), 3).tolist() == [0, 0, 0]


def test_a_pipeline_with_layers_of_keras():
    given = numbers(raw())
    rows = Rows({name: np.stack([values] * 8) for name, values in given.items()})
    crop = partial(data.crop, size=(32, 48))
    flip = augment.by(keras.layers.RandomFlip("horizontal"))
    steps = [partial(data.resized, short=30), crop, data.elastic, flip]
    example = partial(data.example, classes=10)
    flow = BatchData(rows, 8, example=example, augment=in_turn(*steps))
    images, labels = next(iter(flow(0, 0)))
    assert (images.shape, labels.shape) == ((8, 32, 48, 3), (8, 32, 48))
    assert (images.dtype, labels.dtype) == (tf.uint8, tf.int32)
    still = BatchData(rows, 8, example=example, augment=in_turn(steps[0], crop, flip))
    forward, shares = set(), []
    for image, label_map in zip(*next(iter(still(0, 0))), strict=True):
        shares.append(aligned({"image": image, "label_map": label_map}, reach=4))
        blue = image.numpy()[0, :, 2].astype(int)
        forward.add(blue[blue > 0][0] < blue[blue > 0][-1])
    assert forward == {False, True}
    assert np.mean(shares) > 0.1


@pytest.mark.realdata
def test_real_weights_are_near_those_of_segnet(data_root):
    """45 of the 367 frames."""
    found = data.median_frequency(camvid.load("train", data_root / "CamVid"), 11)
    np.testing.assert_allclose(np.log(found / camvid.class_weights), 0, atol=np.log(3))
    assert np.corrcoef(np.log(found), np.log(camvid.class_weights))[0, 1] > 0.95
