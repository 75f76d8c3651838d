from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.training import launch
from keras_vision.training.checkpoints import checkpoints


@pytest.fixture
def broken(config):
    """Without a single finite loss."""
    dataflow = config.dataflow
    return replace(config, dataflow=lambda *_: dataflow(scale=np.nan))


def test_nan_stops_with_step_and_last_good_model(config):
    def nan_at_step_8(first_step, seed, dataflow=config.dataflow):
        batches = dataflow().enumerate(first_step + 1)
        return batches.map(lambda step, xy: (xy[0], tf.where(step < 8, xy[1], np.nan)))

    with pytest.raises(FloatingPointError) as error:
        launch(replace(config, dataflow=nan_at_step_8))
    checkpoint = config.log_dir / "model-6.keras"
    assert f"The loss is nan at step 8. Last good model: {checkpoint}. To try" in str(error.value)
    assert (
        f"new log_dir. To start there from this model, call model.load_weights('{checkpoint}'"
        in (str(error.value))
    )
    assert list(checkpoints(config.log_dir)) == [3, 6]


def test_the_advice_after_nan_works(config):
    """A lower learning rate in a new log_dir, from the last good model."""
    linear = config.model
    good = launch(replace(config, max_epoch=2)).get_weights()
    checkpoint = list(checkpoints(config.log_dir).values())[-1]

    def model():
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(1, name="fc")(inputs))
        model.load_weights(str(checkpoint))
        model.compile(keras.optimizers.SGD(0.001), "mse")
        return model

    started = {}

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            started["weights"] = self.model.get_weights()
            started["rate"] = float(self.model.optimizer.learning_rate)

    launch(replace(config, model=model, log_dir=config.log_dir / "new", callbacks=[Look()]))
    np.testing.assert_array_equal(started["weights"][0], good[0])
    assert started["rate"] == pytest.approx(0.001)
    with pytest.raises(ValueError, match=r"optimizer\.learning_rate=0\.1, which is now 0\.001"):
        launch(replace(config, model=lambda: linear(0.001)))  # it could not work here


def test_nan_in_the_first_epoch_leaves_the_folder_free(broken, config):
    linear = config.model
    with pytest.raises(FloatingPointError, match=r"Last good model: none yet\. Try a lower lear"):
        launch(broken)
    launch(replace(config, model=lambda: linear(0.001)))


def test_nan_among_several_steps(broken):
    linear = broken.model
    broken = replace(broken, model=lambda: linear(steps_per_execution=3))
    with pytest.raises(FloatingPointError, match=r"nan in steps 1-3\. Last good model: none yet"):
        launch(broken)


def test_weights_of_nan_are_not_saved(config):
    """Their loss was finite yet: the last update of the epoch made them so."""
    linear = config.model

    def loss(y, prediction):
        return keras.ops.sqrt(keras.ops.abs(y - y) * prediction) + (y - prediction) ** 2

    config = replace(config, model=lambda: linear(loss=loss), steps_per_epoch=1)
    message = r"fc/kernel is not finite after step 1\. Last good model: none yet"
    with pytest.raises(FloatingPointError, match=message):
        launch(config)
    assert not checkpoints(config.log_dir)


def normalised_aside():
    """Its BatchNorm sees infinity, which neither the loss nor its gradients do."""
    inputs = keras.Input((4,))
    aside = keras.layers.BatchNormalization(name="norm")(inputs * 1e30)
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs) + 0 * keras.ops.clip(aside, -1, 1))
    model.compile("sgd", "mse")
    return model


def test_infinite_moving_statistics_are_not_saved(config):
    message = r"norm/moving_variance is not finite after step 3\. Last good model: none yet"
    with pytest.raises(FloatingPointError, match=message):
        launch(replace(config, model=normalised_aside))
    assert not checkpoints(config.log_dir)


def test_an_infinite_state_of_the_optimizer_is_not_saved(config):
    """RMSprop's squares of the gradients overflow long before the gradients do."""
    linear, dataflow = config.model, config.dataflow
    optimizer = keras.optimizers.RMSprop(1e-9)
    config = replace(config, model=lambda: linear(optimizer, "mae"), max_epoch=1)

    def huge(*_):
        return dataflow().map(lambda x, y: (x * 1e25, y))

    with pytest.raises(FloatingPointError, match=r"velocity is not finite after step 3"):
        launch(replace(config, dataflow=huge))


class Halt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == 1


def two_batches(*_):
    """Without telling their number beforehand."""
    x = tf.ones((8, 4))
    pair = (tf.TensorSpec((8, 4)), tf.TensorSpec((8, 1)))
    return tf.data.Dataset.from_generator(lambda: [(x, x[:, :1])] * 2, output_signature=pair)


@pytest.mark.filterwarnings("ignore:.*input ran out of data")
@pytest.mark.parametrize("change", [{"callbacks": [Halt()]}, {"dataflow": two_batches}])
def test_part_of_an_epoch_is_none(config, change):
    with pytest.raises(RuntimeError, match=r"ended after 2 of 3 steps\. The dataflow must"):
        launch(replace(config, **change))
    assert not checkpoints(config.log_dir)
