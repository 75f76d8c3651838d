"""What all networks have in common, in one table: counts, taps, any size, saving, learning."""

from functools import partial
from math import prod

import keras
import numpy as np
import pytest

from keras_vision import arithmetic
from keras_vision.classification import (
    alexnet,
    googlenet,
    lenet,
    mobilenet,
    networks,
    resnet,
    vgg,
    xresnet,
)

# Trainable parameters with 1,000 classes; LeNet has 10. From the papers and torchvision's tables.
COUNTS = {
    "lenet": 61_706,
    "alexnet_2012": 60_965_224,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "googlenet": 6_624_904,
    "googlenet_2014": 6_998_552,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "xresnet50": 25_576_264,
    "mobilenet": 4_231_976,
}
# Billions of multiply-adds at 224x224, as torchvision and Keras publish them.
MACS = {
    "alexnet": 0.714,
    "vgg11": 7.609,
    "vgg16": 15.470,
    "googlenet": 1.498,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet101": 7.801,
    "resnet152": 11.514,
    "mobilenet": 0.569,
}
SMALL = {  # a narrow one of each kind, for pictures of 32 pixels
    "alexnet": partial(alexnet.build, small=True, width=1 / 16),
    "alexnet_2012": partial(alexnet.build, 2012, small=True, width=1 / 16),
    "vgg11": partial(vgg.build, 11, width=1 / 16),
    "vgg11_bn": partial(vgg.build, 11, norm=True, width=1 / 16),
    "googlenet": partial(googlenet.build, small=True, width=1 / 8),
    "googlenet_2014": partial(googlenet.build, norm=False, small=True, width=1 / 8),
    "resnet18": partial(resnet.build, 18, small=True, width=1 / 8),
    "resnet50": partial(resnet.build, 50, small=True, width=1 / 8),
    "plain18": partial(resnet.build, 18, residual=False, small=True, width=1 / 8),
    "xresnet18": partial(xresnet.build, 18, small=True, width=1 / 8),
    "mobilenet": partial(mobilenet.build, small=True, width=1 / 4),
}
BACKBONES = {
    "vgg11": (partial(vgg.backbone, 11, width=1 / 16), (2, 4, 8, 16, 32)),
    "googlenet": (partial(googlenet.backbone, width=1 / 8), (2, 4, 8, 16, 32)),
    "googlenet, small": (partial(googlenet.backbone, small=True, width=1 / 8), (1, 1, 2, 4, 8)),
    "resnet18": (partial(resnet.backbone, 18, width=1 / 8), (2, 4, 8, 16, 32)),
    "resnet50": (partial(resnet.backbone, 50, width=1 / 8), (2, 4, 8, 16, 32)),
    "resnet18, small": (partial(resnet.backbone, 18, small=True, width=1 / 8), (1, 1, 2, 4, 8)),
    "xresnet18": (partial(xresnet.backbone, 18, width=1 / 8), (2, 4, 8, 16, 32)),
    "mobilenet": (partial(mobilenet.backbone, width=1 / 4), (2, 4, 8, 16, 32)),
    "mobilenet, small": (partial(mobilenet.backbone, small=True, width=1 / 4), (1, 2, 4, 8, 16)),
}
RNG = np.random.default_rng(0)
kinds = pytest.mark.parametrize("name", SMALL)


def photos(height, width=None, count=2):
    return RNG.integers(0, 256, (count, height, width or height, 3)).astype("float32")


@pytest.mark.quick(*(name for name in COUNTS if name not in ("resnet101", "resnet152")))
@pytest.mark.parametrize("name", COUNTS)
def test_parameters_as_published(name):
    model = networks.build(name)
    assert sum(prod(v.shape) for v in model.trainable_weights) == COUNTS[name]
    assert int(arithmetic.totals(arithmetic.inspect(model, size_of(model)))["parameters"]) == (
        model.count_params()
    )


def size_of(model):
    return 224 if None in model.input_shape[1:] else None


@pytest.mark.quick(*(name for name in MACS if name not in ("resnet101", "resnet152")))
@pytest.mark.parametrize("name", MACS)
def test_multiply_adds_as_published(name):
    macs = arithmetic.totals(arithmetic.inspect(networks.build(name), 224))["macs"]
    assert round(macs / 1e9, 3) == pytest.approx(MACS[name], abs=0.0011)


