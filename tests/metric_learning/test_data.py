from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.metric_learning import data
from keras_vision.rows import Rows
from keras_vision.training import TrainConfig, launch

IDS = np.repeat([0, 1, 2, 3, 4], [6, 3, 9, 4, 12])


def rows(ids=IDS):
    images = np.arange(len(ids), dtype="uint8")[:, None, None, None] * np.ones(
        (1, 4, 4, 3), "uint8"
    )
    return Rows({"image": images, "label": ids.astype("int32")}, class_names="abcde")


def taken(flow, count, *start):
    return [(x[:, 0, 0, 0].numpy(), y.numpy()) for x, y in flow(*start).take(count)]


def test_batches_have_several_pictures_of_each_id():
    flow = data.by_id(rows(), 3, 3)
    assert len(flow) == len(IDS) // 9 == 3
    batches = taken(flow, 300)
    for numbers, ids in batches:
        np.testing.assert_array_equal(IDS[numbers], ids)
        assert len(np.unique(numbers)) == 9
        _, counts = np.unique(ids, return_counts=True)
        np.testing.assert_array_equal(counts, [3, 3, 3])
    numbers, ids = (np.concatenate(of) for of in zip(*batches, strict=True))
    assert set(numbers) == set(range(len(IDS)))
    often = np.bincount(ids) / len(ids)  # the same for all ids, whatever pictures they have
    np.testing.assert_allclose(often, 0.2, atol=0.03)


def test_a_resumed_run_sees_what_an_uninterrupted_one_would():
    flow = data.by_id(rows(), 2, 2)
    whole = taken(flow, 20, 0, 5)
    for first in (1, 7, 8, 13):
        for (numbers, _), (again, _) in zip(
            whole[first:], taken(flow, 20, first, 5), strict=False
        ):
            np.testing.assert_array_equal(numbers, again)
    assert any((a != b).any() for (a, _), (b, _) in zip(whole, taken(flow, 20, 0, 6), strict=True))


def test_in_a_training(tmp_path):
    def model():
        model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(3))
        model.compile("sgd", "mse")
        return model

    def example(raw):
        return tf.cast(raw["image"], "float32") / 255, tf.zeros(3)

    flow = data.by_id(rows(), 2, 3, example=example)
    launch(TrainConfig(model, flow, steps_per_epoch=4, max_epoch=2, log_dir=tmp_path))


def test_ids_as_keras_datasets_have_them():
    """(N, 1)."""
    column = Rows({**rows().columns, "label": IDS.astype("int32")[:, None]})
    for (numbers, ids), (again, column_ids) in zip(
        taken(data.by_id(rows(), 3, 3), 3), taken(data.by_id(column, 3, 3), 3), strict=True
    ):
        np.testing.assert_array_equal(numbers, again)
        np.testing.assert_array_equal(ids[:, None], column_ids)
    for raw in data.hard_triplets(column, np.random.default_rng(0).normal(size=(len(IDS), 3))):
        a, p, n = numbers_of(raw).values()
        assert IDS[a] == IDS[p] != IDS[n]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            Rows({"image": np.zeros((4, 2, 2, 3))}),
            r"column \"label\".* got the columns \['image'\]",
        ),
        (Rows({"label": np.zeros((4, 2), int)}), r"labels \(N,\), one id a picture, got .*4, 2"),
        (tf.data.Dataset.range(3), r"expected Rows with ids in their column .*RangeDataset"),
    ],
)
def test_rows_without_ids(given, message):
    vectors = np.zeros((4, 2))
    makers = (partial(data.pairs, count=2), partial(data.triplets, count=2), data.by_id)
    for make in (*makers, partial(data.hard_triplets, vectors=vectors)):
        with pytest.raises(ValueError, match=message):
            make(given)


@pytest.mark.parametrize(("labels", "told"), [(["x", "y"], "x.*, .*y"), ([-1, 500], "-1, 500")])
def test_ids_without_names_are_told_as_they_are(labels, told):
    columns = {"image": np.zeros((2, 2, 2, 3)), "label": np.array(labels)}
    with pytest.raises(ValueError, match=f"2 of 2 ids have fewer: .*{told}"):
        data.by_id(Rows(columns, class_names="ab"), 2, 2)


def test_batches_by_id_are_always_full():
    with pytest.raises(TypeError, match="remainder"):
        data.by_id(rows(), 3, 3, remainder=True)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.full((len(IDS), 2), np.nan), "expected finite vectors"),
        (np.zeros((3, 2)), "expected ids of 3 vectors"),
    ],
)
def test_vectors_that_are_not_those_of_the_rows(vectors, message):
    with pytest.raises(ValueError, match=message):
        data.hard_triplets(rows(), vectors)


