import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_vision import plots
from keras_vision.training import (
    BatchData,
    InferenceRunner,
    ModelSaver,
    PictureWriter,
    TrainConfig,
    launch,
)
from keras_vision.training.checkpoints import checkpoints
from keras_vision.training.table import variable_table

RUN = Path(__file__).with_name("run.py")
X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")


def dataflow(first_step=0, seed=0, y=X[:, :1] * 3):
    return tf.data.Dataset.from_tensor_slices((X, y)).batch(8, drop_remainder=True).repeat()


def linear(rate=0.1, **options):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="fc")(inputs))
    model.compile(keras.optimizers.SGD(rate), "mse", **options)
    return model


def zeros():
    model = linear()
    model.set_weights([np.zeros_like(array) for array in model.get_weights()])
    return model


@pytest.fixture
def config(tmp_path):
    return TrainConfig(linear, dataflow, steps_per_epoch=3, max_epoch=4, log_dir=tmp_path / "log")


def run(log_dir, max_epoch=4, kill=("on_epoch_end", 10**9), **options):
    command = [sys.executable, RUN, log_dir, max_epoch, *kill]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def newest_weights(log_dir):
    path = list(checkpoints(log_dir).values())[-1]
    return keras.saving.load_model(path).get_weights()


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was never killed."""
    folder = tmp_path_factory.mktemp("whole")
    assert "Epoch 4" in run(folder).communicate(timeout=120)[0]
    return folder


@pytest.mark.parametrize(
    ("hook", "saved"),
    [
        ("on_train_batch_end", [6, 12]),  # in the middle of epoch 3
        ("on_epoch_end", [6, 12, 18]),  # after saving it, before its row in history.csv
    ],
)
def test_killed_run_ends_as_one_never_killed(tmp_path, whole, hook, saved):
    killed = run(tmp_path, kill=(hook, 15))
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert list(checkpoints(tmp_path)) == saved
    assert "epoch 2 is done" in run(tmp_path).communicate(timeout=120)[0]
    for a, b in zip(newest_weights(tmp_path), newest_weights(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(checkpoints(tmp_path)) == list(checkpoints(whole))
    columns = ["epoch", "global_step", "loss", "validation_loss"]
    killed, expected = (pd.read_csv(folder / "history.csv") for folder in (tmp_path, whole))
    pd.testing.assert_frame_equal(killed[columns], expected[columns])


def test_ctrl_c_says_how_to_go_on(tmp_path):
    # Of a test run in the background the child would inherit that it ignores Ctrl-C.
    process = run(
        tmp_path / "log",
        max_epoch=10**6,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in process.stdout:
        if "Model saved" in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert "To go on, run again with log_dir" in rest.splitlines()[-1]
    assert checkpoints(tmp_path / "log")


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


def test_nan_stops_with_step_and_last_good_model(config):
    launch(replace(config, max_epoch=2))
    broken = replace(config, dataflow=lambda *_: dataflow(y=X[:, :1] * np.nan))
    with pytest.raises(
        FloatingPointError, match=r"nan at step 7\. Last good model: .*model-6\.keras"
    ):
        launch(broken)
    assert list(checkpoints(config.log_dir)) == [3, 6]


def test_a_full_disk_keeps_the_last_good_model(config):
    launch(replace(config, max_epoch=2))
    before = newest_weights(config.log_dir)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"model-9\.keras could not be saved.*Older .* intact"):
            launch(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in config.log_dir.glob("*model*")) == [
        "model-3.keras",
        "model-6.keras",
    ]
    np.testing.assert_array_equal(newest_weights(config.log_dir)[0], before[0])


def test_a_second_run_in_the_same_folder_is_refused(config):
    config.log_dir.mkdir()
    with (
        filelock.FileLock(config.log_dir / "lock"),
        pytest.raises(RuntimeError, match="Another run is training in"),
    ):
        launch(config)


def test_another_network_or_another_epoch_length_is_refused(config):
    launch(config)

    def wider():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="fc")])
        model.compile("sgd", "mse")
        return model

    def other_optimizer():
        return linear(keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5))

    for model in (wider, other_optimizer):
        with pytest.raises(ValueError, match=r"model-12\.keras does not fit this model"):
            launch(replace(config, model=model, max_epoch=9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "begun with seed=0, which is now seed=1: set it as it was"),
        ({"steps_per_epoch": 6}, "begun with steps_per_epoch=3, which is now steps_per_epoch=6"),
        ({"precision": "mixed_bfloat16"}, "precision=float32, .* precision=mixed_bfloat16"),
    ],
)
def test_other_settings_than_the_runs_are_refused(config, change, message):
    launch(replace(config, max_epoch=2))
    with pytest.raises(ValueError, match=message):
        launch(replace(config, **change))
    assert list(checkpoints(config.log_dir)) == [3, 6]


@pytest.mark.parametrize("content", ["", "epoch,glob", "epoch,global_step\n1,x\n"])
def test_a_spoilt_history_is_named(config, content):
    launch(replace(config, max_epoch=2))
    (config.log_dir / "history.csv").write_text(content)
    with pytest.raises(ValueError, match=r"history\.csv is not the history of a run"):
        launch(config)


def compiled(optimizer, loss="mse", **options):
    model = linear()
    model.compile(optimizer, loss, **options)
    return model


@pytest.mark.parametrize(
    ("optimizer", "precision"),
    [
        (lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), "float32"),
        (lambda: keras.optimizers.SGD(0.01), "mixed_float16"),  # skips what its scale overflows
        (lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "float32"),
    ],
)
def test_optimizers_that_do_more_than_one_update_a_step_are_resumed(config, optimizer, precision):
    config = replace(config, model=lambda: compiled(optimizer()), precision=precision)
    config = replace(config, dataflow=lambda *_: dataflow(y=X[:, :1] * 20))
    whole, parts = config, replace(config, log_dir=config.log_dir / "parts")
    weights = launch(whole).get_weights()
    launch(replace(parts, max_epoch=2))
    assert list(checkpoints(parts.log_dir)) == [3, 6]
    for model in (launch(parts), launch(parts)):  # the second has nothing left to do
        np.testing.assert_array_equal(model.get_weights()[0], weights[0])
    assert pd.read_csv(parts.log_dir / "history.csv")["global_step"].tolist() == [3, 6, 9, 12]


def test_weights_of_nan_are_not_saved(config):
    """Their loss was finite yet: the last update of the epoch made them so."""

    def loss(y, prediction):
        return keras.ops.sqrt(keras.ops.abs(y - y) * prediction) + (y - prediction) ** 2

    config = replace(config, model=lambda: compiled("sgd", loss), steps_per_epoch=1)
    message = r"fc/kernel is not finite after step 1\. Last good model: none yet"
    with pytest.raises(FloatingPointError, match=message):
        launch(config)
    assert not checkpoints(config.log_dir)


class Halt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == 1


@pytest.mark.filterwarnings("ignore:.*input ran out of data")
@pytest.mark.parametrize(
    "change", [{"callbacks": [Halt()]}, {"dataflow": lambda *_: dataflow().take(2)}]
)
def test_part_of_an_epoch_is_none(config, change):
    with pytest.raises(RuntimeError, match=r"ended after 2 of 3 steps\. The dataflow must"):
        launch(replace(config, **change))
    assert not checkpoints(config.log_dir)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: keras.Model(*[keras.Input((4,))] * 2), "a Functional that is not compiled"),
        (lambda: keras.Sequential([keras.layers.Dense(1)]), "Sequential that is not built: give"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(config, model, message):
    with pytest.raises(ValueError, match=message):
        launch(replace(config, model=model))


def test_one_kept_checkpoint_survives_two_kills(config):
    config = replace(config, callbacks=[ModelSaver(keep=1)])
    launch(replace(config, max_epoch=2))
    newest = config.log_dir / "model-6.keras"
    (config.log_dir / "model-9.keras").write_bytes(newest.read_bytes())  # a kill before its row
    with pytest.raises(RuntimeError):
        launch(replace(config, callbacks=[*config.callbacks, Halt()]))
    assert newest.exists()


def test_a_metric_of_several_values(config):
    launch(
        replace(
            config,
            max_epoch=1,
            model=lambda: linear(metrics=[keras.metrics.F1Score(threshold=0.5)]),
        )
    )
    assert "f1_score_0" in pd.read_csv(config.log_dir / "history.csv")


def test_several_inference_runners(config):
    data = tf.data.Dataset.from_tensor_slices({"image": X, "label": X[:, :1]})
    first, second = (BatchData(data.take(n), 5, remainder=True) for n in (24, 3))
    runners = [InferenceRunner(first), InferenceRunner(second, "few")]
    launch(replace(config, max_epoch=1, callbacks=runners))
    history = pd.read_csv(config.log_dir / "history.csv")
    assert history["validation_loss"][0] != history["few_loss"][0]
    twice = replace(config, log_dir=config.log_dir / "twice", callbacks=runners[:1] * 2)
    with pytest.raises(ValueError, match="validation_loss is logged twice: give each"):
        launch(twice)


def test_bars_on_a_terminal(config, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    data = tf.data.Dataset.from_tensor_slices({"image": X, "label": X[:, :1]})
    runner = InferenceRunner(BatchData(data, 5, remainder=True))
    launch(replace(config, max_epoch=1, callbacks=[ModelSaver(), runner]))
    out = capsys.readouterr().out
    order = ("Start epoch 1", "3/3", "Epoch 1 (global", "Model saved", "5/5", "validation_loss")
    assert [out.count(part) > 0 for part in order] == [True] * 6
    assert sorted(order, key=out.rfind) == list(order)


def test_the_runs_seed_sets_the_order_of_the_pictures(config):
    data = tf.data.Dataset.from_tensor_slices({"image": X, "label": X[:, :1] * 3})
    config = replace(config, dataflow=BatchData(data, 8), max_epoch=1)
    first, again, other = (
        # The same weights at first, whatever the seed: what differs is the order.
        launch(
            replace(config, model=zeros, seed=seed, log_dir=config.log_dir / name)
        ).get_weights()
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).all()


def test_own_saver_and_pictures(config):
    def draw(model):
        return np.full((4, 6, 3), 100, "uint8")

    def figure(model):
        return plots.curves({"loss": [2, 1]}, "epoch", "loss")

    writers = [PictureWriter(draw), PictureWriter(figure, "curves")]
    launch(replace(config, callbacks=[ModelSaver(keep=1), *writers]))
    assert keras.utils.load_img(config.log_dir / "curves" / "epoch-004.png").size == (900, 540)
    assert list(checkpoints(config.log_dir)) == [12]
    picture = keras.utils.load_img(config.log_dir / "pictures" / "epoch-004.png")
    assert picture.size == (6, 4)


def test_precision_is_the_runs_own(config):
    model = launch(replace(config, precision="mixed_bfloat16"))
    assert model.layers[-1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_several_steps_at_a_time(config):
    """4 of them, which an epoch of 6 is no multiple of, so that it must be 3."""
    data = tf.data.Dataset.from_tensor_slices({"image": X, "label": X[:, :1]})
    runner = InferenceRunner(BatchData(data, 5, remainder=True))
    config = replace(config, steps_per_epoch=6, callbacks=[runner])
    launch(config)
    several = replace(
        config, model=lambda: linear(steps_per_execution=4), log_dir=config.log_dir / "several"
    )
    assert launch(several).steps_per_execution == 3
    one, three = (
        pd.read_csv(c.log_dir / "history.csv").drop(columns="seconds") for c in (config, several)
    )
    assert three["global_step"].tolist() == [6, 12, 18, 24]
    pd.testing.assert_frame_equal(one, three)


def test_nan_among_several_steps(config):
    broken = replace(
        config,
        model=lambda: linear(steps_per_execution=3),
        dataflow=lambda *_: dataflow(y=X[:, :1] * np.nan),
    )
    with pytest.raises(FloatingPointError, match=r"nan in steps 1-3\. Last good model: none yet"):
        launch(broken)


def normalised():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def test_one_replica_and_two_agree(config, two_replicas):
    data = tf.data.Dataset.from_tensor_slices({"image": X[:17], "label": X[:17, :1]})
    runner = InferenceRunner(BatchData(data, 8, remainder=True))  # a share of the last is empty
    config = replace(config, model=normalised, callbacks=[runner])
    one = launch(config)
    two_dir = config.log_dir / "two"
    two = launch(replace(config, log_dir=two_dir), two_replicas)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    one, two = (pd.read_csv(folder / "history.csv") for folder in (config.log_dir, two_dir))
    np.testing.assert_allclose(one["validation_loss"], two["validation_loss"], rtol=1e-5)


def test_uneven_batches_are_refused_on_two_replicas(config, two_replicas):
    def uneven(step, seed):
        return tf.data.Dataset.from_tensor_slices((X, X)).batch(8).repeat()

    with pytest.raises(ValueError, match="varying size cannot be shared equally by 2"):
        launch(replace(config, dataflow=uneven), two_replicas)


def test_two_replicas_take_single_steps(config, two_replicas):
    """Keras cannot do more than one at a time there, or compile it with XLA."""
    config = replace(config, model=lambda: linear(steps_per_execution=3, jit_compile=True))
    assert launch(config, two_replicas).steps_per_execution == 1
    assert pd.read_csv(config.log_dir / "history.csv")["global_step"].tolist() == [3, 6, 9, 12]


def noisy():
    inputs = keras.Input((4,))
    x = keras.layers.GaussianNoise(0.1, name="noise")(keras.layers.Dropout(0.5)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    loss = keras.losses.MeanSquaredError("mean_with_sample_weight")
    model.compile(keras.optimizers.SGD(0.1, clipnorm=1.0), loss)
    return model


def test_what_replicas_do_otherwise_is_said(config, two_replicas, capsys):
    launch(replace(config, model=noisy, max_epoch=1))
    assert "will not train as one" not in capsys.readouterr().out
    config = replace(config, log_dir=config.log_dir / "two", max_epoch=1)
    launch(replace(config, model=noisy, precision="mixed_float16"), two_replicas)
    lines = [line for line in capsys.readouterr().out.splitlines() if "will not train" in line]
    words = ("overflow", "(clipnorm)", "noise, a GaussianNoise", "(mean_with_sample_weight)")
    for line, word in zip(lines, words, strict=True):
        assert "2 replicas will not train as one: " in line
        assert word in line
    with pytest.raises(ValueError, match="gradient_accumulation_steps does not work with several"):
        launch(
            replace(
                config,
                model=lambda: compiled(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)),
                log_dir=config.log_dir / "accumulating",
            ),
            two_replicas,
        )
