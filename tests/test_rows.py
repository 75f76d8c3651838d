import numpy as np
import pytest
import tensorflow as tf

from keras_vision.datasets import mnist, samples, tiny_imagenet
from keras_vision.pipeline import BatchData, Rows, batches

NAMES = np.array([f"photo_{number}" for number in range(7)])


def read(row):
    """Fails, as a decoder does, where a number is negative."""
    tf.debugging.assert_non_negative(row["number"], "no such number")
    return {"square": row["number"] ** 2, **row}


def rows(broken=()):
    numbers = np.arange(7)
    numbers[list(broken)] *= -1
    return Rows({"number": numbers, "name": NAMES}, read)


def square(raw):
    return raw["square"], raw["number"]


def test_a_dataset_of_raw_dicts():
    data = rows()
    assert isinstance(data, tf.data.Dataset)
    assert len(data) == len(list(data)) == 7
    assert data.element_spec["square"].shape == ()
    assert [int(raw["square"]) for raw in data] == [n**2 for n in range(7)]
    assert [int(x) for x in data.map(lambda raw: raw["number"]).skip(5)] == [5, 6]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([4, 4, 0], [4, 4, 0]), (slice(5, None), [5, 6]), (np.arange(7) % 3 == 0, [0, 3, 6])],
)
def test_select(numbers, expected):
    chosen = rows().select(numbers)
    assert [int(raw["number"]) for raw in chosen] == expected
    assert len(chosen) == len(expected)


def test_columns_of_several_values():
    boxes = tf.ragged.constant(
        [[[0, 0, 1, 1]], [], [[1, 1, 2, 2], [2, 2, 3, 3]]], inner_shape=(4,)
    )
    data = Rows({"boxes": boxes, "id": [7, 8, 9]})
    assert [raw["boxes"].shape.as_list() for raw in data.select([2, 1, 0])] == [
        [2, 4],
        [0, 4],
        [1, 4],
    ]


@pytest.mark.parametrize("columns", [{}, {"a": [1, 2], "b": [1]}])
def test_columns_of_several_lengths(columns):
    with pytest.raises(ValueError, match="expected columns of one length"):
        Rows(columns)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("broken", [(1,), (6,), (2, 3, 4), (5, 6), range(1, 7)])
def test_the_first_broken_row_is_named_in_any_batch(batch_size, broken):
    passes = iter(batches(rows(broken), square, batch_size))
    for _ in range(broken[0] // batch_size):
        next(passes)
    message = f"{NAMES[broken[0]]} cannot be read; skip_broken=True leaves it out. no such number"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(passes)


def test_the_last_row_of_an_endless_pass_is_named_too():
    flow = BatchData(rows((5,)), 2, example=square, shuffle=False)
    assert len(list(flow().take(2))) == 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="photo_5 cannot be read"):
        list(flow(1).take(9))


def test_a_function_that_fails_is_no_broken_file():
    def example(raw):
        tf.debugging.assert_less(raw["square"], np.int64(16), "too large")
        return raw["number"]

    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"photo_4 was read, but its.*too larg"
    ):
        list(batches(rows(), example, 3))


def test_whole():
    with pytest.warns(UserWarning, match="2 of 7 rows .* left out: photo_1, photo_6"):
        kept = rows((1, 6)).whole()
    assert [int(raw["number"]) for raw in kept] == [0, 2, 3, 4, 5]


def test_rows_without_a_name_have_a_number():
    data = Rows({"number": [3, -3]}, read)
    with pytest.raises(tf.errors.InvalidArgumentError, match="row 1 cannot be read"):
        list(data)


@pytest.mark.parametrize("module", [mnist, samples, tiny_imagenet])
def test_datasets_are_of_one_kind(module):
    assert all(isinstance(of, tuple) for of in (module.splits, module.class_names))
    assert all(isinstance(name, str) for name in (*module.splits, *module.class_names))
    assert module.load.__code__.co_varnames[:2] == ("split", "root")
    with pytest.raises(ValueError, match="no split 'all', expected one of train"):
        module.load("all", "nowhere")


def test_names_go_with_the_labels():
    digits = mnist.load("test", mnist.SUBSET)
    assert digits.class_names == digits.select([1, 2]).class_names == tuple("0123456789")
