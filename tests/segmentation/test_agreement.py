"""One replica and two, TensorFlow and JAX: the same training."""

import os
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest

from keras_vision.datasets import samples
from keras_vision.rows import Rows
from keras_vision.segmentation import data, fcn, segment, segnet, unet
from keras_vision.segmentation.losses import CrossEntropy, LovaszSoftmax
from keras_vision.training import BatchData, TrainConfig, launch

JAX = """
import sys
import keras
import numpy as np

from keras_vision.segmentation import segment
from keras_vision.segmentation.losses import CrossEntropy

assert keras.backend.backend() == "jax"
folder, *names = sys.argv[1:]
given, found = np.load(f"{folder}/given.npz"), {}
for name in names:
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    found[f"{name}/labels"] = segment(model, given["photo"])
    found[f"{name}/logits"] = model.predict_on_batch(given["photos"])
    model.compile(keras.optimizers.SGD(0.01), CrossEntropy())
    found[f"{name}/losses"] = [
        model.train_on_batch(given["photos"], given["labels"]) for _ in range(3)
    ]
np.savez(f"{folder}/jax.npz", **found)
"""
NETWORKS = {
    "fcn": partial(fcn.build, 4, short=40),
    "segnet": partial(segnet.build, 4, width=1 / 16),
    "unet": partial(unet.build, 4, filters=4, norm=True),
}


def quarters(count, height, width):
    """Photos and labels: which quarter it is, and void around the middle."""
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (count, height, width, 3)).astype("float32")
    rows, columns = np.indices((height, width))
    labels = 2 * (rows > height // 2) + (columns > width // 2)
    labels[height // 2 - 2 : height // 2 + 2] = 255
    return photos, np.stack([labels] * count)


def built(name):
    from keras_vision.classification import resnet

    backbone = {"backbone": resnet.backbone(18, width=1 / 16, stride=8)} if name == "fcn" else {}
    model = NETWORKS[name](**backbone)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):  # whose chance is another under JAX
            layer.rate = 0
    return model


@pytest.mark.quick("CrossEntropy")
@pytest.mark.parametrize("loss", [CrossEntropy, LovaszSoftmax])
def test_two_replicas_train_as_one(loss, two_replicas, tmp_path):
    photos, labels = quarters(4, 48, 64)
    rows = Rows({"image": photos.astype("uint8"), "label_map": labels.astype("int32")})
    flow = BatchData(rows, 4, example=partial(data.example, classes=4), shuffle=False)

    def model():
        network = built("unet")  # in SegNet, roundings decide where equal maxima stand
        network.compile(keras.optimizers.SGD(0.01), loss())
        return network

    weights = []
    for name, strategy in (("one", None), ("two", two_replicas)):
        config = TrainConfig(model, flow, 3, max_epoch=1, log_dir=tmp_path / name)
        weights.append(launch(config, strategy).get_weights())
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-4)
    moved = [np.abs(a - b).max() for a, b in zip(weights[0], model().get_weights(), strict=True)]
    assert max(moved) > 1e-3


@pytest.mark.slow
def test_the_same_under_jax(tmp_path):
    photos, labels = quarters(2, 45, 60)
    photo = samples.photos()["coffee"][100:180, 200:300]
    np.savez(tmp_path / "given.npz", photos=photos, labels=labels, photo=photo)
    expected = {}
    for name in NETWORKS:
        model = built(name)
        model.save(tmp_path / f"{name}.keras")
        expected[f"{name}/labels"] = segment(model, photo)
        expected[f"{name}/logits"] = model.predict_on_batch(photos)
        model.compile(keras.optimizers.SGD(0.01), CrossEntropy())
        expected[f"{name}/losses"] = [model.train_on_batch(photos, labels) for _ in range(3)]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", JAX, tmp_path, *NETWORKS]
    subprocess.run(command, env=environment, check=True, timeout=300)
    found = np.load(tmp_path / "jax.npz")
    for name in NETWORKS:
        same = found[f"{name}/labels"] == expected[f"{name}/labels"]
        assert same.mean() > 0.999
        for what in ("logits", "losses"):
            key = f"{name}/{what}"
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-3, atol=1e-3)