def test_lenet_as_in_1998():
    model = lenet.build(partial=True)
    assert model.count_params() == 60_806
    c3 = [layer.count_params() for layer in model.layers if layer.name.startswith("C3_")]
    assert sum(c3) == 1_516  # the paper says so
    table = arithmetic.inspect(lenet.build())
    assert table.loc["C1", "output"] == (28, 28, 6)
    assert table.loc["C5", "output"] == (1, 1, 120)


@pytest.mark.parametrize("name", BACKBONES)
def test_taps_lie_at_their_strides(name):
    build, strides = BACKBONES[name]
    model = build()
    assert list(model.output) == ["c1", "c2", "c3", "c4", "c5"]
    maps = model.predict_on_batch(photos(64, 96))
    for x, stride in zip(maps.values(), strides, strict=True):
        assert x.shape[1:3] == (64 // stride, 96 // stride)


@pytest.mark.quick("alexnet", "vgg11_bn", "resnet18", "mobilenet")
@kinds
def test_any_size_saved_and_loaded(name, tmp_path):
    model = SMALL[name](classes=7)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for size in ((32, 32), (45, 67)):
        x = photos(*size)
        logits = model.predict_on_batch(x)
        assert logits.shape == (2, 7)
        np.testing.assert_array_equal(again.predict_on_batch(x), logits)
        np.testing.assert_allclose(model(x), logits, rtol=1e-3, atol=1e-4)  # eagerly


@pytest.mark.quick("alexnet")
@kinds
def test_overfits_a_batch(name):
    """Also in mixed precision, in which it is compiled here."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = SMALL[name](classes=4)
    finally:
        keras.config.set_dtype_policy("float32")
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    assert model.output.dtype == "float32"
    x, y = photos(32, count=8), np.arange(8) % 4
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"], jit_compile=False)
    history = model.fit(x, y, epochs=40, batch_size=8, verbose=0).history
    assert history["accuracy"][-1] == 1
    assert history["loss"][-1] < 0.5 * history["loss"][0]


@pytest.mark.slow
def test_two_replicas_train_as_one(two_replicas):
    def trained():
        keras.utils.set_random_seed(0)
        model = resnet.build(18, 4, small=True, width=1 / 16)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
        return model

    x, y = photos(16, count=8), np.arange(8) % 4
    weights = []
    for scope in (two_replicas.scope(), keras.name_scope("one")):
        with scope:
            model = trained()
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_plain_networks_lack_shortcuts_only():
    residual, plain = (resnet.build(34, residual=r, width=1 / 16) for r in (True, False))
    assert not any(isinstance(layer, keras.layers.Add) for layer in plain.layers)
    shortcuts = sum(v.count_params() for v in residual.layers if "downsample" in v.name)
    assert residual.count_params() - plain.count_params() == shortcuts


def test_blocks_of_xresnet_begin_as_the_identity():
    model = xresnet.backbone(18, small=True, width=1 / 8)
    untouched = keras.Model(model.input, model.output["c1"]).predict_on_batch(photos(16))
    maps = model.predict_on_batch(photos(16))
    assert untouched.shape == maps["c2"].shape
    x = photos(16)
    np.testing.assert_array_equal(model.predict_on_batch(x)["c1"], model.predict_on_batch(x)["c2"])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: resnet.build(20), "depth must be one of 18, 34, 50, 101, 152, not 20"),
        (lambda: resnet.build(50, residual=False), "for the depths 18 and 34, not 50"),
        (lambda: resnet.build(18, width=0), "width must be 1/32 or more, not 0"),
        (lambda: vgg.build(12), "depth must be one of 11, 13, 16, 19, not 12"),
        (lambda: alexnet.build(2013), "year must be one of 2012, 2014, not 2013"),
        (lambda: networks.build("resnet51"), "no network 'resnet51', expected one of lenet, "),
        (lambda: resnet.build(18, classes=0), "classes must be 1 or more, not 0"),
    ],
)
def test_what_makes_no_network_is_told(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("name", ["lenet", "xresnet50", "alexnet_2012", "resnet18"])
def test_weights_that_nobody_has(name):
    with pytest.raises(FileNotFoundError, match="weights='flickr' is neither a file nor one of"):
        networks.build(name, weights="flickr")
