import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import voc

SIZES = {"2007_000032": (7, 9), "2008_000008": (9, 6), "2011_003276": (4, 4)}
SPLITS = {"train": ["2008_000008", "2007_000032"], "val": ["2011_003276"]}
SPLITS["trainval"] = [*SPLITS["val"], *SPLITS["train"]]
PHOTO, FILE = "JPEGImages/2008_000008.jpg", "SegmentationClass/2008_000008.png"
COLOUR = (90, 160, 40)


def official(label):
    """`VOClabelcolormap` of the devkit, line by line."""
    colour = [0, 0, 0]
    for step in range(8):
        for channel in range(3):
            colour[channel] |= (label >> channel & 1) << (7 - step)
        label >>= 3
    return tuple(colour)


COLOURS = [value for label in range(256) for value in official(label)]


def labels(name):
    height, width = SIZES[name]
    found = np.arange(height * width, dtype="uint8").reshape(height, width) % 22
    return np.where(found == 21, np.uint8(255), found)


def save(numbers, path, **options):
    image = Image.fromarray(numbers, "L").convert("P")
    image.putdata(numbers.ravel().tolist())
    image.putpalette(options.pop("palette", COLOURS))
    image.save(path, **options)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "VOCdevkit/VOC2012"
    for folder in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    for split, names in SPLITS.items():
        text = "".join(f"{name}\n" for name in names)
        (root / f"ImageSets/Segmentation/{split}.txt").write_text(text)
    for name, (height, width) in SIZES.items():
        Image.new("RGB", (width, height), COLOUR).save(root / f"JPEGImages/{name}.jpg")
        save(labels(name), root / f"SegmentationClass/{name}.png")
    return root


def read(split, root, **options):
    return list(voc.load(split, root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


@pytest.mark.parametrize("split", SPLITS)
def test_photos_and_labels(root, split):
    raws = read(split, str(root))
    assert names(raws) == [f"JPEGImages/{name}.jpg" for name in SPLITS[split]]
    for raw, name in zip(raws, SPLITS[split], strict=True):
        np.testing.assert_array_equal(raw["label_map"], labels(name))
        assert raw["image"].shape == (*SIZES[name], 3)
        np.testing.assert_allclose(raw["image"][0, 0].astype(int), COLOUR, atol=3)


def test_shapes_types_and_length_are_known(root):
    rows = voc.load("trainval", root)
    assert rows.element_spec == {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "label_map": tf.TensorSpec((None, None), tf.int32),
        "name": tf.TensorSpec((), tf.string),
    }
    assert (len(rows), rows.class_names) == (3, voc.class_names)


def test_colours_are_the_official_ones():
    assert voc.palette[:4] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert voc.palette[15] == (192, 128, 128)
    assert [voc.colour(label) for label in range(256)] == [official(n) for n in range(256)]
    assert len(voc.palette) == len(voc.class_names) == 21
    assert voc.class_names.index("person") == 15


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_any_size_give_their_indices(root, bits):
    numbers = labels("2008_000008") % min(2**bits, 21)
    palette = list(np.random.default_rng(0).integers(0, 256, 3 * 2**bits))
    save(numbers, root / FILE, palette=palette, bits=bits, transparency=0)
    assert (root / FILE).read_bytes()[24:26] == bytes([bits, 3])
    np.testing.assert_array_equal(read("train", root)[0]["label_map"], numbers)


def test_a_row_is_read_without_a_graph_too(root):
    rows = voc.load("train", root)
    raw = rows.read(rows.row(0))
    np.testing.assert_array_equal(raw["label_map"], labels("2008_000008"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_label_maps_without_a_palette(root, dtype):
    Image.fromarray(labels("2008_000008").astype(dtype)).save(root / FILE)
    np.testing.assert_array_equal(read("train", root)[0]["label_map"], labels("2008_000008"))


def coloured(path):
    with Image.open(path) as image:
        image.convert("RGB").save(path)


def transposed(path):
    save(labels("2008_000008").T.copy(), path)


def unknown(path):
    save(labels("2008_000008") + np.uint8(1), path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (coloured, f"{FILE}: expected a label map"),
        (transposed, f"the size of {FILE} is not that of its photo"),
        (unknown, f"numbers that stand for no class in {FILE}.*21"),
        (cut, ""),
    ],
)
def test_a_broken_label_map_is_named_or_left_out(root, damage, message):
    damage(root / FILE)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{PHOTO} cannot be read.*{message}"):
        read("train", root)
    with pytest.warns(UserWarning, match=f"1 of 2 rows .* left out: {PHOTO}"):
        raws = read("train", root, skip_broken=True)
    assert names(raws) == ["JPEGImages/2007_000032.jpg"]


def test_a_broken_photo_is_named_or_left_out(root):
    cut(root / PHOTO)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{PHOTO} cannot be read"):
        read("train", root)
    with pytest.warns(UserWarning, match=f"1 of 2 rows .*: {PHOTO}"):
        assert len(read("train", root, skip_broken=True)) == 1


def test_the_warning_is_of_the_line_that_loads(root):
    cut(root / FILE)
    with pytest.warns(UserWarning, match="left out") as caught:
        voc.load("train", root, skip_broken=True)
    assert caught[0].filename == __file__


HELP = r"(?s:.*official layout.*ImageSets/Segmentation/train\.txt.*host\.robots\.ox\.ac\.uk)"


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'test', expected one of train, val, trainval"):
        voc.load("test", root)


def test_missing_list(root):
    path = root / "ImageSets/Segmentation/val.txt"
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"{path} is missing" + HELP):
        voc.load("val", root)


@pytest.mark.parametrize("levels", [0, 1])
def test_root_too_high(root, levels):
    with pytest.raises(FileNotFoundError, match=f"root is too high, pass '{root}'" + HELP):
        voc.load("train", root.parents[levels])


@pytest.mark.parametrize("file", [PHOTO, FILE])
def test_missing_file(root, file):
    (root / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"{root}: {file} is missing" + HELP):
        voc.load("train", root)


@pytest.mark.parametrize("skip_broken", [False, True])
def test_empty_list(root, skip_broken):
    (root / "ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(FileNotFoundError, match="not one photo" + HELP):
        voc.load("val", root, skip_broken)
