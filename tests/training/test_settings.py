import json
import shutil
from dataclasses import replace

import keras
import pytest

from keras_vision.training import BatchData, InferenceRunner, launch
from keras_vision.training.checkpoints import checkpoints
from keras_vision.training.settings import changes

decay = keras.optimizers.schedules.ExponentialDecay


def two_layers():
    layers = [keras.layers.Dense(3, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def shift(raw, seed, by=1):
    return raw


@pytest.fixture
def base(config, data, tmp_path_factory):
    """A finished run; it is trained once for all tests."""
    config = replace(config, dataflow=BatchData(data, 8), max_epoch=1)
    begun = tmp_path_factory.getbasetemp() / "begun"
    if not begun.exists():
        launch(replace(config, log_dir=begun))
    shutil.copytree(begun, config.log_dir)
    return config


def with_model(**arguments):
    return lambda config: replace(
        config, model=lambda linear=config.model: linear(**{k: f() for k, f in arguments.items()})
    )


def with_data(**fields):
    return lambda config: replace(config, dataflow=replace(config.dataflow, **fields))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: replace(config, seed=1), "seed=0, which is now 1"),
        (lambda config: replace(config, steps_per_epoch=6), "steps_per_epoch=3, which is now 6"),
        (
            lambda config: replace(config, precision="mixed_bfloat16"),
            "precision=float32, which is now mixed_bfloat16",
        ),
        (with_model(optimizer=lambda: 0.01), r"optimizer\.learning_rate=0\.1, which is now 0\.01"),
        (
            with_model(optimizer=lambda: keras.optimizers.SGD(decay(0.1, 3, 0.5))),
            r"optimizer\.learning_rate=0\.1, which is now ExponentialDecay",
        ),
        (
            with_model(optimizer=lambda: keras.optimizers.Adam(0.1)),
            "optimizer=SGD, which is now A",
        ),
        (with_model(loss=lambda: "mae"), "loss=mse, which is now mae"),
        (with_model(loss=keras.losses.Huber), "loss=mse, which is now Huber"),
        (with_model(loss_weights=lambda: [0.5]), "loss_weights=None, which is now 1 values"),
        (lambda config: replace(config, model=two_layers), "model=Functional, which is now Seq"),
        (with_data(augment=shift), r"dataflow\.augment=None, which is now shift"),
        (with_data(augment=lambda raw, seed: raw), r"dataflow\.augment=None, which is now <lam"),
        (with_data(batch_size=4), r"dataflow\.batch_size=8, which is now 4"),
        (with_data(shuffle=False), r"dataflow\.shuffle=True, which is now False"),
        (
            lambda config: replace(config, dataflow=lambda *_: config.dataflow()),
            "dataflow=BatchData, which is now .*<lambda>",
        ),
    ],
)
def test_what_a_run_was_begun_with_must_stay(base, change, message):
    with pytest.raises(ValueError, match=f"was begun with .*{message}.*: set it as it was, or ch"):
        launch(change(base))
    assert list(checkpoints(base.log_dir)) == [3]


def test_the_refusal_names_nothing_else(base):
    with pytest.raises(ValueError, match="was begun with") as error:
        launch(with_model(optimizer=lambda: 0.01)(base))
    checkpoint = base.log_dir / "model-3.keras"
    assert str(error.value) == (
        f"The run in {base.log_dir} was begun with optimizer.learning_rate=0.1, which is now "
        "0.01: set it as it was, or choose a new log_dir. To start there from this model, call "
        f"model.load_weights({str(checkpoint)!r}) in TrainConfig.model, before compile()."
    )


def test_what_does_not_change_the_weights_may_change(base, data):
    linear = base.model
    runner = InferenceRunner(BatchData(data, 5, remainder=True))
    metrics = replace(base, model=lambda: linear(metrics=["mae"], steps_per_execution=3))
    launch(replace(metrics, max_epoch=2, callbacks=[runner]))
    assert list(checkpoints(base.log_dir)) == [3, 6]


def test_a_schedule_that_is_resumed_is_the_same(base, config):
    schedule = keras.optimizers.schedules.CosineDecay
    linear, folder = config.model, config.log_dir / "schedule"
    run = replace(config, model=lambda: linear(keras.optimizers.SGD(schedule(0.1, 9))))
    run = replace(run, log_dir=folder)
    launch(run)
    launch(replace(run, max_epoch=5))
    longer = replace(run, model=lambda: linear(keras.optimizers.SGD(schedule(0.1, 99))))
    with pytest.raises(ValueError, match=r"learning_rate\.decay_steps=9, which is now 99: set"):
        launch(longer)


def test_another_backend_is_refused(base):
    path = base.log_dir / "run.json"
    path.write_text(path.read_text().replace('"tensorflow"', '"jax"'))
    with pytest.raises(ValueError, match="backend=jax, which is now tensorflow: set it as it was"):
        launch(base)


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", '"seed"', "\0"])
def test_a_run_json_that_is_none_is_named(base, content):
    path = base.log_dir / "run.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"run\.json does not hold what the run was .*delete it"):
        launch(base)
    path.unlink()
    launch(replace(base, max_epoch=2))
    assert json.loads(path.read_text())["seed"] == 0


def test_a_run_begun_by_an_older_version_is_named(base):
    (base.log_dir / "run.json").write_text('{"seed": 0, "steps_per_epoch": 3, "loss": "mse"}')
    message = r"run\.json is of another version, without precision, backend, .*: delete it if no"
    with pytest.raises(ValueError, match=message):
        launch(base)


def test_until_a_checkpoint_is_saved_settings_may_change(base):
    (base.log_dir / "model-3.keras").unlink()
    launch(replace(base, seed=1))
    assert json.loads((base.log_dir / "run.json").read_text())["seed"] == 1


@pytest.mark.parametrize(
    ("begun", "now", "expected"),
    [
        (
            {"a": 1, "b": [1, {"c": 2}]},
            {"a": 1, "b": [1, {"c": 3}]},
            ["x.b.1.c=2, which is now 3"],
        ),
        ({"a": 1}, {"a": 1, "new in Keras": None}, []),
        ({"a": [1, 2]}, {"a": [1]}, ["x.a=2 values, which is now 1 values"]),
        ({"class": "A", "of": 1}, {"class": "B", "of": 2}, ["x=A, which is now B"]),
        (0.1 + 1e-9, 0.25, ["x=0.1, which is now 0.25"]),
        (
            {"y": {"p": 1}},
            {"y": {"q": 1}},
            ["x.y.p=1, which is now None", "x.y.q=None, which is now 1"],
        ),
    ],
)
def test_changes_are_dotted_paths(begun, now, expected):
    assert list(changes(begun, now, "x")) == expected
