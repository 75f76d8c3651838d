import shutil
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import davis
from keras_vision.pipeline import BatchData

SIZE = (6, 8)
# Not sorted: sequences come as the lists have them. "car" is in no list.
FRAMES = {"dog-agility": 3, "bear": 2, "soapbox": 4, "car": 1}
LISTS = {"train": ["dog-agility", "bear"], "val": ["soapbox"]}
# 0 background, 1..9 the objects, 255 void.
NUMBERS = np.uint8([0, 0, 1, 2, 3, 0, 255, 9, 1, 0, 2])


def palette():
    """The colours of DAVIS, which are VOC's: the bits of a number go to red, green and blue."""
    colours = np.zeros((256, 3), int)
    for number in range(256):
        for bit in range(8):
            colours[number, bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return colours.astype("uint8").ravel().tolist()


def annotation(number, size=SIZE):
    return np.resize(np.roll(NUMBERS, number), size)


def photo(path, number, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(noise).save(path, quality=95)


def annotated(path, numbers):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(numbers, "P")
    image.putpalette(palette())
    image.save(path)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "DAVIS"
    for sequence, count in FRAMES.items():
        for number in range(count):
            photo(root / f"JPEGImages/480p/{sequence}/{number:05d}.jpg", number)
            path = root / f"Annotations/480p/{sequence}/{number:05d}.png"
            annotated(path, annotation(number))
    (root / "ImageSets/2017").mkdir(parents=True)
    for split, names in LISTS.items():
        (root / f"ImageSets/2017/{split}.txt").write_text("".join(f"{n}\n" for n in names))
    return root


def read(split, root, **options):
    return list(davis.load(split, root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


TRAIN = [
    f"JPEGImages/480p/{name}/{number:05d}.jpg"
    for name in LISTS["train"]
    for number in range(FRAMES[name])
]
PHOTO, FILE = TRAIN[1], "Annotations/480p/dog-agility/00001.png"


def test_frames_in_the_order_of_the_list(root):
    raws = read("train", str(root))
    assert names(raws) == TRAIN
    assert [raw["sequence"] for raw in raws] == [b"dog-agility"] * 3 + [b"bear"] * 2
    assert [int(raw["frame"]) for raw in raws] == [0, 1, 2, 0, 1]
    names_of_val = davis.load("val", root).columns["name"].numpy().tolist()
    assert names_of_val == [f"JPEGImages/480p/soapbox/0000{n}.jpg".encode() for n in range(4)]


def test_frames_in_the_order_of_their_numbers(root):
    """Whatever zeros are before them."""
    for path in [*root.rglob("soapbox/*.jpg"), *root.rglob("soapbox/*.png")]:
        path.rename(path.with_stem(str(int(path.stem) + 8)))
    assert davis.load("val", root).columns["frame"].numpy().tolist() == [8, 9, 10, 11]


def test_pixels_are_those_that_pillow_reads(root):
    for raw in read("train", root):
        name = raw["name"].decode()
        with Image.open(root / name) as image:
            truth = np.asarray(image).astype(int)
        np.testing.assert_allclose(raw["image"], truth, atol=1)
        other = name.replace("JPEGImages", "Annotations").replace("jpg", "png")
        with Image.open(root / other) as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(raw["label_map"], np.asarray(image))
        np.testing.assert_array_equal(raw["label_map"], annotation(int(raw["frame"])))
    assert raw["label_map"].max() == 255


def test_the_palette_is_that_of_davis():
    assert palette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    assert palette()[-3:] == [224, 224, 192]


def test_palettes_of_few_colours_have_few_bits(root):
    numbers = annotation(0) % 4
    image = Image.fromarray(numbers, "P")
    image.putpalette(palette()[:12])
    image.save(root / FILE, bits=2)
    assert (root / FILE).read_bytes()[24] == 2
    np.testing.assert_array_equal(read("train", root)[1]["label_map"], numbers)


def test_shapes_types_and_length_are_known(root):
    rows = davis.load("train", root)
    assert rows.element_spec == {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "label_map": tf.TensorSpec((None, None), tf.int32),
        "sequence": tf.TensorSpec((), tf.string),
        "frame": tf.TensorSpec((), tf.int32),
        "name": tf.TensorSpec((), tf.string),
    }
    assert (len(rows), rows.class_names, davis.class_names) == (5, (), ())


def test_sequences(root):
    rows = davis.load("train", root)
    found = davis.sequences(rows)
    assert list(found.items()) == [("dog-agility", slice(0, 3)), ("bear", slice(3, 5))]
    film = rows.select(found["bear"])
    assert names(film.as_numpy_iterator()) == TRAIN[3:]
    assert davis.sequences(film) == {"bear": slice(0, 2)}
    assert davis.sequences(rows.select([])) == {}


def test_sequences_of_shuffled_rows(root):
    rows = davis.load("train", root).select([0, 3, 1])
    with pytest.raises(ValueError, match="rows of dog-agility do not follow one another"):
        davis.sequences(rows)


def test_another_resolution(root):
    photo(root / "JPEGImages/Full-Resolution/soapbox/00007.jpg", 7, (12, 16))
    path = root / "Annotations/Full-Resolution/soapbox/00007.png"
    annotated(path, annotation(7, (12, 16)))
    (raw,) = read("val", root, resolution="Full-Resolution")
    assert (raw["name"], raw["frame"]) == (b"JPEGImages/Full-Resolution/soapbox/00007.jpg", 7)
    np.testing.assert_array_equal(raw["label_map"], annotation(7, (12, 16)))


def test_shuffled_batches(root):
    def example(raw):
        return tf.ensure_shape(raw["image"], (*SIZE, 3)), (raw["label_map"], raw["frame"])

    batches = iter(BatchData(davis.load("train", root), 5, example=example)(seed=1))
    orders = set()
    for _ in range(5):
        x, (label_maps, frames) = next(batches)
        assert (x.shape, sorted(frames.numpy().tolist())) == ((5, *SIZE, 3), [0, 0, 1, 1, 2])
        for label_map, frame in zip(label_maps, frames.numpy(), strict=True):
            np.testing.assert_array_equal(label_map, annotation(frame))
        orders.add(tuple(frames.numpy()))
    assert len(orders) > 1


def test_the_directory_may_change_between_load_and_reading(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    rows = davis.load("val", root.name)
    monkeypatch.chdir("/")
    assert len(list(rows)) == 4


HELP = r"(?s:.*layout of DAVIS 2017.*ImageSets/2017/train\.txt.*davischallenge\.org)"


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'test', expected one of train, val"):
        davis.load("test", root)


def test_root_one_level_too_high(root):
    with pytest.raises(FileNotFoundError, match=f"one level too high, pass '{root}'" + HELP):
        davis.load("train", root.parent)


@pytest.mark.parametrize(
    "part", ["JPEGImages/480p", "Annotations/480p", "ImageSets/2017", "ImageSets/2017/val.txt"]
)
def test_missing_part(root, part):
    (root / part).rename(root / "elsewhere")
    looked_for = part if part != "ImageSets/2017" else f"{part}/val.txt"
    with pytest.raises(FileNotFoundError, match=f"{root}/{looked_for} is missing\n" + HELP):
        davis.load("val", root)


def test_missing_resolution(root):
    with pytest.raises(FileNotFoundError, match="JPEGImages/1080p is missing" + HELP):
        davis.load("val", root, "1080p")


def test_the_lists_of_2016(root):
    (root / "ImageSets/2017").rename(root / "ImageSets/480p")
    problem = r"2017/train\.txt is missing: there is a list of DAVIS 2016"
    with pytest.raises(FileNotFoundError, match=problem + HELP):
        davis.load("train", root)


@pytest.mark.parametrize("skip_broken", [False, True])
@pytest.mark.parametrize(
    "change", [shutil.rmtree, lambda path: [f.unlink() for f in path.iterdir()]]
)
def test_a_sequence_without_photos(root, change, skip_broken):
    change(root / "JPEGImages/480p/bear")
    problem = r"no folder of photos for bear, listed in ImageSets/2017/train\.txt"
    with pytest.raises(FileNotFoundError, match=problem + HELP):
        davis.load("train", root, skip_broken=skip_broken)
    assert len(davis.load("val", root)) == 4


def test_a_sequence_that_is_listed_twice(root):
    with (root / "ImageSets/2017/train.txt").open("a") as file:
        file.write("dog-agility\n")
    with pytest.raises(ValueError, match=r"train\.txt: listed twice: dog-agility" + HELP):
        davis.load("train", root)


@pytest.mark.parametrize("skip_broken", [False, True])
def test_an_empty_list(root, skip_broken):
    (root / "ImageSets/2017/val.txt").write_text("\n")
    with pytest.raises(FileNotFoundError, match="not one photo with its label map" + HELP):
        davis.load("val", root, skip_broken=skip_broken)


def test_a_photo_without_a_number(root):
    photo(root / "JPEGImages/480p/bear/cover.jpg", 0)
    with pytest.raises(ValueError, match=r"the frame's number: bear/cover\.jpg" + HELP):
        davis.load("train", root)


def test_a_frame_without_annotation(root):
    (root / FILE).unlink()
    with pytest.raises(FileNotFoundError, match=f"{root}: {FILE} is missing" + HELP):
        davis.load("train", root)
    with pytest.warns(UserWarning, match=f"1 of 5 rows .* left out: {PHOTO}") as caught:
        rows = davis.load("train", root, skip_broken=True)
    assert caught[0].filename == __file__
    assert [int(raw["frame"]) for raw in rows] == [0, 2, 0, 1]
    assert davis.sequences(rows) == {"dog-agility": slice(0, 2), "bear": slice(2, 4)}


def larger(path):
    annotated(path, annotation(0, (7, 8)))


def colours(path):
    Image.fromarray(annotation(0), "P").convert("RGB").save(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-24])


def empty(path):
    path.write_bytes(b"")


DAMAGES = [(larger, f"the size of {FILE} is not that of its photo"),
           (colours, f"{FILE}: expected a label map"), (cut, ""), (empty, "")]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_broken_annotation_is_named_when_its_turn_comes(root, damage, message):
    rows = davis.load("train", root)
    damage(root / FILE)
    raws = iter(rows)
    next(raws)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{PHOTO} cannot be read.*{message}"):
        next(raws)


def test_a_broken_photo_is_named(root):
    cut(root / PHOTO)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{PHOTO} cannot be read"):
        read("train", root)


def test_what_is_broken_is_left_out_if_asked(root):
    expected = read("train", root)
    del expected[1], expected[3]
    larger(root / FILE)
    cut(root / TRAIN[4])
    with pytest.warns(UserWarning, match=f"2 of 5 rows .* left out: {PHOTO}, {TRAIN[4]}"):
        raws = read("train", root, skip_broken=True)
    np.testing.assert_equal(raws, expected)


def test_nothing_is_warned_of_if_all_is_well(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(davis.load("val", root, skip_broken=True)) == 4


def test_all_broken(root):
    for path in (root / "Annotations/480p/soapbox").iterdir():
        empty(path)
    with (
        pytest.warns(UserWarning, match="4 of 4"),
        pytest.raises(FileNotFoundError, match="not one photo" + HELP),
    ):
        davis.load("val", root, skip_broken=True)
