import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import cityscapes

# What cityscapesscripts/helpers/labels.py evaluates, in the order of its trainIds.
IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
PHOTOS = [
    "bremen/bremen_000001_000019",
    "aachen/aachen_000002_000019",
    "aachen/aachen_000000_000019",
]
NAMES = [f"leftImg8bit/val/{name}_leftImg8bit.png" for name in sorted(PHOTOS)]
MAP = np.arange(40, dtype="uint8").reshape(5, 8) % 34
SOLID = np.uint8([[7, 7, 7, 26, 26, 26], [7, 7, 7, 26, 26, 24], [29, 29, 7, 7, 24, 24]])
OBJECTS = np.uint16(
    [[7, 7, 7, 26001, 26001, 26000], [7, 7, 7, 26001, 26001, 24], [29000, 29000, 7, 7, 24003, 24]]
)


def photo(number, shape=(5, 8)):
    return np.random.default_rng(number).integers(0, 256, (*shape, 3), np.uint8)


def write(root, name, number, split="val", kind="gtFine", ids=MAP, objects=None):
    objects = ids.astype("uint16") if objects is None else objects
    for path, pixels in {
        f"leftImg8bit/{split}/{name}_leftImg8bit.png": photo(number, ids.shape),
        f"{kind}/{split}/{name}_{kind}_labelIds.png": ids,
        f"{kind}/{split}/{name}_{kind}_instanceIds.png": objects,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / path)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "cityscapes"
    for number, name in enumerate(sorted(PHOTOS)):
        write(root, name, number, ids=np.roll(MAP, number))
    return root


def label_file(root, number, what="labelIds"):
    return root / NAMES[number].replace("leftImg8bit/", "gtFine/").replace(
        "leftImg8bit.png", f"gtFine_{what}.png"
    )


