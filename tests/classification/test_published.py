"""torchvision's and Keras' own networks, with equal random weights, are the oracle."""

from functools import partial

import h5py
import keras
import make_classifier_golden as golden
import numpy as np
import pytest
from keras import ops

from keras_vision.classification import alexnet, googlenet, mobilenet, resnet, vgg

GOLDEN = np.load(golden.GOLDEN)
BUILDS = {
    "alexnet": alexnet.build,
    "vgg11": partial(vgg.build, 11),
    "vgg16_bn": partial(vgg.build, 16, norm=True),
    "googlenet": googlenet.build,
    "resnet18": partial(resnet.build, 18),
    "resnet50": partial(resnet.build, 50),
}
networks = pytest.mark.parametrize("name", golden.NAMES)


def state(name):
    """The arrays of torchvision's network: {name: array}."""
    shapes = (tuple(map(int, shape.split())) for shape in GOLDEN[f"{name}/shapes"])
    return golden.state_of(dict(zip(GOLDEN[f"{name}/names"].tolist(), shapes, strict=True)))


@pytest.fixture
def build(save_torch, tmp_path):
    """A function from a name to our network with the weights of torchvision's, in a `.pth`."""

    def build(name, arrays=None, **settings):
        path = save_torch(tmp_path / f"{name}.pth", arrays or state(name))
        return BUILDS[name](weights=path, width=1 / golden.FACTOR, **settings)

    return build


def assert_equal(logits, expected, tolerance=1e-4):
    assert logits.shape == expected.shape
    assert np.abs(logits - expected).max() <= tolerance * np.abs(expected).max()


@networks
def test_logits_equal_torchvisions(build, name):
    model = build(name)
    for size in golden.SIZES:
        logits = model.predict_on_batch(golden.photos(*size))
        assert_equal(logits, GOLDEN[f"{name}/{size[0]}x{size[1]}"])
    assert_equal(ops.convert_to_numpy(model(golden.photos(*size))), logits)  # eagerly
    assert_equal(model.predict_on_batch(golden.photos(*size).astype("uint8")), logits)


@networks
def test_bfloat16_tells_the_same(build, name):
    expected = GOLDEN[f"{name}/224x224"]
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        logits = build(name).predict_on_batch(golden.photos(224, 224))
    finally:
        keras.config.set_dtype_policy("float32")
    assert logits.dtype == np.float32
    assert_equal(logits, expected, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [False, True], ids=["", "bn"])
