import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_vision.classification import mnist_convnet

SHIP = Path(__file__).parents[2] / "scripts" / "ship.py"


def test_newest_checkpoint_in_half_precision(tmp_path):
    model = mnist_convnet.build()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    (tmp_path / "model-2.keras").write_bytes(b"an older one")
    model.save(tmp_path / "model-10.keras")
    target = tmp_path / "out" / "digits"  # an absolute name leaves the package alone
    command = [sys.executable, SHIP, tmp_path, target]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    shipped = f"{target}.weights.h5"
    with h5py.File(shipped) as file:
        assert "optimizer" not in file
        assert file["layers/dense/vars/0"].dtype == np.float16
        assert file["layers/dense/vars/1"].dtype == np.float32
    again = mnist_convnet.build(weights=shipped)
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b.astype("float16" if b.ndim > 1 else "float32"))
    assert keras.backend.standardize_dtype(again.weights[0].dtype) == "float32"
