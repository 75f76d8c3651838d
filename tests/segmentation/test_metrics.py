"""scikit-learn is the oracle."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.metrics import confusion_matrix, jaccard_score, precision_score, recall_score

from keras_vision.segmentation.metrics import Confusion, confusion, table

JAX = """
import sys
import keras
import numpy as np
from keras_vision.segmentation import losses
from keras_vision.segmentation.metrics import Confusion

assert keras.backend.backend() == "jax"
given = np.load(sys.argv[1])
inputs = keras.Input((None, None, 5))
model = keras.Model(inputs, keras.layers.Dense(5, kernel_initializer="identity")(inputs))
model.compile(keras.optimizers.SGD(0.0), losses.LovaszSoftmax(), metrics=[Confusion(5)])
history = model.fit(given["logits"], given["labels"], batch_size=4, verbose=0).history
np.savez(sys.argv[2], **{name: values[0] for name, values in history.items()})
"""
CLASSES = 5
EMPTY = {"pixel_accuracy": 0, "class_accuracy": 0, "mean_iou": 0}


@pytest.fixture
def maps():
    """Labels, some void, of which class 2 never occurs, 3 is never found, and 4 is neither."""
    random = np.random.default_rng(0)
    labels = random.choice([0, 1, 3, 255], (6, 7, 9)).astype("uint8")
    return labels, random.choice([0, 1, 2], labels.shape)


def figures(labels, found):
    known = labels != 255
    pair = labels[known].astype(int), found[known]
    occur = np.unique(pair[0])
    return {
        "pixel_accuracy": np.mean(pair[0] == pair[1]),
        "class_accuracy": recall_score(*pair, labels=occur, average="macro"),
        "mean_iou": jaccard_score(*pair, labels=np.unique(pair), average="macro"),
    }


def logits_of(found):
    """The greatest is that of the class which is found."""
    noise = np.random.default_rng(1).uniform(size=(*found.shape, CLASSES))
    return (np.eye(CLASSES)[found] * 2 + noise).astype("float32")


def numbers(result):
    return {name: pytest.approx(float(value), rel=1e-6) for name, value in result.items()}


def test_as_scikit_learn(maps):
    labels, found = maps
    known = labels != 255
    expected = confusion_matrix(labels[known], found[known], labels=range(CLASSES))
    assert expected.sum() < labels.size
    np.testing.assert_array_equal(confusion(labels, found, CLASSES), expected)
    for prediction in (found, logits_of(found), tf.cast(logits_of(found), "bfloat16")):
        metric = Confusion(CLASSES)
        metric.update_state(labels, prediction)
        np.testing.assert_array_equal(metric.matrix, expected)
        assert numbers(metric.result()) == figures(labels, found)


def test_batch_by_batch_is_as_a_whole(maps):
    metric = Confusion(CLASSES)
    for labels, found in zip(*maps, strict=True):
        metric.update_state(labels[None], found[None])
    np.testing.assert_array_equal(metric.matrix, confusion(*maps, CLASSES))
    assert metric.matrix.dtype == confusion(*maps, CLASSES).dtype == "int64"
    metric.reset_state()
    assert numbers(metric.result()) == EMPTY


def test_void_never_counts(maps):
    labels, found = maps
    counts = confusion(labels, found, CLASSES)
    np.testing.assert_array_equal(confusion(labels, np.where(labels == 255, 4, found), 5), counts)
    metric = Confusion(CLASSES)
    metric.update_state(np.full((2, 3, 4), 255), np.zeros((2, 3, 4), int))
    assert metric.matrix.sum() == 0
    assert numbers(metric.result()) == EMPTY


def test_before_there_is_any():
    assert numbers(Confusion(CLASSES).result()) == EMPTY


def test_counts_beyond_those_of_float32():
    metric = Confusion(2)
    metric.counts.assign([[2**24 + 1, 0], [0, 2**33]])
    metric.update_state(*np.array([[[[0, 1]]]] * 2))
    np.testing.assert_array_equal(metric.matrix, [[2**24 + 2, 0], [0, 2**33 + 1]])


def trained(maps, **compiled):
    labels, found = maps
    inputs = keras.Input((None, None, CLASSES))
    model = keras.Model(inputs, layers.Dense(CLASSES, kernel_initializer="identity")(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=[Confusion(CLASSES)], **compiled)
    data = logits_of(found), labels
    return model, model.fit(*data, batch_size=4, validation_data=data, verbose=0).history


def test_in_the_logs_of_fit(maps):
    _, history = trained(maps)
    for name, value in figures(*maps).items():
        assert history[name] == history[f"val_{name}"] == [pytest.approx(value, rel=1e-6)]


def test_compiled_by_xla(maps):
    """As Keras does by itself on a GPU."""
    _, history = trained(maps, jit_compile=True)
    assert history["mean_iou"] == [pytest.approx(figures(*maps)["mean_iou"], rel=1e-6)]


@pytest.mark.slow
def test_the_same_under_jax(maps, tmp_path):
    np.savez(tmp_path / "given.npz", labels=maps[0], logits=logits_of(maps[1]))
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", JAX, tmp_path / "given.npz", tmp_path / "jax.npz"]
    subprocess.run(command, env=environment, check=True, timeout=300)
    found = np.load(tmp_path / "jax.npz")
    for name, value in figures(*maps).items():
        assert found[name] == pytest.approx(value, rel=1e-6)


def test_saved_and_loaded(maps, tmp_path):
    model, _ = trained(maps)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    found = again.evaluate(logits_of(maps[1]), maps[0], return_dict=True, verbose=0)
    assert found["mean_iou"] == pytest.approx(figures(*maps)["mean_iou"], rel=1e-6)
    config = Confusion(CLASSES, name="streets").get_config()
    assert Confusion.from_config(config).get_config() == config
    assert (config["name"], config["classes"]) == ("streets", CLASSES)


def test_two_replicas_count_for_one(maps, two_replicas):
    labels, found = (x[:4] for x in maps)
    with two_replicas.scope():
        metric = Confusion(CLASSES)
    run = tf.function(lambda *pair: two_replicas.run(metric.update_state, pair))
    for pair in two_replicas.experimental_distribute_dataset(
        tf.data.Dataset.from_tensor_slices((labels, found)).batch(2)
    ):
        run(*pair)
    np.testing.assert_array_equal(metric.matrix, confusion(labels, found, CLASSES))


def test_table(maps):
    labels, found = maps
    metric = Confusion(CLASSES)
    metric.update_state(labels, found)
    rows = metric.table(list("abcde"))
    known = labels != 255
    pair, every = (labels[known], found[known]), {"labels": range(CLASSES), "average": None}
    expected = {
        "iou": [*jaccard_score(*pair, labels=range(4), average=None), np.nan],
        "accuracy": recall_score(*pair, **every, zero_division=np.nan),
        "precision": precision_score(*pair, **every, zero_division=np.nan),
    }
    assert list(rows.index) == [*"abcde", "mean"]
    for name, values in expected.items():
        np.testing.assert_allclose(rows[name], [*values, np.nanmean(values)])
    assert list(rows["iou"].isna()) == [False] * 4 + [True, False]
    assert rows["pixels"].tolist()[:-1] == np.bincount(labels[known], minlength=5).tolist()
    assert rows["pixels"]["mean"] == known.sum()
    means = figures(labels, found)
    assert rows.loc["mean", "iou"] == pytest.approx(means["mean_iou"])
    assert rows.loc["mean", "accuracy"] == pytest.approx(means["class_accuracy"])
    assert rows.attrs["pixel_accuracy"] == pytest.approx(means["pixel_accuracy"])


def test_table_of_nothing():
    rows = table(np.zeros((3, 3), int))
    assert list(rows.index) == [0, 1, 2, "mean"]
    assert rows[["iou", "accuracy", "precision"]].isna().all(axis=None)
    assert (rows["pixels"] == 0).all()


def test_labels_with_a_channel(maps):
    labels, found = maps
    for truth, answer in (
        (labels[..., None], logits_of(found)),
        (labels[..., None], found[..., None]),
        (labels[..., None], found),
    ):
        metric = Confusion(CLASSES)
        metric.update_state(truth, answer)
        np.testing.assert_array_equal(metric.matrix, confusion(labels, found, CLASSES))


def test_what_is_no_class_never_counts():
    metric = Confusion(3)
    truth, found = np.array([[0, 1, 2, 3, -1, 1, 0]]), np.array([[0, 1, 2, 0, 0, 3, -1]])
    metric.update_state(truth, found)
    np.testing.assert_array_equal(metric.matrix, np.eye(3))
    with pytest.raises(ValueError, match=r"labels in 0\.\.2, and 255 where void, got \[-1, 3\]"):
        confusion(truth, found, 3)
    with pytest.raises(ValueError, match=r"labels in 0\.\.2, .* got \[-1, 3\]"):
        confusion(np.zeros(7), found, 3)
    assert confusion([255, 0], [9, 0], 3).sum() == 1  # nobody asks what is found there


def test_weights_are_refused(maps):
    with pytest.raises(ValueError, match="in metrics, not weighted_metrics"):
        Confusion(CLASSES).update_state(*maps, sample_weight=np.ones(6))
