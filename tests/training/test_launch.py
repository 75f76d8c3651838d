from dataclasses import replace

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_vision.training import BatchData, InferenceRunner, ModelSaver, launch
from keras_vision.training.checkpoints import checkpoints
from keras_vision.training.guards import FreshRandomness
from keras_vision.training.table import variable_table


def test_trains_and_leaves_what_one_looks_at(config, capsys):
    launch(config)
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split() == ["name", "shape", "dim"]
    assert lines[2].split() == ["fc/kernel", "[4,", "1]", "4"]
    assert lines[4] == "Total #vars=2, #params=5, size=0.00MB"
    assert "Epoch 4 (global_step 12) finished, time:" in out
    assert f"Model saved to {config.log_dir}/model-12.keras" in out
    assert "\r" not in out  # a log file is no terminal
    history = pd.read_csv(config.log_dir / "history.csv")
    assert history["global_step"].tolist() == [3, 6, 9, 12]
    assert history["loss"].is_monotonic_decreasing
    assert list(config.log_dir.glob("events.out.tfevents.*"))
    assert list(checkpoints(config.log_dir)) == [6, 9, 12]  # the last three are kept


def test_size_of_the_variable_table():
    model = keras.Sequential([keras.Input((1024,)), keras.layers.Dense(1024, use_bias=False)])
    assert variable_table(model).endswith("Total #vars=1, #params=1,048,576, size=4.00MB")


def test_max_epoch_reached_says_so(config, capsys):
    weights = launch(config).get_weights()
    again = launch(config)
    assert "has 4 epochs already" in capsys.readouterr().out
    np.testing.assert_array_equal(again.get_weights()[0], weights[0])


def test_more_epochs_go_on(config):
    launch(config)
    launch(replace(config, max_epoch=6))
    assert pd.read_csv(config.log_dir / "history.csv")["epoch"].tolist() == [1, 2, 3, 4, 5, 6]


def test_without_its_history_a_run_goes_on_too(config):
    launch(replace(config, max_epoch=2))
    (config.log_dir / "history.csv").unlink()
    launch(config)
    assert pd.read_csv(config.log_dir / "history.csv")["epoch"].tolist() == [3, 4]


def test_a_second_run_in_the_same_folder_is_refused(config):
    config.log_dir.mkdir()
    with (
        filelock.FileLock(config.log_dir / "lock"),
        pytest.raises(RuntimeError, match="Another run is training in"),
    ):
        launch(config)


@pytest.mark.parametrize("log_dir", ["file", "file/log"])
def test_a_log_dir_that_cannot_be_made_is_named(config, tmp_path, log_dir):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"TrainConfig\.log_dir must be a folder.*file"):
        launch(replace(config, log_dir=tmp_path / log_dir))


@pytest.mark.parametrize(
    ("optimizer", "precision"),
    [
        (lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), "float32"),
        (lambda: keras.optimizers.SGD(0.01), "mixed_float16"),  # skips what its scale overflows
        (lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "float32"),
    ],
)
def test_optimizers_that_do_more_than_one_update_a_step_are_resumed(config, optimizer, precision):
    linear, dataflow = config.model, config.dataflow
    config = replace(config, model=lambda: linear(optimizer()), precision=precision)
    config = replace(config, dataflow=lambda *_: dataflow(scale=20.0))
    whole, parts = config, replace(config, log_dir=config.log_dir / "parts")
    weights = launch(whole).get_weights()
    launch(replace(parts, max_epoch=2))
    assert list(checkpoints(parts.log_dir)) == [3, 6]
    for model in (launch(parts), launch(parts)):  # the second has nothing left to do
        np.testing.assert_array_equal(model.get_weights()[0], weights[0])
    assert pd.read_csv(parts.log_dir / "history.csv")["global_step"].tolist() == [3, 6, 9, 12]


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda: keras.Model(*[keras.Input((4,))] * 2), ValueError, "Functional that is not comp"),
        (lambda: keras.Sequential([keras.layers.Dense(1)]), ValueError, "is not built: give"),
        (lambda: None, TypeError, "must return a compiled model; got a NoneType"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(config, model, error, message):
    with pytest.raises(error, match=message):
        launch(replace(config, model=model))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dataflow": lambda *_: [1, 2]}, TypeError, r"endless tf\.data\.Dataset.*got a list"),
        ({"dataflow": lambda *_: tf.data.Dataset.range(6)}, ValueError, "it has 6 batches: rep"),
        ({"precision": "float8"}, ValueError, "precision must be a dtype policy.*got 'float8'"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(config, change, error, message):
    before = keras.config.dtype_policy()
    with pytest.raises(error, match=message):
        launch(replace(config, **change))
    assert keras.config.dtype_policy() is before


def test_a_strategy_that_is_none_is_refused(config):
    with pytest.raises(TypeError, match=r"a tf\.distribute\.Strategy on the tensorflow.*a str"):
        launch(config, "gpu")


def test_the_runs_seed_sets_the_order_of_the_pictures(config, data):
    def zeros(linear=config.model):
        model = linear()
        model.set_weights([np.zeros_like(array) for array in model.get_weights()])
        return model

    config = replace(config, dataflow=BatchData(data, 8), max_epoch=1)
    first, again, other = (
        # The same weights at first, whatever the seed: what differs is the order.
        launch(
            replace(config, model=zeros, seed=seed, log_dir=config.log_dir / name)
        ).get_weights()
        for name, seed in (("first", 1), ("again", np.int64(1)), ("other", 2**32 - 1))
    )
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).all()


def test_random_states_of_the_largest_seed_fit_jax():
    """Which has 32 bits for them: each generator's seed is 1 more than the one before."""
    layers = [keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)]
    fresh = FreshRandomness(seed=2**32 - 1)
    fresh.set_model(keras.Sequential([keras.Input((4,)), *layers]))
    fresh.on_epoch_begin(1)
    states = [layer.seed_generator.state.numpy().tolist() for layer in layers]
    assert states == [[2**32 - 1, 2**20], [0, 2**20]]


def test_precision_is_the_runs_own(config):
    model = launch(replace(config, precision="mixed_bfloat16"))
    assert model.layers[-1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_several_steps_at_a_time(config, data, capsys):
    """4 of them, which an epoch of 6 is no multiple of, so that it must be 3."""
    linear = config.model
    runner = InferenceRunner(BatchData(data, 5, remainder=True))
    config = replace(config, steps_per_epoch=6, callbacks=[runner])
    launch(config)
    assert "steps_per_execution" not in capsys.readouterr().out
    several = replace(
        config, model=lambda: linear(steps_per_execution=4), log_dir=config.log_dir / "several"
    )
    assert launch(several).steps_per_execution == 3
    assert "steps_per_execution is 3 instead of 4, which does not" in capsys.readouterr().out
    one, three = (
        pd.read_csv(c.log_dir / "history.csv").drop(columns="seconds") for c in (config, several)
    )
    assert three["global_step"].tolist() == [6, 12, 18, 24]
    pd.testing.assert_frame_equal(one, three)


def test_steps_that_keras_would_count_by_itself(config):
    linear = config.model
    config = replace(config, model=lambda: linear(steps_per_execution="auto"), max_epoch=1)
    assert launch(config).steps_per_execution == 1


def test_callbacks_may_be_an_iterator(config):
    """What is read twice, once for its ModelSaver, would be empty at the second time."""
    launch(replace(config, callbacks=iter([ModelSaver(keep=1)])))
    assert list(checkpoints(config.log_dir)) == [12]
