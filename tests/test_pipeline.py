import numpy as np
import pytest
import tensorflow as tf

from keras_vision import pipeline
from keras_vision.pipeline import BatchData, Rows


def numbers(count):
    return Rows({"number": np.arange(count)})


def pair(raw):
    return raw["number"], -raw["number"]


def noisy(raw, seed):
    return {"number": raw["number"] + tf.random.stateless_uniform((), seed, 0, 10**6, tf.int64)}


def firsts(dataset, count):
    return [x.tolist() for x, _ in dataset.take(count).as_numpy_iterator()]


def test_batches_are_one_pass_in_order():
    assert firsts(pipeline.batches(numbers(5), pair, 2), 9) == [[0, 1], [2, 3], [4]]


def test_an_epoch_has_every_element_once_and_full_batches():
    stream = BatchData(numbers(11), 3, example=pair)
    for epoch in range(3):
        seen = np.ravel(firsts(stream(3 * epoch), 3))
        assert len(set(seen)) == 9
        assert set(seen) <= set(range(11))


def test_epochs_differ_and_repeat_with_the_seed():
    stream = BatchData(numbers(12), 4, example=pair, augment=noisy)
    first = firsts(stream(), 6)
    assert first[:3] != first[3:]
    tf.random.set_seed(7)  # the program's own seed has no say
    assert firsts(stream(), 6) == first
    assert firsts(stream(seed=1), 6) != first


def test_a_later_start_continues_the_same_stream():
    stream = BatchData(numbers(12), 4, example=pair, augment=noisy)
    assert firsts(stream(7), 3) == firsts(stream(), 10)[7:]


def test_without_shuffling_the_order_stays():
    stream = BatchData(numbers(5), 2, example=pair, shuffle=False)
    assert firsts(stream(), 4) == [[0, 1], [2, 3], [0, 1], [2, 3]]


def test_batches_have_a_static_size():
    """Only then can several replicas share them equally."""
    assert BatchData(numbers(5), 2, example=pair)().element_spec[0].shape == (2,)


@pytest.mark.parametrize(("remainder", "sizes"), [(False, [2, 2, 2, 2]), (True, [2, 2, 1, 2])])
def test_remainder(remainder, sizes):
    stream = BatchData(numbers(5), 2, remainder, pair)
    assert [len(x) for x in firsts(stream(), 4)] == sizes
    assert [len(x) for x in firsts(stream.in_order(), 4)] == sizes[: len(stream)]


def test_in_order_leaves_pictures_alone():
    stream = BatchData(numbers(5), 2, True, pair, noisy)
    assert firsts(stream.in_order(), 9) == [[0, 1], [2, 3], [4]]


def test_labelled_is_the_default():
    digits = Rows({"image": [[[7]]], "label": [3], "name": ["seven"]})
    ((image, label),) = BatchData(digits, 1).in_order().as_numpy_iterator()
    assert (image.tolist(), label.tolist()) == ([[[7]]], [3])


@pytest.mark.parametrize("size", [4, 0])
def test_no_batch_at_all(size):
    with pytest.raises(ValueError, match=f"3 examples make no batch of {size}: use another"):
        BatchData(numbers(3), size, example=pair)


def test_every_row_is_drawn_from_all_of_them():
    """Sorted by class as they are, the first batches see them all; no epoch is like another."""
    flow = BatchData(Rows({"number": np.arange(20_000) // 100}), 128, example=pair)
    first, later = (np.ravel(firsts(flow(step), 10)) for step in (0, len(flow)))
    assert len(set(first)) > 195
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.1
    assert abs(np.corrcoef(first, later)[0, 1]) < 0.1


def test_nothing_is_read_before_its_turn():
    seen = []

    def read(row):
        tf.py_function(lambda number: seen.append(int(number)), [row["number"]], [])
        return row

    flow = BatchData(Rows({"number": np.arange(100_000)}, read), 4, example=pair)
    firsts(flow(), 2)
    assert len(seen) < 500


def test_mix_has_a_seed_of_its_own_for_every_batch():
    def mix(batch, seed):
        return *batch, tf.random.stateless_uniform((), seed)

    def drawn(first_step, count):
        flow = BatchData(numbers(6), 2, example=pair, mix=mix)
        return [float(x) for *_, x in flow(first_step).take(count)]

    assert len(set(drawn(0, 9))) == 9
    assert drawn(4, 5) == drawn(0, 9)[4:]


def test_other_datasets_are_told_what_to_do():
    with pytest.raises(TypeError, match=r"needs Rows.*got a _?RangeDataset.*go to launch"):
        BatchData(tf.data.Dataset.range(3), 1)


def test_an_example_function_for_batches():
    """It sees each batch once, augmented; what comes is what one that is called apart makes."""
    seen = []

    @pipeline.for_batches
    def counted(raw):
        seen.append(raw["number"].shape)
        return pair(raw)

    one, all_at_once = (
        BatchData(numbers(7), 3, remainder=True, example=example, augment=noisy)
        for example in (pair, counted)
    )
    for begin in (0, 2):
        assert firsts(one(begin), 4) == firsts(all_at_once(begin), 4)
    assert firsts(one.in_order(), 9) == firsts(all_at_once.in_order(), 9)
    assert {len(shape) for shape in seen} == {1}


def test_full_batches_have_a_static_size_in_either_way():
    for example in (pair, pipeline.for_batches(lambda raw: pair(raw))):
        spec, _ = BatchData(numbers(7), 3, example=example)().element_spec
        assert spec.shape == (3,)
