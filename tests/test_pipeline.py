import numpy as np
import tensorflow as tf

from keras_vision import pipeline


def numbers(count):
    return tf.data.Dataset.range(count).map(lambda i: {"number": i})


def pair(raw):
    return raw["number"], -raw["number"]


def noisy(raw, seed):
    return {"number": raw["number"] + tf.random.stateless_uniform((), seed, 0, 10**6, tf.int64)}


def firsts(dataset, count):
    return [x.tolist() for x, _ in dataset.take(count).as_numpy_iterator()]


def test_batches_are_one_pass_in_order():
    assert firsts(pipeline.batches(numbers(5), pair, 2), 9) == [[0, 1], [2, 3], [4]]


def test_an_epoch_has_every_element_once_and_full_batches():
    stream = pipeline.epochs(numbers(11), pair, 3, shuffle=11)
    for epoch in range(3):
        seen = np.ravel(firsts(stream(epoch), 3))
        assert len(set(seen)) == 9
        assert set(seen) <= set(range(11))


def test_epochs_differ_and_repeat_with_the_seed():
    stream = pipeline.epochs(numbers(12), pair, 4, shuffle=12, augment=noisy)
    first = firsts(stream(), 6)
    assert first[:3] != first[3:]
    tf.random.set_seed(7)  # the program's own seed has no say
    assert firsts(stream(), 6) == first
    assert firsts(pipeline.epochs(numbers(12), pair, 4, 12, noisy, seed=1)(), 6) != first


def test_a_later_start_continues_the_same_stream():
    stream = pipeline.epochs(numbers(12), pair, 4, shuffle=5, augment=noisy)
    assert firsts(stream(2), 3) == firsts(stream(), 9)[6:]


def test_without_shuffling_the_order_stays():
    assert firsts(pipeline.epochs(numbers(5), pair, 2)(), 4) == [[0, 1], [2, 3], [0, 1], [2, 3]]


def test_batches_have_a_static_size():
    """Only then can several replicas share them equally."""
    assert pipeline.epochs(numbers(5), pair, 2)().element_spec[0].shape == (2,)
