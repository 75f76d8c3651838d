import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.training import ModelSaver, TrainConfig

DATASET = tf.data.Dataset.range(4)
RIGHT = {"model": keras.Sequential, "dataflow": lambda step, seed: DATASET, "steps_per_epoch": 2}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": keras.Sequential()}, TypeError, r"a function that.*a Sequential"),
        ({"model": "resnet"}, TypeError, "function that returns a compiled model.*got a str"),
        ({"dataflow": DATASET}, TypeError, "must be a BatchData, or a function.*RangeDataset"),
        ({"dataflow": lambda: 0}, TypeError, r"dataflow\(first_step, seed\), which does not fit"),
        ({"dataflow": lambda seed: 0}, TypeError, r"does not fit dataflow\(seed\): too many"),
        ({"steps_per_epoch": 0}, ValueError, r"steps_per_epoch must be a whole.*got 0"),
        ({"steps_per_epoch": 2.0}, ValueError, r"steps_per_epoch must be a whole.*got 2\.0"),
        ({"max_epoch": 0}, ValueError, r"max_epoch must be a whole number, 1 at least; got 0"),
        ({"max_epoch": 1.5}, ValueError, r"max_epoch must be a whole number.*got 1\.5"),
        ({"max_epoch": None}, ValueError, r"max_epoch must be a whole number.*got None"),
        ({"seed": -1}, ValueError, "seed must be a whole number, 0 to 4294967295; got -1"),
        ({"seed": 2**32}, ValueError, "seed must be a whole number, 0 to .*; got 4294967296"),
        ({"callbacks": ModelSaver()}, TypeError, "must be a list of Keras.*got <.*ModelSaver"),
        ({"callbacks": [print]}, TypeError, "must be a list of Keras callbacks; got <built-in"),
        ({"callbacks": None}, TypeError, "must be a list of Keras callbacks; got None"),
    ],
)
def test_what_a_run_cannot_be_made_of(change, error, message):
    with pytest.raises(error, match=message):
        TrainConfig(**RIGHT | change)


def test_numpys_whole_numbers_are_some():
    numbers = {"steps_per_epoch": np.int64(3), "max_epoch": np.uint8(4), "seed": np.int32(5)}
    config = TrainConfig(**RIGHT | numbers)
    found = (config.steps_per_epoch, config.max_epoch, config.seed)
    assert found == (3, 4, 5)
    assert {type(number) for number in found} == {int}
