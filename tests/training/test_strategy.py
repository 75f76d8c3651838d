import runpy
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_vision.datasets import mnist
from keras_vision.training import BatchData, InferenceRunner, TrainConfig, launch
from keras_vision.training.machines import HandBack
from keras_vision.training.strategy import agree_with_one

lesson_2 = runpy.run_path(Path(__file__).with_name("lesson_2.py"))["model"]


@pytest.mark.slow
def test_two_replicas_train_lesson_2_as_one(tmp_path, two_replicas):
    """Dropout and Adam included; in float64, where rounding cannot grow into a difference."""
    train = BatchData(mnist.load("train", mnist.SUBSET), 128)
    weights, losses = [], []
    for name, strategy in (("one", None), ("two", two_replicas)):
        folder = tmp_path / name
        config = TrainConfig(
            lesson_2, train, steps_per_epoch=8, max_epoch=1, log_dir=folder, precision="float64"
        )
        weights.append(launch(config, strategy).get_weights())
        losses.append(pd.read_csv(folder / "history.csv")["loss"][0])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-12)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_shares_of_a_batch_get_shares_of_one_mask(two_replicas):
    x, inputs = np.ones((4, 50), "float32"), keras.Input((50,))
    with two_replicas.scope():
        model = keras.Model(inputs, keras.layers.Dropout(0.5, seed=0)(inputs))
        model.compile("sgd", "mse")
    agree_with_one(model, tf.data.Dataset.from_tensors((x, x)).repeat(), two_replicas)
    masks = two_replicas.run(lambda: model(x[:2], training=True))
    first, second = (np.asarray(mask) for mask in two_replicas.experimental_local_results(masks))
    alone = keras.layers.Dropout(0.5, seed=0)(x, training=True)
    np.testing.assert_array_equal(np.concatenate([first, second]), alone)
    np.testing.assert_array_equal(model(x), x)  # none outside of training


def normalised():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def test_one_replica_and_two_agree(config, data, two_replicas):
    seventeen = data.select(slice(17))  # a share of the last is empty
    runner = InferenceRunner(BatchData(seventeen, 8, remainder=True))
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
        return config.dataflow().unbatch().batch(8)

    with pytest.raises(ValueError, match="varying size cannot be shared equally by 2"):
        launch(replace(config, dataflow=uneven), two_replicas)


def test_two_replicas_take_single_steps(config, two_replicas):
    """Keras cannot do more than one at a time there, or compile it with XLA."""
    linear = config.model
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
    linear = config.model
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
                model=lambda: linear(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)),
                log_dir=config.log_dir / "accumulating",
            ),
            two_replicas,
        )


def test_the_best_weights_go_back_to_the_shared_model(config):
    """EarlyStopping restores them in the copy that callbacks see, when training ends."""
    shared, own = config.model(), config.model()
    for model in (shared, own):
        model.optimizer.build(model.trainable_variables)
    callback = HandBack(own)
    callback.set_model(shared)
    callback.on_train_end()
    np.testing.assert_array_equal(shared.get_weights()[0], own.get_weights()[0])
