from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import isbi

TRAIN = [f"train/image/{number}.png" for number in (0, 2, 9, 10, 11)]
TEST = ["test/3.png", "test/12.png"]
FILE = "train/label/9.png"


def photo(number):
    return np.random.default_rng(number).integers(0, 256, (6, 7), np.uint8)


def cells(number):
    return photo(number) > 127


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "membrane"
    for name in [*TRAIN, *TEST]:
        number = int(Path(name).stem)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(number)).save(path)
        if name in TRAIN:
            (root / "train/label").mkdir(exist_ok=True)
            Image.fromarray(np.uint8(255 * cells(number))).save(root / f"train/label/{path.name}")
    return root


def read(split, root, **options):
    return list(isbi.load(split, root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


def test_train(root):
    raws = read("train", str(root))
    assert names(raws) == TRAIN
    for raw, number in zip(raws, (0, 2, 9, 10, 11), strict=True):
        np.testing.assert_array_equal(raw["image"], np.stack([photo(number)] * 3, -1))
        np.testing.assert_array_equal(raw["label_map"], cells(number))


def test_test_has_no_labels(root):
    raws = read("test", root)
    assert names(raws) == TEST
    assert all(raw.keys() == {"image", "name"} for raw in raws)
    np.testing.assert_array_equal(raws[1]["image"], np.stack([photo(12)] * 3, -1))


def test_shapes_types_and_length_are_known(root):
    rows, test = (isbi.load(split, root) for split in isbi.splits)
    spec = {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "name": tf.TensorSpec((), tf.string),
    }
    assert (len(test), test.element_spec) == (2, spec)
    spec["label_map"] = tf.TensorSpec((None, None), tf.int32)
    assert (len(rows), rows.element_spec) == (5, spec)
    assert rows.class_names == isbi.class_names == ("membrane", "cell")


def coloured(path):
    Image.new("RGB", (7, 6)).save(path)


def transposed(path):
    Image.new("L", (6, 7)).save(path)


def smooth(path):
    Image.new("L", (7, 6), 128).save(path)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (coloured, f"{FILE}: expected a label map"),
        (transposed, f"the size of {FILE} is not that of its photo"),
        (smooth, f"numbers that stand for no class in {FILE}.*128"),
        (empty, ""),
    ],
)
def test_a_broken_label_map_is_named_or_left_out(root, damage, message):
    damage(root / FILE)
    message = f"{TRAIN[2]} cannot be read.*{message}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        read("train", root)
    with pytest.warns(UserWarning, match=f"1 of 5 rows .*: {TRAIN[2]}"):
        raws = read("train", root, skip_broken=True)
    assert names(raws) == TRAIN[:2] + TRAIN[3:]


def test_a_broken_test_picture_is_named_or_left_out(root):
    empty(root / TEST[0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{TEST[0]} cannot be read"):
        read("test", root)
    with pytest.warns(UserWarning, match=f"1 of 2 rows .*: {TEST[0]}"):
        assert names(read("test", root, skip_broken=True)) == TEST[1:]


def test_the_warning_is_of_the_line_that_loads(root):
    empty(root / FILE)
    with pytest.warns(UserWarning, match="left out") as caught:
        isbi.load("train", root, skip_broken=True)
    assert caught[0].filename == __file__


HELP = r"(?s:.*single pictures.*train/image/0\.png.*github\.com/zhixuhao/unet)"


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'val', expected one of train, test"):
        isbi.load("val", root)


@pytest.mark.parametrize(("split", "folder"), [("train", "train/image"), ("test", "test")])
def test_missing_folder(root, split, folder):
    with pytest.raises(FileNotFoundError, match=f"{root.parent}/{folder} is missing" + HELP):
        isbi.load(split, root.parent)


def test_missing_label_map(root):
    (root / FILE).unlink()
    with pytest.raises(FileNotFoundError, match=f"{root}: {FILE} is missing" + HELP):
        isbi.load("train", root)


def test_no_picture_at_all(root):
    for name in TEST:
        (root / name).unlink()
    with pytest.raises(FileNotFoundError, match="not one photo" + HELP):
        isbi.load("test", root)


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "count"), [("train", 20), ("test", 10)])
def test_real_pictures(data_root, split, count):
    raws = read(split, data_root / "membrane")
    assert len(raws) == count
    numbers = [int(Path(name).stem) for name in names(raws)]
    assert numbers == sorted(numbers)
    for raw in raws:
        assert raw["image"].shape == (512, 512, 3)
        assert not np.ptp(raw["image"], axis=-1).any()
        if split == "train":
            assert raw["label_map"].shape == (512, 512)
            assert set(np.unique(raw["label_map"])) == {0, 1}
            inside, outside = (raw["image"][raw["label_map"] == label].mean() for label in (1, 0))
            assert inside > outside + 20