def test_hard_ones_of_vectors_that_overflow_float16():
    vectors = np.array([[0], [1], [2], [300], [310], [320]], "float16")
    found = data.hard_triplets(rows(np.repeat([0, 1], 3)), vectors)
    assert [numbers_of(raw)["negative"] for raw in found] == [3, 3, 3, 2, 2, 2]


@pytest.mark.parametrize(
    ("ids", "pictures", "message"),
    [
        (6, 2, "6 ids a batch, but the dataset has 5: use fewer"),
        (2, 4, "4 pictures an id, but 1 of 5 ids have fewer: b; use fewer, or leave them out"),
        (2, 13, "13 pictures an id, but 5 of 5 ids have fewer: a, b, c, d, e; use fewer"),
    ],
)
def test_too_few(ids, pictures, message):
    with pytest.raises(ValueError, match=message):
        data.by_id(rows(), ids, pictures)


def numbers_of(raw):
    return {name: int(raw[name]["image"][0, 0, 0]) for name in raw if isinstance(raw[name], dict)}


def test_pairs():
    found = list(data.pairs(rows(), 200, seed=1))
    assert sum(int(raw["label"]) for raw in found) == 100
    for raw in found:
        first, second = numbers_of(raw).values()
        assert first != second
        assert (IDS[first] == IDS[second]) == raw["label"].numpy()
    (first, second), label = data.of_pair(found[0])
    assert (first.shape, second.shape, label.shape) == ((4, 4, 3), (4, 4, 3), ())
    again = list(data.pairs(rows(), 200, seed=1))
    assert list(map(numbers_of, again)) == list(map(numbers_of, found))


def test_triplets_and_hard_ones():
    vectors = np.random.default_rng(0).normal(size=(len(IDS), 3))
    easy, hard = data.triplets(rows(), 50), data.hard_triplets(rows(), vectors)
    assert (len(easy), len(hard)) == (50, len(IDS))
    for raw in (*easy, *hard):
        a, p, n = (numbers_of(raw)[name] for name in ("anchor", "positive", "negative"))
        assert a != p
        assert IDS[a] == IDS[p] != IDS[n]
    for raw in hard:
        found = numbers_of(raw)
        away = np.linalg.norm(vectors - vectors[found["anchor"]], axis=1)
        assert away[found["negative"]] == away[IDS[found["anchor"]] != IDS].min()


@pytest.mark.parametrize("ids", [np.zeros(4, int), np.arange(4)])
def test_no_pairs(ids):
    for make in (data.pairs, data.triplets):
        with pytest.raises(ValueError, match="make no pairs: needed are two ids, and one of them"):
            make(rows(ids), 5)


def test_what_is_alone_is_no_anchor():
    ids = np.array([0, 0, 1])
    assert {numbers_of(raw)["anchor"] for raw in data.triplets(rows(ids), 20)} == {0, 1}


def test_turned_characters_are_others():
    images = np.arange(2 * 9, dtype="uint8").reshape(2, 3, 3, 1)
    found = list(data.turned(Rows({"image": images, "label": np.array([0, 1], "int32")})))
    assert [int(raw["label"]) for raw in found] == [0, 1, 2, 3, 4, 5, 6, 7]
    for number, raw in enumerate(found):
        np.testing.assert_array_equal(raw["image"], np.rot90(images[number % 2], number // 2))


def test_warped_moves_about_the_middle():
    image = np.full((1, 33, 33, 1), 255, "uint8")
    image[0, 16, 16] = 0
    batch = np.repeat(image, 64, 0), np.arange(64)
    found, ids = data.warped(batch, tf.constant([1, 2]), shift=0.0)
    assert ids is batch[1]
    assert (found[:, 16, 16, 0].numpy() < 1).all()
    corner = np.full((1, 33, 33, 1), 255, "uint8")
    corner[0, 4:7, 4:7] = 0
    same, _ = data.warped((corner, 0), tf.constant([1, 2]), 0.0, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(same, corner, atol=1e-3)
    shifted, _ = data.warped(
        (np.repeat(corner, 64, 0), 0), tf.constant([1, 2]), 0.0, 0.0, 0.0, 0.1
    )
    ink = 255 - shifted.numpy()[..., 0]
    rows = (ink.sum(2) * np.arange(33)).sum(1) / ink.sum((1, 2))
    assert np.abs(rows - 5).max() < 3.4  # a tenth of 33
    assert rows.std() > 1
    turned, _ = data.warped(
        (np.repeat(corner, 64, 0), 0), tf.constant([3, 2]), 45.0, 0.0, 0.0, 0.0
    )
    ink = 255 - turned.numpy()[..., 0]
    place = [(ink.sum(2 - axis) * np.arange(33)).sum(1) / ink.sum((1, 2)) - 16 for axis in (0, 1)]
    np.testing.assert_allclose(np.hypot(*place), np.hypot(11, 11), atol=0.3)  # a pure turn
    assert np.ptp(np.degrees(np.arctan2(*place))) > 60
