import zipfile

import keras
import numpy as np
import pytest

from keras_vision import weights
from keras_vision.classification import mnist_convnet


def network(*units, outputs=1, name="small"):
    x = inputs = keras.Input((4,))
    for count in units:
        x = keras.layers.Dense(count)(x)
    return keras.Model(inputs, [x] * outputs if outputs > 1 else x, name=name)


@pytest.fixture
def saved(tmp_path):
    """A function that saves a network of these layers, after a step: (path, network)."""

    def save(*units, suffix=".weights.h5"):
        path, model = tmp_path / f"{'_'.join(map(str, units))}{suffix}", network(*units)
        model.compile("adam", "mse")
        model.fit(np.ones((2, 4)), np.ones((2, units[-1])), verbose=0)
        model.save(path) if suffix == ".keras" else model.save_weights(path)
        return path, model

    return save


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_file_that_fits(saved, suffix, outputs):
    path, model = saved(3, 2, suffix=suffix)
    twin = network(3, 2, outputs=outputs)
    weights.load(twin, path)
    for a, b in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ((3,), r"lacks nothing, and has layers/dense_1/vars/0 \(3, 2\), .* beyond"),
        ((3, 2, 5), r"lacks dense\w*/kernel \(2, 5\), dense\w*/bias \(5,\), and has nothing"),
        ((7, 2), r"lacks dense\w*/kernel \(4, 7\), .*, and has layers/dense/vars/0 \(4, 3\)"),
    ],
)
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_file_of_another_network(saved, suffix, units, message):
    path, _ = saved(3, 2, suffix=suffix)
    with pytest.raises(ValueError, match=f"small cannot take these weights. {path} {message}"):
        weights.load(network(*units), path)


def test_the_same_arrays_in_another_order(saved):
    path, _ = saved(4, 4, 2)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match="lacks nothing, and has"):
        weights.load(model, path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x89HDF\r\n\x1a\n" + bytes(100)])
@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras"])
def test_no_weights_at_all(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"small cannot take .*{path} is no whole file of weig"):
        weights.load(network(2), path)


def test_a_zip_without_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match=r"a\.keras is no whole file of weights"):
        weights.load(network(2), tmp_path / "a.keras")


def test_another_kind_of_file(tmp_path):
    with pytest.raises(ValueError, match=r"a\.bin: expected a file of weights, \.keras or \.h5"):
        weights.load(network(2), tmp_path / "a.bin")


def test_an_importer_of_ones_own(tmp_path):
    def ones(model, path):
        model.set_weights([np.ones_like(array) for array in model.get_weights()])

    def broken(model, path):
        raise KeyError("conv1")

    path, model = tmp_path / "a.npy", network(2)
    weights.load(model, path, {".npy": ones})
    assert model.get_weights()[0].all()
    with pytest.raises(ValueError, match=rf"small cannot take these weights\. {path}: 'conv1'"):
        weights.load(model, path, {".npy": broken})


def test_mutated_files(saved):
    """Whatever became of its bytes, a file loads, or is refused by one error with its name."""
    path, _ = saved(3, 2)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refusals = []
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 40)):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data))] if rng.random() < 0.3 else data)
        try:
            weights.load(network(3, 2), path)
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > 50
    assert all(str(path) in told and "\n" not in told for told in refusals)


@pytest.mark.parametrize("name", ["imagenet", "nowhere.keras"])
def test_a_name_that_is_none(name):
    with pytest.raises(FileNotFoundError, match=f"weights='{name}' is neither .*'mnist'"):
        mnist_convnet.build(weights=name)
