"""Keras' own BatchNormalization is the oracle."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.layers import BatchNormalization

FORMS = [{}, {"scale": False, "epsilon": 1e-5}, {"center": False, "momentum": 0.9}]


def maps(dtype="float32", shape=(3, 5, 4, 6)):
    values = np.random.default_rng(0).normal(2, 3, shape)
    return tf.cast(values, dtype)


def pair(dtype="float32", shape=(3, 5, 4, 6), **form):
    """(ours, Keras'), with equal weights that are not those of the start."""
    layers = [
        kind(**form, dtype="mixed_bfloat16" if dtype == "bfloat16" else dtype)
        for kind in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    for layer in layers:
        layer.build(shape)
        random = np.random.default_rng(1)
        layer.set_weights([random.uniform(0.5, 2, w.shape) for w in layer.weights])
    return layers


def step(layer, x, training):
    """Outputs, gradients of input and weights, and the statistics afterwards."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
    gradients = tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])
    return [y, *gradients, *(v.value for v in layer.non_trainable_variables)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_equals_keras(form, training):
    found, expected = (step(layer, maps(), training) for layer in pair(**form))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_equals_keras_in_bfloat16(training):
    ours, theirs = pair("bfloat16")
    x = maps("bfloat16")
    found, expected = ours(x, training=training), theirs(x, training=training)
    assert found.dtype == tf.bfloat16
    np.testing.assert_allclose(
        tf.cast(found, "float32"), tf.cast(expected, "float32"), rtol=0.02, atol=0.05
    )
    for a, b in zip(ours.non_trainable_variables, theirs.non_trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3)


def test_double_precision_is_left_to_keras():
    for a, b in zip(
        *(step(layer, maps("float64"), True) for layer in pair("float64")), strict=True
    ):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == tf.float64


@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 4, 5, 6)])
def test_other_ranks_are_left_to_keras(shape):
    for a, b in zip(
        *(layer(maps(shape=shape), training=True) for layer in pair(shape=shape)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_a_frozen_layer_keeps_its_statistics():
    layer, _ = pair()
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(layer(maps(), training=True), layer(maps(), training=False))
    for a, b in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_compiled_by_xla_and_saved(tmp_path):
    inputs = keras.Input((5, 4, 6))
    model = keras.Model(inputs, BatchNormalization()(inputs))
    run = tf.function(lambda x: model(x, training=True), jit_compile=True)
    np.testing.assert_allclose(run(maps()), model(maps(), training=True), atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict_on_batch(maps()), model.predict_on_batch(maps()))


def test_a_single_cell_has_no_variance():
    layer, _ = pair()
    layer(maps(shape=(1, 1, 1, 6)), training=True)
    assert np.isfinite(np.concatenate(layer.get_weights())).all()
