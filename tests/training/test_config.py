import keras
import pytest
import tensorflow as tf

from keras_vision.training import BatchData, InferenceRunner, TrainConfig

DATASET = tf.data.Dataset.range(4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": keras.Sequential()}, TypeError, r"a function that.*a Sequential"),
        ({"model": "resnet"}, TypeError, "function that returns a compiled model.*got a str"),
        ({"dataflow": DATASET}, TypeError, "must be a BatchData, or a function.*RangeDataset"),
        ({"steps_per_epoch": 0}, ValueError, r"steps_per_epoch must be a whole.*got 0"),
        ({"steps_per_epoch": 2.0}, ValueError, r"steps_per_epoch must be a whole.*got 2\.0"),
    ],
)
def test_what_a_run_cannot_be_made_of(change, error, message):
    right = {"model": keras.Sequential, "dataflow": BatchData(DATASET, 2), "steps_per_epoch": 2}
    TrainConfig(**right)
    with pytest.raises(error, match=message):
        TrainConfig(**right | change)


def test_inference_runs_on_batches():
    with pytest.raises(TypeError, match=r"InferenceRunner needs a BatchData.*RangeDataset"):
        InferenceRunner(DATASET)
