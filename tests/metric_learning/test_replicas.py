"""One replica, two and four train the same; each count needs a process of its own."""

import subprocess
import sys

import numpy as np
import pytest

TRAINING = """
import keras_vision.quiet
import sys
import keras
import numpy as np
import tensorflow as tf

from keras_vision.metric_learning import losses
from keras_vision.training import TrainConfig, launch

folder, count, *names = sys.argv[1:]
cpu = tf.config.list_physical_devices("CPU")[0]
device = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [device] * int(count))
names_of_devices = [f"CPU:{number}" for number in range(int(count))]
strategy = tf.distribute.MirroredStrategy(names_of_devices) if int(count) > 1 else None
rng = np.random.default_rng(0)
z, ids = rng.normal(size=(24, 6)).astype("float32"), np.tile(np.arange(8), 3)
data = tf.data.Dataset.from_tensors((z, ids)).repeat()
found = {}
for name in names:

    def model():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6,))
        outputs = keras.layers.UnitNormalization()(keras.layers.Dense(5)(inputs))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.5), eval(name, vars(losses)))
        return model

    dataflow = lambda first_step, seed: data
    config = TrainConfig(model, dataflow, 3, max_epoch=1, log_dir=f"{folder}/{name}")
    found[name] = launch(config, strategy).get_weights()[0]
np.savez(f"{folder}.npz", **found)
"""
LOSSES = (
    "TripletLoss(mining='all')",
    "TripletLoss(mining='hard')",
    "TripletLoss(mining='semi_hard')",
    "TripletLoss(mining='distance_weighted')",
    "MarginLoss()",
    "ContrastiveLoss()",
    "NTXent()",
    "InfoNCE()",
    "NPairs(0.01)",
)


@pytest.mark.slow
def test_one_two_and_four_replicas_train_the_same(tmp_path):
    found = []
    for count in (1, 2, 4):
        folder = tmp_path / str(count)
        command = [sys.executable, "-c", TRAINING, str(folder), str(count), *LOSSES]
        subprocess.run(command, check=True, capture_output=True, timeout=500)
        found.append(np.load(f"{folder}.npz"))
    for name in LOSSES:
        one, two, four = (weights[name] for weights in found)
        np.testing.assert_allclose(two, one, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(four, one, atol=1e-5, err_msg=name)
