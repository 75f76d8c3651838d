"""Losses of two replicas against those of one device."""

import types
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_vision.pipeline import BatchData
from keras_vision.rows import Rows
from keras_vision.training import InferenceRunner, launch
from keras_vision.training.whole_batch import see_whole_batch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
ROWS = {
    "image": X,
    "label": (X[:, :2] > 0.5).astype("float32"),
    "weight": RNG.uniform(size=24).astype("float32"),
}


def pairs(reduction="sum_over_batch_size"):
    """Distances of an example to all of its class."""

    class Pairs(keras.losses.Loss):
        def call(self, y, prediction):
            distance = keras.ops.sum((prediction[:, None] - prediction[None]) ** 2, -1)
            same = keras.ops.cast(y[:, None, 0] == y[None, :, 0], distance.dtype)
            return keras.ops.sum(distance * same, axis=-1)

    return Pairs(reduction=reduction)


class OfClasses(keras.losses.Loss):
    """One value a class, of all examples."""

    def call(self, y, prediction):
        return keras.ops.sum((y - prediction) ** 2, 0) / (1 + keras.ops.sum(prediction**2, 0))


def mean_of_all(y, prediction):
    return keras.ops.mean((y - prediction) ** 2)


def losses():
    twice = pairs()
    return {
        "a_value_per_example": "mse",
        "a_sum_of_such": keras.losses.MeanSquaredError("sum"),
        "a_scalar": keras.losses.Dice(),
        "examples_compared": twice,
        "the_same_once_more": twice,
        "a_sum_of_scalars": keras.losses.Tversky(reduction="sum"),
        "a_sum_of_examples_compared": pairs("sum"),
        "classes": OfClasses(),
    }


def compiled(loss):
    """An output for each loss, or the only one."""
    inputs = keras.Input((4,))
    if isinstance(loss, dict):
        outputs = {name: keras.layers.Dense(2, "sigmoid", name=name)(inputs) for name in loss}
        weights = {name: 0.5 + number % 2 for number, name in enumerate(loss)}
    else:
        outputs, weights = keras.layers.Dense(2, "sigmoid", name="only")(inputs), None
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.3), loss, loss_weights=weights)
    return model


def trained(config, strategy, loss, example, validated):
    """{name: weights}, and the table of losses."""
    data = Rows(ROWS)
    first = validated and BatchData(data.select(slice(validated)), 8, True, example)
    config = replace(
        config,
        model=lambda: compiled(loss()),
        dataflow=BatchData(data, 8, example=example),
        callbacks=[InferenceRunner(first)] if validated else [],
        max_epoch=2,
        log_dir=config.log_dir / str(strategy),
    )
    model = launch(config, strategy)
    table = pd.read_csv(config.log_dir / "history.csv").drop(columns="seconds")
    return {layer.name: layer.kernel.numpy() for layer in model.layers if layer.weights}, table


def assert_as_one(config, two_replicas, loss, example, validated=0):
    one, table_of_one = trained(config, None, loss, example, validated)
    two, table_of_two = trained(config, two_replicas, loss, example, validated)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for name in table_of_one:
        # Of the last batch Keras gives both replicas' values of an output the same weight.
        if not name.startswith("validation_output"):
            expected, found = table_of_one[name], table_of_two[name]
            np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=name)


@pytest.mark.slow
def test_every_kind_of_loss(config, two_replicas, capsys):
    def example(raw):
        return raw["image"], dict.fromkeys(losses(), raw["label"])

    assert_as_one(config, two_replicas, losses, example)
    assert "will not train as one" not in capsys.readouterr().out


@pytest.mark.slow
def test_with_weights_and_a_share_without_examples(config, two_replicas):
    """As one of the two replicas has none of the last of 17."""

    def some():
        return {"output_a": mean_of_all, "output_b": pairs()}

    def example(raw):
        label, weight = raw["label"], raw["weight"]
        return raw["image"], dict.fromkeys(some(), label), dict.fromkeys(some(), weight)

    assert_as_one(config, two_replicas, some, example, validated=17)


def test_a_single_output(config, two_replicas):
    def example(raw):
        return raw["image"], raw["label"]

    assert_as_one(config, two_replicas, keras.losses.Dice, example)


def test_a_loss_may_be_used_in_several_runs(two_replicas):
    """Or the second would gather what is gathered already."""
    dice = keras.losses.Dice()
    batches = tf.data.Dataset.from_tensors((X, ROWS["label"])).repeat()
    for _ in range(2):
        with two_replicas.scope():
            model = compiled(dice)
        see_whole_batch(model, batches, two_replicas)
    assert dice.call.args[0] == types.MethodType(keras.losses.Dice.call, dice)


class Careless(keras.Model):
    """Takes a mean by itself, of which each replica should have its part only."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean((y - y_pred) ** 2)


def test_a_loss_of_the_models_own_is_compared(config, two_replicas, capsys):
    def model():
        inputs = keras.Input((4,))
        network = Careless(inputs, keras.layers.Dense(1)(inputs))
        network.compile(keras.optimizers.SGD(0.1))
        return network

    launch(replace(config, model=model, max_epoch=1), two_replicas)
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if "will not train as one" in line)
    words = line.split()
    whole, shares = float(words[words.index("is") + 1]), float(words[-3])
    assert shares == pytest.approx(2 * whole, rel=1e-3)
