"""The readers against files written here by the format's description."""

import gzip
import struct

import keras
import numpy as np
import pytest

from keras_vision.datasets import mnist

X = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
Y = np.uint8([5, 0, 4, 1, 9])


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "COUNTS", {"train": 5, "test": 3})
    for prefix, x, y in (("train", X, Y), ("t10k", X[:3], Y[:3])):
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx(x))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(y))
    return tmp_path


def save(path, **changes):
    arrays = {"x_train": X, "y_train": Y, "x_test": X[:3], "y_test": Y[:3], **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def listed(dataset):
    raws = list(dataset.as_numpy_iterator())
    return np.stack([raw["image"] for raw in raws]), [int(raw["label"]) for raw in raws]


def test_built_in_subset():
    for split, count in (("train", 6000), ("test", 1000)):
        digits = mnist.load(split, mnist.SUBSET)
        assert len(digits) == count
        assert digits.element_spec["image"].shape == (28, 28, 1)
        labels = listed(digits)[1]
        assert np.bincount(labels, minlength=10).min() > 0.08 * count
    assert mnist.SUBSET.stat().st_size < 1.2e6


def test_idx_files_plain_zipped_and_renamed(folder):
    images, labels = listed(mnist.load("test", folder))
    np.testing.assert_array_equal(images[..., 0], X[:3])
    assert labels == [5, 0, 4]
    for path in list(folder.iterdir()):
        packed = folder / (path.name.replace("-idx", ".idx") + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    images, labels = listed(mnist.load("train", folder))
    np.testing.assert_array_equal(images[..., 0], X)
    assert labels == list(Y)


def test_npz(tmp_path):
    path = save(tmp_path / "mnist.npz")
    images, labels = listed(mnist.load("test", path))
    np.testing.assert_array_equal(images[..., 0], X[:3])
    assert labels == [5, 0, 4]


def test_without_a_root_keras_fetches(monkeypatch):
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: ((X, Y), (X[:3], Y[:3])))
    assert len(mnist.load("test")) == 3

    def fails():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fails)
    with pytest.raises(OSError, match=r"could not be fetched \(URL fetch failure\)"):
        mnist.load("test")


def test_swapped_files_are_named(folder):
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    first, second = images.read_bytes(), labels.read_bytes()
    images.write_bytes(second)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte: expected uint8 images"):
        mnist.load("train", folder)
    images.write_bytes(first)
    labels.write_bytes((folder / "t10k-labels-idx1-ubyte").read_bytes())
    with pytest.raises(
        ValueError, match=r"train-labels.* has 3 labels, but the train split has 5"
    ):
        mnist.load("train", folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x03\0",
        idx(X)[:-1],
        b"<html>",
        idx(X) + b"\0",
        b"\0\0\x08" + 999 * b"\x7f",
    ],
)
def test_broken_idx_is_named(folder, content):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte: expected an idx file"):
        mnist.load("test", folder)
    packed = gzip.compress(idx(X[:3]))
    path.unlink()
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(packed[:-9])
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte\.gz cannot be read"):
        mnist.load("test", folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, r"has no whole array 'x_train'"),
        ({"x_train": X.astype("float32") / 255}, "expected uint8 images .* got float32"),
        ({"x_train": X[:, :20]}, r"got uint8 of shape \(5, 20, 28\)"),
        ({"y_train": Y[:4]}, r"has 5 images, but .* has 4 labels"),
        ({"y_train": Y + np.uint8(1)}, r"\['y_train'\]: expected labels 0\.\.9, got up to 10"),
        ({"x_train": Y, "y_train": X}, r"\['x_train'\]: expected uint8 images"),
    ],
)
def test_wrong_npz_is_named(tmp_path, changes, message):
    path = save(tmp_path / "mnist.npz", **changes)
    with pytest.raises(ValueError, match=message):
        mnist.load("train", path)


def test_cut_npz_is_named(tmp_path):
    path = save(tmp_path / "mnist.npz")
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:1000])
    with pytest.raises(ValueError, match=r"mnist\.npz has no whole array"):
        mnist.load("train", path)
    content[1000] ^= 255  # a flipped byte within the images: zip's checksum tells
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mnist\.npz has no whole array"):
        mnist.load("train", path)


def test_what_is_no_archive_is_named(tmp_path):
    np.save(tmp_path / "mnist.npy", X)
    with pytest.raises(ValueError, match=r"mnist\.npy has no whole array"):
        mnist.load("train", tmp_path / "mnist.npy")


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is missing[\s\S]*train-images-idx3"):
        mnist.load("train", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte is missing"):
        mnist.load("train", tmp_path)
    with pytest.raises(ValueError, match="no split 'val', expected one of train, test"):
        mnist.load("val", tmp_path)


@pytest.mark.realdata
def test_full_set(data_root):
    train, test = (mnist.arrays(split, data_root / "mnist.npz") for split in ("train", "test"))
    assert [len(images) for images, _ in (train, test)] == [60_000, 10_000]
    assert train[1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    np.testing.assert_array_equal(mnist.arrays("test", mnist.SUBSET)[0], test[0][::10])
