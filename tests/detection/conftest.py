from functools import partial

import keras
import make_detection_golden as golden
import numpy as np
import pytest
from make_classifier_golden import FACTOR

from keras_vision.classification import resnet
from keras_vision.datasets import shapes
from keras_vision.detection import data, retinanet
from keras_vision.detection.losses import FocalLoss, SmoothL1
from keras_vision.optimizers import Muon
from keras_vision.pipeline import batches

STEPS = 150
OPTIMIZER = partial(Muon, exclude_layers=["^conv1/", "cls_logits", "bbox_reg"])
GOLDEN = np.load(golden.GOLDEN)


@pytest.fixture(scope="session")
def state():
    """The arrays of torchvision's small RetinaNet: {name: array}."""
    shapes = (tuple(map(int, shape.split())) for shape in GOLDEN["shapes"])
    return golden.state_of(dict(zip(GOLDEN["names"].tolist(), shapes, strict=True)))


@pytest.fixture
def small():
    """`retinanet.build` of the size of the golden one."""

    def build(**settings):
        backbone = resnet.backbone(18, width=1 / FACTOR)
        return retinanet.build(backbone, filters=golden.FILTERS, **settings)

    return build


@pytest.fixture(scope="session")
def learned():
    """`Rows` of four pictures with shapes."""
    rows = shapes.load("train", size=128, count=60)
    counts = [len(raw["labels"]) for raw in rows.as_numpy_iterator()]
    return rows.select([number for number, count in enumerate(counts) if 1 <= count <= 3][:4])


@pytest.fixture(scope="session")
def trained(learned):
    """(a detector that has learned four pictures by heart, their raw dicts)."""
    keras.utils.set_random_seed(0)
    backbone = resnet.backbone(18, width=1 / 8)
    model = retinanet.build(backbone, classes=6, filters=32, size=(128, 128))
    rate = keras.optimizers.schedules.CosineDecay(3e-3, STEPS)
    model.compile(OPTIMIZER(rate), {"classes": FocalLoss(), "boxes": SmoothL1()})
    example = partial(data.example, size=(128, 128), classes=6)
    (batch,) = batches(learned, example, 4)
    for _ in range(STEPS):
        model.train_on_batch(*batch)
    return model, list(learned.as_numpy_iterator())
