"""A small run with dropout, augmentation and BatchNorm, for tests that kill it. Never imported."""

import os
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_vision.rows import Rows
from keras_vision.training import BatchData, InferenceRunner, ModelSaver, TrainConfig, launch


class Kill(keras.callbacks.Callback):
    """Ends the process as kill -9 does, in the first call of a hook after so many steps."""

    def __init__(self, hook, step):
        super().__init__()
        self.step = step
        setattr(self, hook, self.kill)

    def kill(self, number, logs=None):
        if int(self.model.optimizer.iterations) >= self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def model():
    network = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    network.compile(keras.optimizers.Adam(0.01), "mse")
    return network


def jitter(raw, seed):
    return {**raw, "x": raw["x"] + tf.random.stateless_normal((4,), seed)}


def main(log_dir, max_epoch, hook, step):
    x = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    data = Rows({"x": x, "y": x[:, :1] ** 2})

    def pair(raw):
        return raw["x"], raw["y"]

    config = TrainConfig(
        model=model,
        dataflow=BatchData(data, 8, example=pair, augment=jitter),
        steps_per_epoch=6,
        max_epoch=max_epoch,
        callbacks=[
            ModelSaver(),
            InferenceRunner(BatchData(data, 8, remainder=True, example=pair)),
            Kill(hook, step),
        ],
        log_dir=log_dir,
    )
    launch(config)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