def read(root, **options):
    return list(cityscapes.load("val", root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


def train_ids(ids):
    return np.array(
        [[IDS.index(number) if number in IDS else 255 for number in row] for row in ids]
    )


def test_photos_labels_and_cities(root):
    raws = read(str(root))
    assert names(raws) == NAMES
    assert [raw["city"] for raw in raws] == [b"aachen", b"aachen", b"bremen"]
    for number, raw in enumerate(raws):
        np.testing.assert_array_equal(raw["image"], photo(number))
        np.testing.assert_array_equal(raw["label_map"], train_ids(np.roll(MAP, number)))


@pytest.mark.parametrize("instances", [False, True])
def test_shapes_types_and_length_are_known(root, instances):
    rows = cityscapes.load("val", root, instances=instances)
    spec = {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "label_map": tf.TensorSpec((None, None), tf.int32),
        "city": tf.TensorSpec((), tf.string),
        "name": tf.TensorSpec((), tf.string),
    }
    spec |= {"instance_map": tf.TensorSpec((None, None), tf.int32)} if instances else {}
    assert rows.element_spec == spec
    assert (len(rows), rows.class_names) == (3, cityscapes.class_names)


def test_classes():
    assert list(cityscapes.label_ids) == IDS
    assert len(cityscapes.CLASSES) == 34
    assert len(cityscapes.class_names) == len(cityscapes.palette) == 19
    for label, name, colour in [(0, "road", (128, 64, 128)), (11, "person", (220, 20, 60)),
                                (18, "bicycle", (119, 11, 32))]:  # fmt: skip
        assert (cityscapes.class_names[label], cityscapes.palette[label]) == (name, colour)


def test_labels_as_the_server_wants_them(root):
    labels = read(root)[0]["label_map"]
    expected = np.where(np.isin(MAP, IDS), MAP, 0)
    np.testing.assert_array_equal(cityscapes.to_label_ids(labels), expected)
    assert cityscapes.to_label_ids(tf.range(19)).tolist() == IDS
    assert cityscapes.to_label_ids(255) == 0


@pytest.mark.parametrize(("split", "kind"), [("test", "gtFine"), ("train_extra", "gtCoarse")])
def test_other_splits_and_kinds(root, split, kind):
    write(root, "ulm/ulm_000000_000019", 7, split, kind, np.full((3, 4), 3, "uint8"))
    (raw,) = cityscapes.load(split, root, kind).as_numpy_iterator()
    np.testing.assert_array_equal(raw["image"], photo(7, (3, 4)))
    assert (raw["city"], np.unique(raw["label_map"])) == (b"ulm", 255)


@pytest.fixture
def street(root):
    write(root, "ulm/ulm_000000_000019", 7, ids=SOLID, objects=OBJECTS)
    return read(root, instances=True)[-1]


def test_instance_maps_have_16_bits(street):
    np.testing.assert_array_equal(street["instance_map"], OBJECTS)
    np.testing.assert_array_equal(street["label_map"], train_ids(SOLID))


@pytest.mark.parametrize("wrapped", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_objects(street, wrapped):
    found = wrapped(cityscapes.objects)(tf.constant(street["instance_map"]))
    person, car = (cityscapes.class_names.index(name) for name in ("person", "car"))
    assert found["labels"].numpy().tolist() == [person, car, car]
    np.testing.assert_array_equal(found["boxes"], [[4, 2, 5, 3], [5, 0, 6, 1], [3, 0, 5, 2]])
    for mask, number in zip(found["masks"].numpy(), [24003, 26000, 26001], strict=True):
        np.testing.assert_array_equal(mask, np.equal(OBJECTS, number))
    assert (found["boxes"].dtype, found["labels"].dtype) == (tf.float32, tf.int32)


def test_a_street_without_objects():
    found = cityscapes.objects(tf.constant([[7, 26, 29001], [0, 3, 11]]))
    shapes = {name: tuple(values.shape) for name, values in found.items()}
    assert shapes == {"boxes": (0, 4), "labels": (0,), "masks": (0, 2, 3)}


def test_polygons(tmp_path):
    path = tmp_path / "ulm_000000_000019_gtFine_polygons.json"
    street = {"label": "road", "polygon": [[0, 5], [8, 5], [8.5, 9]]}
    car = {"label": "car", "polygon": [[1, 2], [3, 2], [3, 4], [1, 4]], "deleted": 0}
    gone = {"label": "sky", "polygon": [[0, 0], [1, 0], [1, 1]], "deleted": 1}
    text = json.dumps({"imgHeight": 9, "imgWidth": 9, "objects": [street, gone, car]})
    path.write_text(text)
    found = cityscapes.polygons(str(path))
    assert [name for name, _ in found] == ["road", "car"]
    for (_, corners), drawn in zip(found, [street, car], strict=True):
        np.testing.assert_array_equal(corners, drawn["polygon"])
        assert corners.dtype == np.float32
    for end in range(len(text)):
        path.write_text(text[:end])
        with pytest.raises(ValueError, match=r"_polygons\.json: expected objects with label"):
            cityscapes.polygons(path)


@pytest.mark.parametrize(
    "content",
    [
        None, [], {}, {"objects": 3}, {"objects": ["car"]}, {"objects": [None]},
        {"objects": [{"label": "car"}]}, {"objects": [{"polygon": [[1, 2]]}]},
        {"objects": [{"label": "car", "polygon": [[1, 2], [3]]}]},
        {"objects": [{"label": "car", "polygon": [["a", "b"]]}]},
        {"objects": [{"label": "car", "polygon": [[1, 2, 3]]}]},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_file_of_other_things(tmp_path, content):
    path = tmp_path / "what.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"what\.json: expected objects with label and polygon"):
        cityscapes.polygons(path)


def coloured(path):
    Image.new("RGB", (8, 5)).save(path)


def smaller(path):
    Image.new("L", (8, 4)).save(path)


def plate(path):
    Image.new("L", (8, 5), 34).save(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-24])


@pytest.mark.parametrize(
    ("damage", "what", "message"),
    [
        (coloured, "labelIds", "expected a label map"),
        (smaller, "labelIds", "the size of {} is not that of its photo"),
        (plate, "labelIds", "numbers that stand for no class in {}.*34"),
        (cut, "labelIds", ""),
        (coloured, "instanceIds", "expected a label map"),
        (smaller, "instanceIds", "the size of {} is not that of its photo"),
        (cut, "instanceIds", ""),
    ],
)
def test_a_broken_map_is_named_or_left_out(root, damage, what, message):
    path = label_file(root, 1, what)
    damage(path)
    message = f"{NAMES[1]} cannot be read.*" + message.format(path.relative_to(root))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        read(root, instances=True)
    with pytest.warns(UserWarning, match=f"1 of 3 rows .* left out: {NAMES[1]}"):
        raws = read(root, instances=True, skip_broken=True)
    assert names(raws) == [NAMES[0], NAMES[2]]
    if what == "instanceIds":
        assert names(read(root)) == NAMES


def test_the_warning_is_of_the_line_that_loads(root):
    cut(label_file(root, 1))
    with pytest.warns(UserWarning, match="left out") as caught:
        cityscapes.load("val", root, skip_broken=True)
    assert caught[0].filename == __file__


HELP = r"(?s:.*official layout.*leftImg8bit/<split>/<city>.*cityscapes-dataset\.com)"


def test_unknown_split_or_kind(root):
    splits = "train, val, test, train_extra"
    with pytest.raises(ValueError, match=f"no split 'valid', expected one of {splits}"):
        cityscapes.load("valid", root)
    with pytest.raises(ValueError, match="kind must be one of gtFine, gtCoarse, not 'fine'"):
        cityscapes.load("val", root, "fine")


def test_missing_split(root):
    message = f"{root}/leftImg8bit/train is missing" + HELP
    with pytest.raises(FileNotFoundError, match=message):
        cityscapes.load("train", root)


def test_root_one_level_too_high(root):
    with pytest.raises(FileNotFoundError, match=f"one level too high, pass '{root}'" + HELP):
        cityscapes.load("val", root.parent)


def test_a_city_without_labels(root):
    (root / "gtFine/val/bremen").rename(root / "elsewhere")
    message = (
        rf"bremen_000001_000019_gtFine_labelIds\.png is missing \(of the cities bremen {HELP}"
    )
    with pytest.raises(FileNotFoundError, match=message):
        cityscapes.load("val", root)
    with pytest.warns(UserWarning, match=f"1 of 3 rows .*: {NAMES[2]}"):
        assert names(read(root, skip_broken=True)) == NAMES[:2]


def test_no_labels_at_all(root):
    with pytest.raises(FileNotFoundError, match="of the cities aachen, bremen there is nothing"):
        cityscapes.load("val", root, "gtCoarse")


@pytest.mark.parametrize("what", ["labelIds", "instanceIds"])
def test_missing_file(root, what):
    path = label_file(root, 0, what)
    path.unlink()
    message = f"{root}: {path.relative_to(root)} is missing" + HELP
    with pytest.raises(FileNotFoundError, match=message):
        cityscapes.load("val", root, instances=True)


def test_what_is_no_photo_is_passed_over(root):
    (root / "leftImg8bit/val/.DS_Store").write_text("")
    (root / "leftImg8bit/val/aachen/Thumbs.db").write_text("")
    Image.new("L", (8, 5)).save(root / "leftImg8bit/val/aachen/aachen_000000_000019_other.png")
    assert names(read(root)) == NAMES


@pytest.mark.parametrize("skip_broken", [False, True])
def test_no_photo_at_all(root, skip_broken):
    (root / "leftImg8bit/train/ulm").mkdir(parents=True)
    (root / "gtFine/train/ulm").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="not one photo" + HELP):
        cityscapes.load("train", root, skip_broken=skip_broken)


@pytest.mark.realdata
def test_real_photo(data_root):
    """The 77 are at edges: this copy was made smaller, each of its maps by itself."""
    (raw,) = read(data_root / "cityscapes", instances=True)
    assert (raw["city"], raw["image"].shape) == (b"frankfurt", (128, 256, 3))
    path = raw["name"].decode().replace("leftImg8bit/", "gtFine/")
    path = data_root / "cityscapes" / path.replace("leftImg8bit", "gtFine_labelTrainIds")
    with Image.open(path) as image:
        truth = np.asarray(image)
    assert np.count_nonzero(raw["label_map"] != truth) == 77
    with Image.open(str(path).replace("labelTrainIds", "instanceIds")) as image:
        np.testing.assert_array_equal(raw["instance_map"], np.asarray(image))
    found = cityscapes.objects(raw["instance_map"])
    assert found["labels"].numpy().tolist() == [11] * 4 + [13] * 3
    found = [found[name].numpy() for name in ("labels", "masks", "boxes")]
    for label, mask, box in zip(*found, strict=True):
        assert (raw["label_map"][mask] == label).mean() > 0.95
        rows, columns = np.nonzero(mask)
        corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_array_equal(box, corners)
