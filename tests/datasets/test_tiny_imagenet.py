import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import tiny_imagenet

# Neither sorted nor in the order of the words: labels are lines of wnids.txt and nothing else.
WNIDS = ["n02124075", "n01443537", "n04540053"]
WORDS = ["Egyptian cat", "goldfish, Carassius auratus", "volleyball"]
RED, GREEN, BLUE, GREY = (250, 10, 20), (10, 240, 30), (20, 30, 230), 99
TRAIN = "train/n01443537/images/n01443537_0.JPEG"
TRAIN_BOXES = "train/n01443537/n01443537_boxes.txt"
VAL_BOXES = "val/val_annotations.txt"


def picture(path, colour=RED, size=(64, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "L" if isinstance(colour, int) else "RGB"
    Image.new(mode, size, colour).save(path, "JPEG", quality=95)


@pytest.fixture
def root(tmp_path):
    """Three classes: 2 + 2 + 1 train pictures, 3 val, 2 test; known colours and boxes."""
    root = tmp_path / "tiny-imagenet-200"
    for wnid, colours in zip(WNIDS, [(RED, GREEN), (BLUE, GREY), (GREEN,)], strict=True):
        for i, colour in enumerate(colours):
            picture(root / f"train/{wnid}/images/{wnid}_{i}.JPEG", colour)
        lines = [f"{wnid}_{i}.JPEG\t{i}\t0\t{i + 40}\t63\n" for i in range(len(colours))]
        (root / f"train/{wnid}/{wnid}_boxes.txt").write_text("".join(reversed(lines)))
    for i, colour in enumerate([BLUE, RED, GREY]):
        picture(root / f"val/images/val_{i}.JPEG", colour)
    lines = [f"val_{i}.JPEG\t{WNIDS[2 - i]}\t0\t{i}\t63\t{i}\n" for i in (2, 0, 1)]
    (root / VAL_BOXES).write_text("".join(lines))
    for i, colour in enumerate([GREEN, BLUE]):
        picture(root / f"test/images/test_{i}.JPEG", colour)
    (root / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in WNIDS))
    words = zip([*WNIDS, "n00001740"], [*WORDS, "entity"], strict=True)
    (root / "words.txt").write_text("".join(f"{wnid}\t{word}\n" for wnid, word in sorted(words)))
    return root


def read(split, root, **options):
    return list(tiny_imagenet.load(split, root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


def colours(raws):
    for raw in raws:
        assert np.ptp(raw["image"].astype(int), axis=(0, 1)).max() == 0
    return np.stack([raw["image"][0, 0] for raw in raws])


def rewrite(root, name, old, new):
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def test_train(root):
    raws = read("train", root)
    assert names(raws) == [
        "train/n01443537/images/n01443537_0.JPEG",
        "train/n01443537/images/n01443537_1.JPEG",
        "train/n02124075/images/n02124075_0.JPEG",
        "train/n02124075/images/n02124075_1.JPEG",
        "train/n04540053/images/n04540053_0.JPEG",
    ]
    assert [int(raw["label"]) for raw in raws] == [1, 1, 0, 0, 2]
    # The pixels 0..40 inside reach from the left edge of 0 to the right edge of 40: 41.
    boxes = [[0, 0, 41, 64], [1, 0, 42, 64], [0, 0, 41, 64], [1, 0, 42, 64], [0, 0, 41, 64]]
    np.testing.assert_array_equal([raw["box"] for raw in raws], boxes)
    np.testing.assert_allclose(colours(raws), [BLUE, (GREY,) * 3, RED, GREEN, GREEN], atol=3)


def test_val(root):
    raws = read("val", root)
    assert names(raws) == [f"val/images/val_{i}.JPEG" for i in range(3)]
    assert [int(raw["label"]) for raw in raws] == [2, 1, 0]
    boxes = [[0, 0, 64, 1], [0, 1, 64, 2], [0, 2, 64, 3]]
    np.testing.assert_array_equal([raw["box"] for raw in raws], boxes)
    np.testing.assert_allclose(colours(raws), [BLUE, RED, (GREY,) * 3], atol=3)


def test_test_has_neither_labels_nor_boxes(root):
    raws = read("test", str(root))
    assert names(raws) == ["test/images/test_0.JPEG", "test/images/test_1.JPEG"]
    assert [int(raw["label"]) for raw in raws] == [-1, -1]
    np.testing.assert_array_equal([raw["box"] for raw in raws], [[0, 0, 64, 64]] * 2)
    np.testing.assert_allclose(colours(raws), [GREEN, BLUE], atol=3)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_are_those_of_pillow(root, mode):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(root / TRAIN, "JPEG", quality=50)
    with Image.open(root / TRAIN) as image:
        truth = np.asarray(image.convert("RGB")).astype(int)
    np.testing.assert_allclose(read("train", root)[0]["image"], truth, atol=1)


def test_classes(root):
    assert tiny_imagenet.wnids(root) == WNIDS
    assert tiny_imagenet.load("val", str(root)).class_names == tuple(WORDS)


def test_shapes_types_and_length_are_known(root):
    dataset = tiny_imagenet.load("train", root)
    assert len(dataset) == 5
    assert dataset.element_spec == {
        "image": tf.TensorSpec((64, 64, 3), tf.uint8),
        "label": tf.TensorSpec((), tf.int32),
        "box": tf.TensorSpec((4,), tf.float32),
        "name": tf.TensorSpec((), tf.string),
    }
    assert len(list(dataset.shuffle(3).repeat(2).batch(4, drop_remainder=True))) == 2


def test_the_directory_may_change_between_load_and_reading(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    dataset = tiny_imagenet.load("test", root.name)
    monkeypatch.chdir("/")
    assert len(list(dataset)) == 2


def test_what_is_no_picture_is_passed_over(root):
    (root / "test/images/Thumbs.db").write_text("")
    (root / "train/.DS_Store").write_text("")
    assert (len(read("test", root)), len(read("train", root))) == (2, 5)


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'valid', expected one of train, val, test"):
        tiny_imagenet.load("valid", root)


HELP = r"(?s:.*official layout.*train/<wnid>/images.*scripts/download_tiny_imagenet\.py)"


def test_wrong_root(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"wnids\.txt is missing" + HELP):
        tiny_imagenet.load("train", tmp_path)


def test_root_one_level_too_high(root):
    with pytest.raises(FileNotFoundError, match=f"one level too high, pass '{root}'" + HELP):
        tiny_imagenet.load("train", root.parent)


@pytest.mark.parametrize(
    ("split", "gone"),
    [
        ("train", "train"),
        ("train", "train/n01443537/images"),
        ("train", TRAIN_BOXES),
        ("val", VAL_BOXES),
        ("val", "val/images"),
        ("test", "test/images"),
    ],
)
def test_missing_folder_or_file(root, split, gone):
    (root / gone).rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"{root / gone} is missing" + HELP):
        tiny_imagenet.load(split, root)


def test_no_picture_at_all(root):
    shutil.rmtree(root / "test/images")
    (root / "test/images").mkdir()
    with pytest.raises(FileNotFoundError, match=r"test: not one picture \*\.JPEG" + HELP):
        tiny_imagenet.load("test", root)


def test_class_without_words(root):
    rewrite(root, "words.txt", "n01443537", "n01443538")
    with pytest.raises(ValueError, match=r"words\.txt: no words for .*: n01443537" + HELP):
        tiny_imagenet.load("val", root)


@pytest.mark.parametrize(
    ("split", "file", "old", "new", "problem"),
    [
        ("train", "wnids.txt", "n01443537\n", "", "3 class folders, but 2 .* lacks: n01443537"),
        ("val", "wnids.txt", "n01443537\n", "", r"val_annotations\.txt.* lacks: n01443537"),
        (
            "train",
            "wnids.txt",
            "n02124075\n",
            "n02124075\nn00000001\n",
            "3 class folders, but 4 .* without a folder: n00000001",
        ),
        ("train", "wnids.txt", "n02124075", "n01443537", r"wnids\.txt: listed twice: n01443537"),
        ("train", TRAIN_BOXES, "n01443537_0.J", "n01443537_9.J", "without a picture.*_9.JPEG"),
        ("train", TRAIN_BOXES, "n01443537_0.J", "n01443537_1.J", "twice: n01443537_1.JPEG"),
        ("train", TRAIN_BOXES, "n01443537_0.JPEG\t0\t0\t40\t63\n", "", "without a line.*_0.JPEG"),
        ("val", VAL_BOXES, "val_1.JPEG", "val_7.JPEG", r"without a picture.*: val_7\.JPEG"),
        ("val", VAL_BOXES, "val_1.JPEG\tn01443537\t0\t1\t63\t1\n", "", "without a line.*_1.JPEG"),
        ("val", VAL_BOXES, "n01443537", "n00000001", r"wnids\.txt lacks: n00000001"),
    ],
)
def test_lists_and_folders_that_disagree(root, split, file, old, new, problem):
    rewrite(root, file, old, new)
    with pytest.raises(ValueError, match=problem + HELP):
        tiny_imagenet.load(split, root)


@pytest.mark.parametrize(
    ("split", "file", "line", "old", "new"),
    [
        ("train", "wnids.txt", 2, "n01443537", "n01443537\tgoldfish"),
        ("train", "wnids.txt", 2, "n01443537", ""),
        ("train", TRAIN_BOXES, 2, "0\t0\t40\t63", "0\t0\t40"),
        ("train", TRAIN_BOXES, 2, "0\t0\t40\t63", "0\t0\t40\t63\t63"),
        ("train", TRAIN_BOXES, 2, "0\t0\t40\t63", "0\t0\t40\tbottom"),
        ("train", TRAIN_BOXES, 2, "0\t0\t40\t63", "0\t0\tnan\t63"),
        ("train", TRAIN_BOXES, 2, "0\t0\t40\t63", "40\t0\t0\t63"),
        ("train", TRAIN_BOXES, 2, "0\t0\t40\t63", "0\t63\t40\t0"),
        ("train", TRAIN_BOXES, 2, "0\t0\t40\t63", "0\t0\t64\t63"),
        ("train", TRAIN_BOXES, 2, "0\t0\t40\t63", "-1\t0\t40\t63"),
        ("val", VAL_BOXES, 1, "val_2.JPEG\tn02124075", "val_2.JPEG"),
        ("val", VAL_BOXES, 1, "val_2.JPEG\tn02124075", "val_2.JPEG n02124075"),
    ],
)
def test_malformed_lines(root, split, file, line, old, new):
    rewrite(root, file, old, new)
    with pytest.raises(ValueError, match=f"{root / file}, line {line}: expected .*" + HELP):
        tiny_imagenet.load(split, root)


def test_malformed_words(root):
    rewrite(root, "words.txt", "\tvolleyball", " volleyball")
    with pytest.raises(ValueError, match=r"words\.txt, line 4: expected wnid words" + HELP):
        tiny_imagenet.load("val", root)


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def empty(path):
    path.write_bytes(b"")


def scrambled(path):
    data = path.read_bytes()
    path.write_bytes(data[:150] + bytes(100) + data[250:])


def page(path):
    path.write_text("<html>404 not found</html>")


BREAKS = [cut, empty, scrambled, page, Path.unlink]


@pytest.mark.parametrize("damage", BREAKS)
@pytest.mark.parametrize("position", [0, 1, 4], ids=["first", "middle", "last"])
def test_a_broken_picture_is_named_when_its_turn_comes(root, damage, position):
    dataset = tiny_imagenet.load("train", root)
    name = names(dataset.as_numpy_iterator())[position]
    damage(root / name)
    raws = iter(dataset)
    for _ in range(position):
        next(raws)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} cannot be read"):
        next(raws)


@pytest.mark.parametrize("size", [(64, 63), (63, 64), (128, 128), (1, 1)])
def test_a_picture_of_another_size_is_named(root, size):
    picture(root / TRAIN, size=size)
    shape = rf"\[{size[1]} +{size[0]} +3\]"
    message = f"{TRAIN} cannot be read; skip_broken=True leaves it out. not 64x64.*{shape}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        read("train", root)


def test_broken_pictures_are_left_out_if_asked(root):
    expected = read("train", root)
    broken = ["train/n01443537/images/n01443537_1.JPEG", "train/n04540053/images/n04540053_0.JPEG"]
    cut(root / broken[0])
    picture(root / broken[1], size=(64, 32))
    with pytest.warns(UserWarning, match="2 of 5 rows") as caught:
        dataset = tiny_imagenet.load("train", root, skip_broken=True)
    assert all(name in str(caught[0].message) for name in broken)
    assert caught[0].filename == __file__
    assert len(dataset) == 3
    kept = [raw for raw in expected if raw["name"].decode() not in broken]
    np.testing.assert_equal(list(dataset.as_numpy_iterator()), kept)


def test_nothing_is_warned_of_if_all_is_well(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names(read("val", root, skip_broken=True)) == names(read("val", root))


def test_all_broken(root):
    for path in (root / "test/images").iterdir():
        empty(path)
    with (
        pytest.warns(UserWarning, match="2 of 2"),
        pytest.raises(FileNotFoundError, match="not one picture"),
    ):
        tiny_imagenet.load("test", root, skip_broken=True)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_no_cut_picture_slips_through_half_grey(root, mode):
    """Cut anywhere, or filled up with zeros as an interrupted copy leaves it."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = root / "test/images/whole.JPEG"
    Image.fromarray(noise).convert(mode).save(whole, "JPEG", quality=80)
    data = whole.read_bytes()
    for end in [*range(0, len(data) - 9, 97), *range(len(data) - 9, len(data))]:
        (root / f"test/images/cut_{end}.JPEG").write_bytes(data[:end])
        if end < len(data) - 2:  # the last two bytes mark the end
            zeros = data[:end] + bytes(len(data) - end)
            (root / f"test/images/zeros_{end}.JPEG").write_bytes(zeros)
    with pytest.warns(UserWarning, match="are left out"):
        raws = read("test", root, skip_broken=True)
    assert names(raws) == [f"test/images/{stem}.JPEG" for stem in ("test_0", "test_1", "whole")]


@pytest.fixture
def real(data_root):
    return data_root / "tiny-imagenet-200"


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "count"), [("train", 20000), ("val", 2000), ("test", 200)])
def test_real_counts(real, split, count):
    dataset = tiny_imagenet.load(split, real)
    assert len(dataset) == count
    assert len(np.unique(dataset.columns["label"])) == (1 if split == "test" else 200)


@pytest.mark.realdata
def test_real_classes(real):
    words = tiny_imagenet.class_names
    assert len(words) == len(set(tiny_imagenet.wnids(real))) == 200
    assert words[:3] == ("Egyptian cat", "reel", "volleyball")
    assert words == tiny_imagenet.load("test", real).class_names


@pytest.mark.realdata
def test_real_val_agrees_with_its_annotations(real):
    lines = [line.split() for line in (real / VAL_BOXES).read_text().splitlines()]
    truth = {line[0]: line[1:] for line in lines}
    ids = (real / "wnids.txt").read_text().split()
    raws = read("val", real)
    assert len(raws) == len(truth)
    for raw in raws:
        wnid, *box = truth[Path(raw["name"].decode()).name]
        assert ids[raw["label"]] == wnid
        x1, y1, x2, y2 = map(int, box)
        np.testing.assert_array_equal(raw["box"], [x1, y1, x2 + 1, y2 + 1])


def some(split, root, count):
    """As many raw dicts from all over the split."""
    rows = tiny_imagenet.load(split, root)
    chosen = np.random.default_rng(0).choice(len(rows), count, replace=False)
    return rows.select(chosen).as_numpy_iterator()


@pytest.mark.realdata
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_real_pixels_are_those_of_pillow(real, split):
    grey = 0
    for raw in some(split, real, 200):
        with Image.open(real / raw["name"].decode()) as image:
            grey += image.mode == "L"
            truth = np.asarray(image.convert("RGB")).astype(int)
        np.testing.assert_allclose(raw["image"], truth, atol=2)
    assert grey > 0


@pytest.mark.realdata
def test_real_train_agrees_with_its_folders(real):
    ids = tiny_imagenet.wnids(real)
    for raw in some("train", real, 300):
        path = real / raw["name"].decode()
        wnid = path.name.split("_")[0]
        assert ids[raw["label"]] == wnid
        x1, y1, x2, y2 = raw["box"].astype(int) - [0, 0, 1, 1]
        boxes = (real / "train" / wnid / f"{wnid}_boxes.txt").read_text().splitlines()
        assert f"{path.name}\t{x1}\t{y1}\t{x2}\t{y2}" in boxes
