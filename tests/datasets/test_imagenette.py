import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import imagenet, imagenette

COLOURS = [(25 * number, 250 - 25 * number, 100) for number in range(10)]


@pytest.fixture
def root(tmp_path):
    """One train picture a class, two val pictures; its folders are made in a mixed-up order."""
    root = tmp_path / "imagenette2-160"
    for label in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7):
        folder = root / "train" / imagenette.wnids[label]
        folder.mkdir(parents=True)
        Image.new("RGB", (200, 160), COLOURS[label]).save(folder / f"{label}.JPEG")
    for label in (9, 2):
        folder = root / "val" / imagenette.wnids[label]
        folder.mkdir(parents=True)
        Image.new("L", (160, 213), 25 * label).save(folder / "1.JPEG")
    return root


def test_train(root):
    rows = imagenette.load("train", root)
    raws = list(rows.as_numpy_iterator())
    assert (len(rows), rows.class_names) == (10, imagenette.class_names)
    assert [int(raw["label"]) for raw in raws] == list(range(10))
    assert raws[3]["name"] == b"train/n03000684/3.JPEG"
    assert raws[3]["image"].shape == (160, 200, 3)
    np.testing.assert_allclose([raw["image"][0, 0] for raw in raws], COLOURS, atol=3)


def test_val_of_some_classes(root):
    raws = list(imagenette.load("val", str(root)).as_numpy_iterator())
    assert [int(raw["label"]) for raw in raws] == [2, 9]
    np.testing.assert_allclose([raw["image"][0, 0] for raw in raws], [(50,) * 3, (225,) * 3])


def test_the_names_are_those_of_imagenet():
    assert list(imagenette.wnids) == sorted(imagenette.wnids)
    words = dict(zip(imagenet.wnids, imagenet.class_names, strict=True))
    for wnid, name in zip(imagenette.wnids, imagenette.class_names, strict=True):
        assert name in words[wnid].split(", ")


def test_bytes(root):
    raws = list(imagenette.load("val", root, decode=False).as_numpy_iterator())
    assert raws[0]["image"] == (root / raws[0]["name"].decode()).read_bytes()


HELP = r"(?s:.*official layout.*val/<wnid>/\*\.JPEG.*imagenette)"


def test_wrong_roots(root):
    with pytest.raises(ValueError, match="no split 'test', expected one of train, val"):
        imagenette.load("test", root)
    with pytest.raises(FileNotFoundError, match=f"one level too high, pass '{root}'" + HELP):
        imagenette.load("train", root.parent)
    with pytest.raises(FileNotFoundError, match="val is missing" + HELP):
        imagenette.load("val", root / "val")


def test_a_class_of_imagenet_that_is_not_among_the_ten(root):
    (root / "val/n01443537").mkdir()
    with pytest.raises(ValueError, match="val: folders that are no class: n01443537" + HELP):
        imagenette.load("val", root)


def test_broken_pictures(root):
    name = "train/n03028079/4.JPEG"
    (root / name).write_bytes((root / name).read_bytes()[:-30])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} cannot be read"):
        list(imagenette.load("train", root))
    with pytest.warns(UserWarning, match=f"1 of 10 rows.*{name}"):
        rows = imagenette.load("train", root, skip_broken=True)
    labels = [int(raw["label"]) for raw in rows.as_numpy_iterator()]
    assert labels == [0, 1, 2, 3, 5, 6, 7, 8, 9]
