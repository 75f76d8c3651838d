"""The readers against files written here by the format's description."""

import pickle
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision import images
from keras_vision.datasets import cifar10

COUNT = 6  # pictures in a batch of these tests
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6 * COUNT, 32, 32, 3), np.uint8)
LABELS = RNG.integers(0, 10, 6 * COUNT)


def planes(image):
    """All of red row by row, then green, then blue."""
    return b"".join(image[..., channel].tobytes() for channel in range(3))


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(cifar10, "COUNT", COUNT)


@pytest.fixture
def binary(tmp_path, few):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join(cifar10.class_names))
    records = [bytes([label]) + planes(image) for label, image in zip(LABELS, IMAGES, strict=True)]
    for number, name in enumerate(BATCHES):
        part = records[number * COUNT : (number + 1) * COUNT]
        (folder / f"{name}.bin").write_bytes(b"".join(part))
    return folder


def batch(number, kind=str, data=None):
    part = slice(number * COUNT, (number + 1) * COUNT)
    rows = np.frombuffer(b"".join(map(planes, IMAGES[part])), np.uint8).reshape(COUNT, 3072)
    found = {
        "batch_label": f"training batch {number + 1} of 5",
        "labels": LABELS[part].tolist(),
        "data": rows if data is None else data,
        "filenames": [f"{row}.png" for row in range(COUNT)],
    }
    return {(key.encode() if kind is bytes else key): value for key, value in found.items()}


@pytest.fixture
def python(tmp_path, few):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for number, name in enumerate(BATCHES):
        (folder / name).write_bytes(pickle.dumps(batch(number)))
    return folder


def check(split, root):
    """Every picture and label of a split, in the files' order."""
    part = slice(0, 5 * COUNT) if split == "train" else slice(5 * COUNT, None)
    rows = cifar10.load(split, root)
    raws = list(rows.as_numpy_iterator())
    np.testing.assert_array_equal([raw["image"] for raw in raws], IMAGES[part])
    assert [int(raw["label"]) for raw in raws] == LABELS[part].tolist()
    assert rows.class_names == cifar10.class_names
    assert rows.element_spec == {
        "image": tf.TensorSpec((32, 32, 3), tf.uint8),
        "label": tf.TensorSpec((), tf.int32),
    }


@pytest.mark.parametrize("split", ["train", "test"])
def test_binary_batches(binary, split):
    check(split, binary)
    check(split, str(binary.parent))


def test_a_binary_batch_of_the_official_size(tmp_path):
    data = np.zeros((10_000, 3073), np.uint8)
    data[:, 0] = np.arange(10_000) % 10
    (tmp_path / "test_batch.bin").write_bytes(data.tobytes())
    rows = cifar10.load("test", tmp_path)
    assert len(rows) == 10_000
    assert np.bincount(rows.columns["label"]).tolist() == [1000] * 10


@pytest.mark.parametrize("split", ["train", "test"])
def test_python_batches(python, split):
    check(split, python)
    check(split, python.parent)


@pytest.mark.parametrize("kind", [str, bytes])
@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_any_age(python, protocol, kind):
    content = pickle.dumps(batch(5, kind), protocol)
    contents = [content]
    if protocol < 4:  # later ones tell the lengths of names
        contents.append(content.replace(b"numpy._core", b"numpy.core"))  # as of NumPy 1
        assert contents[0] != contents[1]
    for content in contents:
        (python / "test_batch").write_bytes(content)
        check("test", python)


def test_a_pickle_as_python_2_wrote_it(python):
    """Strings are bytes, the names are old; the official files are of this kind."""

    def string(value):
        return b"U" + bytes([len(value)]) + value

    def long_string(value):
        return b"T" + len(value).to_bytes(4, "little") + value

    whole = batch(5)
    kind = b"cnumpy\ndtype\n" + string(b"u1") + b"K\0K\1\x87R"
    kind += b"(K\3" + string(b"|") + b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\0tb"
    shape = b"K" + bytes([COUNT]) + b"M\0\x0c\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + string(b"b")
    array += b"\x87R(K\1" + shape + kind + b"\x89" + long_string(whole["data"].tobytes()) + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in whole["labels"]) + b"e"
    content = b"\x80\2}(" + string(b"labels") + labels + string(b"data") + array + b"u."
    (python / "test_batch").write_bytes(content)
    check("test", python)


def test_an_array_stored_by_columns(python):
    for protocol in (2, 5):
        content = batch(5, data=np.asfortranarray(batch(5)["data"]))
        (python / "test_batch").write_bytes(pickle.dumps(content, protocol))
        check("test", python)


class Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["open", "exec", "numpy.load", "frombuffer"])
def test_a_pickle_that_would_run_something_is_refused(python, protocol, name):
    mark = python / "mark"
    attack = {
        "open": Attack(open, str(mark), "w"),
        "exec": Attack(exec, f"open({str(mark)!r}, 'w')"),
        "numpy.load": Attack(np.load, str(mark)),
        "frombuffer": Attack(np.frombuffer, b"1"),
    }[name]
    content = pickle.dumps({**batch(5), "more": attack}, protocol)
    (python / "test_batch").write_bytes(content)
    problem = r"test_batch is no whole batch of CIFAR-10: it wants to run \w+"
    with pytest.raises(ValueError, match=problem) as caught:
        cifar10.load("test", python)
    assert name.split(".")[-1] in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"<html>404 not found</html>",
        lambda content: pickle.dumps([1, 2]),
        lambda content: pickle.dumps({"fine_labels": [1]}),
        lambda content: pickle.dumps(batch(0, data=np.zeros((COUNT, 3072), "float32"))),
        lambda content: pickle.dumps(batch(0, data=[0] * COUNT)),
        lambda content: pickle.dumps({**batch(0), "labels": ["cat"] * COUNT}),
    ],
)
def test_damaged_pickles_are_named(python, damage):
    path = python / "data_batch_3"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{path} is no whole batch of CIFAR-10: .+ Get a new"):
        cifar10.load("train", python)


