from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pandas as pd
import pytest

from keras_vision.classification import resnet
from keras_vision.detection import data, retinanet
from keras_vision.detection.losses import FocalLoss, GIoULoss, SmoothL1
from keras_vision.pipeline import BatchData
from keras_vision.training import TrainConfig, launch


def compiled(box_loss):
    model = retinanet.build(resnet.backbone(18, width=1 / 16), 6, filters=16, size=(64, 64))
    model.compile(keras.optimizers.SGD(0.01), {"classes": FocalLoss(), "boxes": box_loss})
    return model


@pytest.fixture
def config(learned, tmp_path):
    example = partial(data.example, size=(64, 64), classes=6)
    return TrainConfig(
        model=partial(compiled, SmoothL1()),
        dataflow=BatchData(learned, 4, example=example),
        steps_per_epoch=2,
        max_epoch=2,
        log_dir=tmp_path / "one",
    )


def losses(log_dir):
    return pd.read_csv(log_dir / "history.csv")["loss"].to_numpy()


def test_the_loss_is_the_papers(config):
    """Sums over anchors, divided by those that stand for an object, and the mean over photos."""
    model = config.model()
    image, y, weight = next(iter(config.dataflow(0, 0)))
    outputs = model(image)
    expected = []
    for n in range(4):
        classes, positives = y["classes"][n].numpy(), (y["classes"][n].numpy() >= 0).sum()
        counts = weight["classes"][n].numpy() > 0
        focal = FocalLoss().call(classes, outputs["classes"][n]).numpy()[counts].sum()
        boxes = SmoothL1().call(y["boxes"][n], outputs["boxes"][n]).numpy()[classes >= 0].sum()
        expected.append((focal + boxes) / max(positives, 1))
    found = model.compute_loss(image, y, outputs, weight)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.slow
def test_one_replica_and_two_agree(config, tmp_path, two_replicas):
    one = launch(config)
    two = launch(replace(config, log_dir=tmp_path / "two"), two_replicas)
    np.testing.assert_allclose(losses(tmp_path / "one"), losses(tmp_path / "two"), rtol=1e-4)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_giou_and_mixed_precision_learn(config, precision):
    model = partial(compiled, GIoULoss())
    launch(replace(config, model=model, precision=precision, steps_per_epoch=5))
    first, last = losses(config.log_dir)
    assert last < first
