"""Lesson 2's network in float64, where only a mistake makes several replicas differ from one.

test_strategy.py takes the model, test_machines.py runs the whole: ten steps an epoch.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from keras_vision.classification import mnist_convnet
from keras_vision.datasets import mnist
from keras_vision.training import BatchData, InferenceRunner, TrainConfig, launch


def in_float64(layer):
    return type(layer).from_config({**layer.get_config(), "dtype": "float64"})


def model():
    network = keras.models.clone_model(mnist_convnet.build(), clone_function=in_float64)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return network


class StopAfterTwo(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1


def main(log_dir, max_epoch):
    if "KERAS_DISTRIBUTION_PROCESS_ID" in os.environ:
        keras.distribution.initialize()
    test = BatchData(mnist.load("test", mnist.SUBSET), 256, remainder=True)
    launch(
        TrainConfig(
            model=model,
            dataflow=BatchData(mnist.load("train", mnist.SUBSET), 128),
            callbacks=[
                InferenceRunner(test),
                keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 / (epoch + 1)),
                StopAfterTwo(),
            ],
            steps_per_epoch=10,
            max_epoch=int(max_epoch),
            log_dir=log_dir,
            precision="float64",
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