def test_pickles_of_another_length(python):
    path = python / "data_batch_3"
    for change in ({"labels": [1] * (COUNT - 1)}, {"data": np.zeros((COUNT, 3071), np.uint8)}):
        path.write_bytes(pickle.dumps({**batch(2), **change}))
        with pytest.raises(ValueError, match=f"{path}: expected labels of 6 pictures and 3,072"):
            cifar10.load("train", python)


@pytest.mark.parametrize("size", [0, 1, 3073 * COUNT - 1, 3073 * (COUNT - 1), 3073 * COUNT + 1])
def test_a_binary_batch_of_another_size_is_named(binary, size):
    path = binary / "data_batch_4.bin"
    path.write_bytes((path.read_bytes() + b"\0")[:size])
    problem = f"{path}: expected 6 records of 3,073 bytes, got {size:,}"
    with pytest.raises(ValueError, match=re.escape(problem)):
        cifar10.load("train", binary)


def test_labels_that_are_none_of_the_ten(binary, python):
    path = binary / "data_batch_2.bin"
    content = bytearray(path.read_bytes())
    content[2 * 3073] = 10
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path}: expected labels 0\.\.9, got 10"):
        cifar10.load("train", binary)
    path = python / "test_batch"
    path.write_bytes(pickle.dumps({**batch(5), "labels": [0, 1, 2, -1, 4, 5]}))
    with pytest.raises(ValueError, match=rf"{path}: expected labels 0\.\.9, got -1"):
        cifar10.load("test", python)


HELP = r"(?s:.*cifar-10-batches-bin/data_batch_1\.bin.*cifar-10-batches-py.*CIFAR-10-images.*kriz)"


def test_a_missing_batch(binary, python):
    for path in (binary / "data_batch_1.bin", python / "data_batch_5"):
        path.unlink()
        with pytest.raises(FileNotFoundError, match=f"{path} is missing" + HELP):
            cifar10.load("train", path.parent)


def test_wrong_root_and_split(tmp_path):
    with pytest.raises(ValueError, match="no split 'val', expected one of train, test"):
        cifar10.load("val", tmp_path)
    for root in (tmp_path, tmp_path / "gone"):
        with pytest.raises(FileNotFoundError, match=f"{root}: neither batches" + HELP):
            cifar10.load("train", root)


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / "CIFAR-10-images"
    for number, name in enumerate(["truck", "airplane", "cat", "cat"]):
        path = root / "test" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[number]).save(path)
    return root


def test_folders(folders):
    for root in (folders, folders.parent):
        raws = list(cifar10.load("test", root).as_numpy_iterator())
        assert [raw["name"].decode() for raw in raws] == [
            "test/airplane/1.png", "test/cat/2.png", "test/cat/3.png", "test/truck/0.png",
        ]  # fmt: skip
        assert [int(raw["label"]) for raw in raws] == [0, 3, 3, 9]
        np.testing.assert_array_equal([raw["image"] for raw in raws], IMAGES[[1, 2, 3, 0]])
    assert cifar10.load("test", folders).element_spec["image"].shape == (32, 32, 3)


def test_batches_are_found_beside_folders_of_something_else(python):
    (python.parent / "train/n01440764").mkdir(parents=True)
    check("train", python.parent)


def test_folders_that_are_not_as_expected(folders):
    with pytest.raises(FileNotFoundError, match="train is missing" + HELP):
        cifar10.load("train", folders)
    (folders / "test/apple").mkdir()
    with pytest.raises(ValueError, match="test: folders that are no class: apple" + HELP):
        cifar10.load("test", folders)


def test_a_picture_of_another_size(folders):
    Image.new("RGB", (32, 31)).save(folders / "test/cat/2.png")
    problem = "test/cat/2.png cannot be read; skip_broken=True leaves it out. not 32x32"
    with pytest.raises(tf.errors.InvalidArgumentError, match=problem):
        list(cifar10.load("test", folders))
    with pytest.warns(UserWarning, match=r"1 of 4 rows.*test/cat/2\.png"):
        assert len(cifar10.load("test", folders, skip_broken=True)) == 3


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "count"), [("train", 1000), ("test", 500)])
def test_real_folders(data_root, split, count):
    rows = cifar10.load(split, data_root)
    assert np.bincount(rows.columns["label"]).tolist() == [count] * 10
    for raw in rows.select(slice(0, None, 10 * count // 40)).as_numpy_iterator():
        path = data_root / "CIFAR-10-images" / raw["name"].decode()
        assert path.parent.name == cifar10.class_names[raw["label"]]
        np.testing.assert_allclose(raw["image"], images.read(path).astype(int), atol=1)