@pytest.mark.parametrize("depth", vgg.DEPTHS)
def test_whole_vgg_equals_torchvisions(save_torch, tmp_path, depth, norm):
    name = f"vgg{depth}{'_bn' if norm else ''}"
    compare_whole(name, partial(vgg.build, depth, norm=norm), save_torch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("depth", resnet.DEPTHS)
def test_whole_resnet_equals_torchvisions(save_torch, tmp_path, depth):
    compare_whole(f"resnet{depth}", partial(resnet.build, depth), save_torch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_whole_network_equals_torchvisions(save_torch, tmp_path, name):
    compare_whole(name, BUILDS[name], save_torch, tmp_path)


def compare_whole(name, build, save_torch, tmp_path):
    models = pytest.importorskip("torchvision.models")
    model, shapes = golden.filled(golden.made(models, name, 1000))
    path = save_torch(tmp_path / f"{name}.pth", golden.state_of(shapes))
    ours = build(weights=path)
    for size in golden.SIZES:
        expected = golden.logits_of(model, golden.photos(*size))
        assert_equal(ours.predict_on_batch(golden.photos(*size)), expected)


def test_side_heads_equal_torchvisions(build):
    with_heads = build("googlenet", side_heads=True)
    x = golden.photos(224, 224)
    outputs = with_heads.predict_on_batch(x)
    assert_equal(outputs["logits"], GOLDEN["googlenet/224x224"])
    for name in ("aux1", "aux2"):
        assert_equal(outputs[name], GOLDEN[f"googlenet/{name}"])


def test_order_of_the_file_and_counters_do_not_matter(build):
    arrays = state("resnet18")
    names = sorted(arrays, key=lambda name: name[::-1])
    counted = {name: arrays[name] for name in names} | {"bn1.num_batches_tracked": np.zeros(1)}
    logits = build("resnet18", counted).predict_on_batch(golden.photos(197, 163))
    assert_equal(logits, GOLDEN["resnet18/197x163"])


def test_what_does_not_fit_is_told_layer_by_layer(build):
    arrays = state("resnet18")
    arrays["fc2.weight"] = arrays.pop("fc.bias")
    arrays["layer1.0.conv1.weight"] = arrays["layer1.0.conv1.weight"][:, :3]
    with pytest.raises(ValueError, match="resnet18 cannot take these weights") as told:
        build("resnet18", arrays)
    for problem in (
        "it has no fc.bias",
        r"layer1.0.conv1.weight (4, 3, 3, 3) becomes (3, 3, 3, 4), but the network has",
        "the network has no fc2.weight (10,)",
    ):
        assert problem in str(told.value)


def test_other_number_of_classes_is_told(build):
    with pytest.raises(ValueError, match=r"fc.weight \(10, 32\) becomes \(32, 10\).* \(32, 7\)"):
        build("resnet18", classes=7)


def test_weights_survive_a_file_of_keras(build, tmp_path):
    model = build("resnet18")
    for suffix in (".weights.h5", ".keras"):
        path = tmp_path / f"model{suffix}"
        model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
        again = resnet.build(18, weights=path, width=1 / 16)
        assert again.output_shape == (None, 10)
        x = golden.photos(197, 163)
        np.testing.assert_array_equal(again.predict_on_batch(x), model.predict_on_batch(x))


@pytest.fixture
def kerases():
    """Keras' own MobileNet, with random weights."""
    model = keras.applications.MobileNet(weights=None, classifier_activation=None)
    for layer in model.layers:
        layer.set_weights([drawn(w.path, w.shape) for w in layer.weights])
    return model


def drawn(name, shape):
    """As `golden.drawn`, for a variable of Keras."""
    place, _, name = name.rpartition("/")
    names = {"gamma": "weight", "moving_variance": "running_var"}
    if "depthwise" in place or ("conv_dw" in place and len(shape) == 4):
        return golden.drawn(place, (shape[2], 1, *shape[:2])).transpose(2, 3, 0, 1)
    if len(shape) == 4:
        return golden.drawn(place, (shape[3], shape[2], *shape[:2])).transpose(2, 3, 1, 0)
    return golden.drawn(f"{place}.{names.get(name, name)}", tuple(shape))


def save_as_keras_2(model, path):
    """Writes weights as Keras 2 did, in whose form they are published."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        file.attrs["keras_version"] = b"2.1.0"
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{w.name}:0".encode() for w in layer.weights]
            group.attrs["weight_names"] = names
            for name, array in zip(names, layer.get_weights(), strict=True):
                group[name.decode()] = array


def test_mobilenet_equals_keras_own(kerases, tmp_path):
    save_as_keras_2(kerases, tmp_path / "mobilenet.h5")
    model = mobilenet.build(weights=tmp_path / "mobilenet.h5")
    for size in golden.SIZES:
        x = golden.photos(*size)
        other = keras.applications.MobileNet(
            weights=None, input_shape=(*size, 3), classifier_activation=None
        )
        other.set_weights(kerases.get_weights())
        assert_equal(model.predict_on_batch(x), other.predict_on_batch(x / 127.5 - 1))


def test_vgg_equals_keras_own():
    theirs = keras.applications.VGG16(weights=None, classes=10, include_top=False)
    ours = vgg.backbone(16)
    ours.set_weights(theirs.get_weights())
    x = golden.photos(197, 163)
    standardized = (x / 255 - golden.MEAN) / golden.DEVIATION
    assert_equal(ours.predict_on_batch(x)["c5"], theirs.predict_on_batch(standardized))
