import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision import images
from keras_vision.datasets import folder

NAMES = ["a/1.png", "a/deep/er/2.JPG", "b.bmp", "c.png"]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "photos"
    for number, name in enumerate(NAMES):
        noise = np.random.default_rng(number).integers(0, 256, (5 + number, 7, 3), np.uint8)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(root / name)
    (root / "a/notes.txt").write_text("no picture")
    return root


def read(root, **options):
    return list(folder.unlabelled(root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


def test_all_pictures_however_deep(root):
    raws = read(str(root))
    assert names(raws) == NAMES
    for raw in raws:
        truth = images.read(root / raw["name"].decode()).astype(int)
        np.testing.assert_allclose(raw["image"], truth, atol=2)


def test_bytes(root):
    raws = read(root, decode=False)
    assert names(raws) == NAMES
    assert [raw["image"] for raw in raws] == [(root / name).read_bytes() for name in NAMES]


@pytest.mark.parametrize("decode", [False, True])
def test_shapes_types_and_length_are_known(root, decode):
    rows = folder.unlabelled(root, decode)
    image = tf.TensorSpec((None, None, 3), tf.uint8) if decode else tf.TensorSpec((), tf.string)
    assert rows.element_spec == {"image": image, "name": tf.TensorSpec((), tf.string)}
    assert (len(rows), rows.class_names) == (4, ())


def test_what_is_hidden_is_passed_over(root):
    (root / ".thumbnails").mkdir()
    for name in (".thumbnails/1.png", "a/._1.png"):
        (root / name).write_text("")
    assert names(read(root)) == NAMES


def test_a_folder_is_no_picture(root):
    (root / "holidays.jpg").mkdir()
    (root / "c.png").rename(root / "holidays.jpg/c.png")
    assert names(read(root)) == [*NAMES[:3], "holidays.jpg/c.png"]


def test_the_directory_may_change_between_load_and_reading(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    rows = folder.unlabelled(root.name)
    monkeypatch.chdir("/")
    assert len(list(rows)) == 4


def test_a_broken_picture_is_named(root):
    (root / NAMES[1]).write_bytes(b"")
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{NAMES[1]} cannot be read"):
        read(root)


@pytest.mark.parametrize("decode", [False, True])
def test_broken_pictures_are_left_out_if_asked(root, decode):
    (root / NAMES[1]).write_bytes(b"")
    with pytest.warns(UserWarning, match=f"1 of 4 rows .* left out: {NAMES[1]}") as caught:
        raws = read(root, decode=decode, skip_broken=True)
    assert caught[0].filename == __file__
    assert names(raws) == [NAMES[0], *NAMES[2:]]


def test_nothing_is_warned_of_if_all_is_well(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names(read(root, skip_broken=True)) == NAMES


def test_all_broken(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="1 of 1"),
        pytest.raises(FileNotFoundError, match="not one picture can be read"),
    ):
        folder.unlabelled(tmp_path, skip_broken=True)


@pytest.mark.parametrize("inner", ["", "nowhere"])
def test_no_picture(tmp_path, inner):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match=f"{tmp_path / inner}: not one picture"):
        folder.unlabelled(tmp_path / inner)
