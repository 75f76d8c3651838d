"""Prints what test_described.py compares between two processes. Never imported."""

import functools
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_vision.classification import mnist_convnet
from keras_vision.pipeline import BatchData
from keras_vision.rows import Rows
from keras_vision.training.described import described


class Own(keras.losses.Loss):
    def call(self, y, prediction):
        return y - prediction


class Odd:
    def __getattr__(self, name):
        raise RuntimeError(name)


def things():
    rows = Rows({"image": np.zeros((8, 4)), "label": np.zeros(8)})
    return [
        BatchData(rows, 2, augment=lambda raw, seed: raw),
        functools.partial(np.clip, a_min=0, a_max=Odd()),
        {"names": {"b", "a", "c"}, 1: Path("/data"), "odd": Odd(), "nan": np.nan},
        [Own(), keras.losses.Dice(), keras.metrics.F1Score(), keras.DTypePolicy("bfloat16")],
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10)),
        keras.optimizers.SGD(lambda: 0.1),
        [keras.layers.RandomCrop(2, 2), keras.layers.Lambda(lambda x: x)],
        keras.layers.Pipeline([keras.layers.RandomCrop(2, 2)]),
        mnist_convnet.build(),
        [np.arange(3), tf.ones(3), np.array([object(), "text"]), tf.constant(["text"])],
        [print, np.add, Odd, keras.ops.add, Odd().__class__, "x".upper, keras, object()],
        [np.random.default_rng(0), keras.random.SeedGenerator(), keras.Variable(1.0)],
        tf.function(things),
    ]


if __name__ == "__main__":
    print(json.dumps(described(things()), indent=1, allow_nan=False))
