from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_vision.training import BatchData, Evaluator, InferenceRunner, ModelSaver, launch


def history(config):
    return pd.read_csv(config.log_dir / "history.csv")


@pytest.fixture
def validation(data):
    return InferenceRunner(BatchData(data, 5, remainder=True))


def test_inference_runs_on_batches():
    with pytest.raises(TypeError, match=r"InferenceRunner needs a BatchData.*RangeDataset"):
        InferenceRunner(tf.data.Dataset.range(4))


def test_several_inference_runners(config, data, validation):
    few = InferenceRunner(BatchData(data.select(slice(3)), 5, remainder=True), "few")
    launch(replace(config, max_epoch=1, callbacks=[validation, few]))
    assert history(config)["validation_loss"][0] != history(config)["few_loss"][0]
    twice = replace(config, log_dir=config.log_dir / "twice", callbacks=[validation] * 2)
    with pytest.raises(ValueError, match="val_loss, validation_loss is logged twice: give each"):
        launch(twice)
    other = InferenceRunner(BatchData(data, 5, remainder=True), "val")
    with pytest.raises(ValueError, match="val_loss is logged twice"):
        launch(replace(config, log_dir=config.log_dir / "other", callbacks=[other, validation]))


def bias(model):
    return {"bias": model.get_weights()[1][0], "even": tf.constant(2)}


def test_what_an_evaluator_measures_is_logged_everywhere(config, capsys):
    config = replace(config, callbacks=[Evaluator(bias), Evaluator(bias, "validation")])
    model = launch(config)
    table = history(config)
    assert table["bias"].iloc[-1] == pytest.approx(model.get_weights()[1][0])
    assert table["bias"].nunique() == 4
    assert table["even"].tolist() == [2, 2, 2, 2]
    assert (table["validation_bias"] == table["bias"]).all()
    assert "validation_bias: " in capsys.readouterr().out
    events = [path.read_bytes() for path in config.log_dir.glob("events.out.tfevents.*")]
    assert any(b"validation_bias" in content for content in events)


@pytest.mark.parametrize("name", ["loss", "epoch", "seconds"])
def test_an_evaluator_takes_no_name_that_is_taken(config, name):
    with pytest.raises(ValueError, match=f"{name} is logged twice: give each InferenceRunner and"):
        launch(replace(config, callbacks=[Evaluator(lambda model: {name: 1.0})]))


@pytest.mark.parametrize(
    "measured", [0.5, None, {"recall": [0.1, 0.2]}, {"recall": "high"}, {1: 0.5}, {"recall": None}]
)
def test_an_evaluator_measures_named_numbers(config, measured):
    with pytest.raises(TypeError, match=r"function must return {name: number}, such.*got "):
        launch(replace(config, callbacks=[Evaluator(lambda model: measured)]))


def test_an_evaluator_is_made_of_a_function():
    with pytest.raises(TypeError, match=r"Evaluator needs a function.*got a float"):
        Evaluator(0.5)


@pytest.mark.parametrize("monitor", ["val_loss", "validation_loss"])
@pytest.mark.parametrize("first", [True, False])
def test_early_stopping_as_keras_users_write_it(config, validation, monitor, first):
    """It stops after the second epoch, as nothing is an improvement by a million."""
    stopping = keras.callbacks.EarlyStopping(monitor, min_delta=1e6)
    callbacks = [stopping, validation] if first else [validation, stopping]
    launch(replace(config, callbacks=callbacks))
    assert history(config)["epoch"].tolist() == [1, 2]
    columns = ["epoch", "global_step", "seconds", "loss", "validation_loss"]
    assert list(history(config)) == columns


def test_what_is_better_depends_on_the_metric(config, validation):
    """Keras knows that accuracy is to rise, but under its own name only."""
    linear = config.model
    stopping = keras.callbacks.EarlyStopping("validation_binary_accuracy")
    config = replace(config, callbacks=[stopping, validation], max_epoch=1)
    launch(replace(config, model=lambda: linear(metrics=[keras.metrics.BinaryAccuracy()])))
    assert stopping.monitor_op is keras.ops.greater


@pytest.mark.parametrize("monitor", ["val_loss", "validation_loss"])
def test_the_learning_rate_falls_on_a_plateau(config, validation, monitor):
    plateau = keras.callbacks.ReduceLROnPlateau(monitor, 0.5, patience=1, min_delta=1e6)
    launch(replace(config, callbacks=[plateau, ModelSaver(), validation]))
    np.testing.assert_allclose(history(config)["learning_rate"], [0.1, 0.1, 0.05, 0.025])
    saved = keras.saving.load_model(config.log_dir / "model-12.keras")
    assert float(saved.optimizer.learning_rate) == pytest.approx(0.0125)  # saved after it fell


def test_keras_saves_the_best_model_only(config, validation, tmp_path):
    path = tmp_path / "{epoch}-{val_loss:.3f}-{validation_loss:.3f}.keras"
    best = keras.callbacks.ModelCheckpoint(path, save_best_only=True)
    best.min_delta = 1e6  # so that the first epoch stays the best
    launch(replace(config, callbacks=[best, validation]))
    loss = f"{history(config)['validation_loss'][0]:.3f}"
    assert [path.name for path in tmp_path.glob("*.keras")] == [f"1-{loss}-{loss}.keras"]


def test_the_best_weights_are_returned(config, validation):
    stopping = keras.callbacks.EarlyStopping(min_delta=1e6, restore_best_weights=True)
    model = launch(replace(config, callbacks=[stopping, validation]))
    first = keras.saving.load_model(config.log_dir / "model-3.keras")
    np.testing.assert_array_equal(model.get_weights()[0], first.get_weights()[0])


def test_others_keep_their_order_behind_the_evaluation(config, validation):
    seen = []

    class Note(keras.callbacks.Callback):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def on_epoch_end(self, epoch, logs=None):
            seen.append((self.name, "validation_loss" in logs, "bias" in logs))

    callbacks = [Note("a"), Evaluator(bias), Note("b"), validation, Note("c")]
    launch(replace(config, max_epoch=1, callbacks=callbacks))
    assert seen == [("a", True, True), ("b", True, True), ("c", True, True)]


def test_bars_on_a_terminal(config, validation, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    launch(replace(config, max_epoch=1, callbacks=[ModelSaver(), validation]))
    out = capsys.readouterr().out
    order = ("Start epoch 1", "3/3", "Epoch 1 (global", "5/5", "Model saved", "validation_loss")
    assert [out.count(part) > 0 for part in order] == [True] * 6
    assert sorted(order, key=out.rfind) == list(order)
