"""The small classifier that comes with the package."""

from pathlib import Path

import numpy as np
import pytest

from keras_vision.classification import classify, resnet
from keras_vision.classification.resnet import SHIPPED
from keras_vision.datasets import samples, tiny_imagenet
from keras_vision.pipeline import batches


@pytest.fixture(scope="module")
def model():
    return resnet.build(weights="tiny_imagenet")


def test_it_is_small_and_says_what_it_wants(model):
    assert Path(SHIPPED["tiny_imagenet"]).stat().st_size < 8e6
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, 200)


def test_it_knows_coffee(model):
    table = classify(model, samples.FOLDER / "coffee.jpg", tiny_imagenet.class_names, top=5)
    assert table["name"].iloc[0] == "espresso"
    assert table["probability"].is_monotonic_decreasing


def test_its_backbone_takes_any_size_and_has_the_same_maps(model):
    backbone = resnet.backbone(weights="tiny_imagenet")
    x = np.random.default_rng(0).uniform(0, 255, (1, 64, 71, 3)).astype("float32")
    assert backbone.predict_on_batch(x)["c5"].shape == (1, 8, 9, 256)
    x = x[:, :, :64]
    pooled = backbone.predict_on_batch(x)["c5"].mean((1, 2))
    kernel, bias = model.get_layer("fc").get_weights()
    np.testing.assert_allclose(pooled @ kernel + bias, model.predict_on_batch(x), atol=1e-3)


def test_another_form_than_its_own_is_told():
    with pytest.raises(ValueError, match="resnet34 cannot take these weights"):
        resnet.build(34, weights="tiny_imagenet")
    with pytest.raises(ValueError, match="cannot take these weights"):
        resnet.build(classes=10, weights="tiny_imagenet")


@pytest.mark.slow
@pytest.mark.realdata
def test_its_accuracy_on_unseen_photos(model, data_root):
    photos = tiny_imagenet.load("val", data_root / "tiny-imagenet-200")
    pairs = list(batches(photos, lambda raw: (raw["image"], raw["label"]), 250))
    labels = np.concatenate([label for _, label in pairs])
    logits = np.concatenate([model.predict_on_batch(image) for image, _ in pairs])
    assert (logits.argmax(-1) == labels).mean() > 0.4
