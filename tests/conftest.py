"""Set-up that all tests share."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
import tensorflow as tf

# Two replicas need two devices, and those must be named before TensorFlow first computes.
CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def two_replicas():
    """One for all tests: TensorFlow mixes up the messages of two such strategies in a process."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def data_root():
    """The folder of the real datasets, for tests marked `realdata`."""
    root = os.environ.get("KERAS_VISION_DATA")
    if not root:
        pytest.skip("KERAS_VISION_DATA is not set")
    return Path(root)
