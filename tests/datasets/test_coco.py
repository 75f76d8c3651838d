import json
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO

from keras_vision.datasets import coco
from keras_vision.pipeline import BatchData

RED, BLUE, GREY = (250, 10, 20), (20, 30, 230), 99
# Not in the order of the ids: {id: (colour, (width, height))}.
PHOTOS = {7: (RED, (40, 30)), 300: (BLUE, (16, 16)), 12: (GREY, (24, 32))}
NAMES = ["val2017/000000000007.jpg", "val2017/000000000012.jpg", "val2017/000000000300.jpg"]


def rectangle(x1, y1, x2, y2):
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def counts(mask):
    """Lengths of the runs of 0 and 1 in turn, column by column, as the format's paper has it."""
    flat = np.concatenate([[0], mask.T.ravel(), [2]])
    (ends,) = np.nonzero(np.diff(flat))
    return np.diff(ends, prepend=0).tolist()


def boxed(height, width, x1, y1, x2, y2):
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    return mask


CROWD = boxed(32, 24, 3, 4, 20, 30) & (np.indices((32, 24)).sum(axis=0) % 3 > 0)
COMPRESSED = boxed(30, 40, 30, 0, 40, 8)


def annotation(number, image, category=1, box=(1, 1, 5, 5), outline=None, **others):
    found = {"segmentation": outline or [rectangle(1, 1, 6, 6)], "area": 25.5, "iscrowd": 0}
    found |= {"image_id": image, "bbox": list(box), "category_id": category, "id": number}
    return found | others


def annotations():
    """Three of photo 7, two of photo 12, none of photo 300."""
    packed = run_lengths.encode(np.asfortranarray(COMPRESSED, "uint8"))
    return [
        annotation(11, 7, 90, (2.25, 3, 10, 5), [rectangle(2, 3, 12, 8)]),
        annotation(
            900100000012, 12, 1, (3, 4, 17, 26),
            {"counts": counts(CROWD), "size": [32, 24]}, iscrowd=1, area=295,
        ),
        annotation(13, 7, 13, (30, 0, 10, 8), {**packed, "counts": packed["counts"].decode()}),
        annotation(14, 12, 18, (0, 0, 9, 9), [rectangle(0, 0, 3, 3), rectangle(6, 6, 9, 9)]),
        annotation(15, 7, 1, (0.5, 0.5, 39.5, 29.5), [[1.2, 2.7, 39.9, 3.1, 20.4, 29.6, 7, 7.7]]),
    ]  # fmt: skip


def listing(annotations):
    images = [
        {"id": number, "file_name": f"{number:012d}.jpg", "height": height, "width": width}
        for number, (_, (width, height)) in PHOTOS.items()
    ]
    pairs = zip(coco.category_ids, coco.class_names, strict=True)
    categories = [{"supercategory": "thing", "id": id, "name": name} for id, name in pairs]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def write(root, content, split="val"):
    path = root / "annotations" / f"instances_{split}2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def picture(path, colour, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(colour, int) else "RGB", size, colour).save(path, quality=95)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "coco"
    for number, (colour, size) in PHOTOS.items():
        picture(root / f"val2017/{number:012d}.jpg", colour, size)
    write(root, listing(annotations()))
    return root


def read(root, **options):
    return list(coco.load("val", root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


def test_raw_dicts(root):
    first, second, third = raws = read(str(root))
    assert names(raws) == NAMES
    assert [int(raw["image_id"]) for raw in raws] == [7, 12, 300]
    boxes = [[2.25, 3, 12.25, 8], [30, 0, 40, 8], [0.5, 0.5, 40, 30]]
    np.testing.assert_array_equal(first["boxes"], boxes)
    np.testing.assert_array_equal(second["boxes"], [[3, 4, 20, 30], [0, 0, 9, 9]])
    assert first["labels"].tolist() == [79, 11, 0]
    assert second["labels"].tolist() == [0, 16]
    assert (first["crowd"].tolist(), second["crowd"].tolist()) == ([False] * 3, [True, False])
    np.testing.assert_array_equal(second["area"], [295, 25.5])
    assert [third[name].shape for name in ("boxes", "labels", "area")] == [(0, 4), (0,), (0,)]
    for raw, colour in zip(raws, [RED, (GREY,) * 3, BLUE], strict=True):
        assert np.abs(raw["image"] - np.array(colour)).max() <= 3
    assert [raw["image"].shape for raw in raws] == [(30, 40, 3), (32, 24, 3), (16, 16, 3)]


@pytest.mark.parametrize("masks", [False, True])
def test_shapes_types_and_length_are_known(root, masks):
    rows = coco.load("val", root, masks=masks)
    spec = {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "image_id": tf.TensorSpec((), tf.int64),
        "boxes": tf.TensorSpec((None, 4), tf.float32),
        "labels": tf.TensorSpec((None,), tf.int32),
        "crowd": tf.TensorSpec((None,), tf.bool),
        "area": tf.TensorSpec((None,), tf.float32),
        "name": tf.TensorSpec((), tf.string),
    }
    spec |= {"masks": tf.TensorSpec((None, None, None), tf.bool)} if masks else {}
    assert rows.element_spec == spec
    assert len(rows) == 3
    assert rows.class_names == coco.class_names
    for raw in rows:
        assert all(raw[name].dtype == spec[name].dtype for name in spec)
        assert all(isinstance(raw[name], tf.Tensor) for name in spec)


def test_masks(root):
    first, second, third = read(root, masks=True)
    np.testing.assert_array_equal(first["masks"][0], boxed(30, 40, 2, 3, 12, 8))
    np.testing.assert_array_equal(first["masks"][1], COMPRESSED)
    np.testing.assert_array_equal(second["masks"][0], CROWD)
    both = boxed(32, 24, 0, 0, 3, 3) | boxed(32, 24, 6, 6, 9, 9)
    np.testing.assert_array_equal(second["masks"][1], both)
    assert third["masks"].shape == (0, 16, 16)
    compare(root, "val", [first, second, third])


def compare(root, split, raws):
    """All that there is of the objects, masks included, with what pycocotools makes of the file.

    Their boxes are not cut; the official ones reach hundredths of a pixel beyond the photo.
    """
    official = COCO(str(root / "annotations" / f"instances_{split}2017.json"))
    assert [raw["image_id"] for raw in raws] == sorted(official.imgs)
    for raw in raws:
        found = official.loadAnns(official.getAnnIds(int(raw["image_id"])))
        image = official.imgs[int(raw["image_id"])]
        assert raw["name"].decode() == f"{split}2017/{image['file_name']}"
        assert raw["image"].shape == (image["height"], image["width"], 3)
        boxes = np.array([each["bbox"] for each in found]).reshape(-1, 4)
        x, y, width, height = boxes.T
        corners = np.stack([x, y, x + width, y + height], axis=1)
        np.testing.assert_allclose(raw["boxes"], corners, atol=0.02)
        assert raw["boxes"].min(initial=0) >= 0
        assert (raw["boxes"][:, 2:] <= [image["width"], image["height"]]).all()
        labelled = [coco.category_ids[label] for label in raw["labels"]]
        assert labelled == [each["category_id"] for each in found]
        assert raw["crowd"].tolist() == [bool(each["iscrowd"]) for each in found]
        np.testing.assert_allclose(raw["area"], [each["area"] for each in found], rtol=1e-6)
        for mask, each in zip(raw["masks"], found, strict=True):
            np.testing.assert_array_equal(mask, official.annToMask(each))


def test_classes():
    assert len(coco.class_names) == len(set(coco.class_names)) == 80
    assert len(coco.category_ids) == 80
    named = dict(zip(coco.category_ids, coco.class_names, strict=True))
    known = {1: "person", 11: "fire hydrant", 13: "stop sign", 44: "bottle", 67: "dining table"}
    assert {**known, 70: "toilet", 90: "toothbrush"}.items() <= named.items()


BOXES = [
    ((-5, -5, 10, 10), (0, 0, 5, 5)),
    ((35, 25, 10, 10), (35, 25, 40, 30)),
    ((-1, -1, 42, 32), (0, 0, 40, 30)),
    ((39.5, 0, 0.5, 30), (39.5, 0, 40, 30)),
    ((1, 1, 0, 5), None),
    ((1, 1, 5, 0), None),
    ((9, 9, -5, 5), None),
    ((9, 9, 5, -5), None),
    ((40, 1, 5, 5), None),
    ((1, -6, 5, 5), None),
    ((30, 1, 1e-9, 5), None),  # nothing is left of it in float32
    ((float("nan"), 1, 5, 5), None),
    ((1, 1, 5, float("nan")), None),
    ((float("-inf"), 1, float("inf"), 5), None),
    ((1, 1, 5, float("inf")), None),
    ((None, 1, 5, 5), None),
    ((3, 4, 5, 6), (3, 4, 8, 10)),
]


def test_boxes_are_cut_and_bad_ones_left_out(root):
    """With their labels and masks: each object's area and outline are of its number."""
    found = [
        annotation(n, 7, coco.category_ids[n], box, [rectangle(n, 0, n + 1, 1)], area=n)
        for n, (box, _) in enumerate(BOXES)
    ]
    found += [annotation(99, 12, box=(0, 0, 0, 0)), annotation(100, 12, area=float("nan"))]
    path = write(root, listing(found))
    message = f"{path}: 14 of 19 objects are left out, .* in the images 7, 12$"
    with pytest.warns(UserWarning, match=message) as caught:
        rows = coco.load("val", root, masks=True)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    first, second, _ = rows.as_numpy_iterator()
    kept = [n for n, (_, expected) in enumerate(BOXES) if expected]
    np.testing.assert_array_equal(first["boxes"], [BOXES[n][1] for n in kept])
    assert first["labels"].tolist() == first["area"].tolist() == kept
    assert [mask[0].argmax() for mask in first["masks"]] == kept
    assert second["boxes"].shape == (0, 4)


def test_a_string_with_nan_stays_what_it_is(root):
    content = listing([annotation(1, 7, box=(float("nan"), 1, 1, 1)), annotation(2, 7)])
    content["images"][0]["file_name"] = name = "of [NaN, Infinity], {-NaN}.jpg"
    write(root, content)
    picture(root / "val2017" / name, *PHOTOS[7])
    with pytest.warns(UserWarning, match="1 of 2 objects"):
        assert names(read(root))[0] == f"val2017/{name}"


def test_the_first_few_of_many_are_named(root):
    content = listing([annotation(n, n, box=(0, 0, 0, 0)) for n in range(1, 8)])
    content["images"] = [{**content["images"][0], "id": n} for n in range(1, 8)]
    write(root, content)
    with pytest.warns(UserWarning, match=r"7 of 7 .* images 1, 2, 3, 4, 5, \.\.\.$"):
        coco.load("val", root)


def test_nothing_is_warned_of_if_all_is_well(root):
    assert names(read(root, masks=True, skip_broken=True)) == NAMES


def test_outlines_stay_in_the_file(root):
    """None becomes an object in memory at the start; without masks none is looked at."""
    outlines = [[[0.25] * 100_000] for _ in range(30)] + ["no outline"]
    found = [annotation(n, 7, outline=outline) for n, outline in enumerate(outlines)]
    path = write(root, listing(found))
    tracemalloc.start()
    rows = coco.load("val", root)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size / 3
    assert len(next(rows.as_numpy_iterator())["boxes"]) == 31


def example(raw):
    count = tf.shape(raw["boxes"])[0]
    return raw["image"], {"id": raw["image_id"], "boxes": raw["boxes"], "count": count}


def test_batches_of_one_photo_shuffled(root):
    rows = coco.load("val", root, masks=True)
    flow = BatchData(rows, 1, example=example)
    batches = list(flow(seed=1).take(12).as_numpy_iterator())
    orders = [[int(y["id"][0]) for _, y in batches[n : n + 3]] for n in (0, 3, 6, 9)]
    assert all(sorted(order) == [7, 12, 300] for order in orders)
    assert len(set(map(tuple, orders))) > 1
    for image, y in batches:
        width, height = PHOTOS[int(y["id"][0])][1]
        assert image.shape == (1, height, width, 3)
        assert y["boxes"].shape == (1, y["count"][0], 4)


def test_the_same_eagerly_and_in_a_graph(root):
    rows = coco.load("val", root, masks=True)
    read = tf.function(lambda number: rows.read(rows.row(number)))
    for number, raw in enumerate(rows):
        in_graph = read(tf.constant(number))
        eagerly = rows.read(rows.row(number))
        assert raw.keys() == in_graph.keys() == eagerly.keys()
        for name in raw:
            np.testing.assert_array_equal(raw[name], in_graph[name])
            np.testing.assert_array_equal(raw[name], eagerly[name])


def test_select_keeps_outlines_with_their_photos(root):
    raws = read(root, masks=True)
    chosen = list(coco.load("val", root, masks=True).select([2, 0]).as_numpy_iterator())
    np.testing.assert_equal(chosen, [raws[2], raws[0]])


def test_the_directory_may_change_between_load_and_reading(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    rows = coco.load("val", root.name)
    monkeypatch.chdir("/")
    assert len(list(rows)) == 3


def test_without_the_evaluator(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    assert len(coco.load("val", root)) == 3
    with pytest.raises(ImportError, match=r'pip install "keras_vision\[detection\]"'):
        coco.load("val", root, masks=True)


HELP = r"(?s:.*official layout.*instances_val2017\.json.*scripts/download_coco\.py)"


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'test', expected one of train, val"):
        coco.load("test", root)


def test_wrong_root(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"instances_val2017\.json is missing" + HELP):
        coco.load("val", tmp_path)


def test_root_one_level_too_high(root):
    with pytest.raises(FileNotFoundError, match=f"one level too high, pass '{root}'" + HELP):
        coco.load("val", root.parent)


def test_the_other_split_is_missing(root):
    with pytest.raises(FileNotFoundError, match=r"instances_train2017\.json is missing" + HELP):
        coco.load("train", root)
    write(root, listing([]), "train")
    with pytest.raises(FileNotFoundError, match=f"{root}/train2017 is missing" + HELP):
        coco.load("train", root)


def test_missing_photos(root):
    for name in NAMES[1:]:
        (root / name).unlink()
    missing = "2 of 3 photos are not in val2017; .*: 000000000012.jpg, 000000000300.jpg"
    with pytest.raises(FileNotFoundError, match=missing + HELP):
        coco.load("val", root)
    with pytest.warns(UserWarning, match=f"2 of 3 rows .* left out: {', '.join(NAMES[1:])}"):
        assert names(read(root, skip_broken=True)) == NAMES[:1]


def test_not_a_photo_at_all(root):
    content = listing([])
    write(root, {**content, "images": []})
    with pytest.raises(FileNotFoundError, match="not one photo of val2017 to read" + HELP):
        coco.load("val", root)


WHOLE = json.dumps(listing(annotations()))


@pytest.mark.parametrize(
    "content",
    [
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:-1],
        "",
        "<html>404 not found</html>",
        "[1, 2, 3]",
        "{}",
        '{"images": [], "annotations": {}, "categories": []}',
        WHOLE.replace('"height": 30', '"height": "30"'),
        WHOLE.replace('"height": 30', '"height": NaN'),
        WHOLE.replace('"height": 30', '"height": 0'),
    ],
    ids=["half", "cut", "empty", "page", "list", "dict", "other", "text", "NaN", "flat"],
)
def test_a_file_that_is_not_whole_or_not_coco(root, content):
    path = write(root, content)
    with pytest.raises(ValueError, match=f"{path}: expected whole JSON with images" + HELP):
        coco.load("val", root)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": ["1", 2, 3, 4]},
        {"category_id": None},
        {"image_id": "7"},
        {"image_id": 2**63},
        {"area": "large"},
    ],
    ids=str,
)
def test_a_malformed_annotation_is_named(root, wrong):
    found = annotations()
    found[2] |= wrong
    path = write(root, listing(found))
    (name,) = wrong
    message = rf"{path}: annotation number 3 is none of COCO's: .*\.{name}.*"
    with pytest.raises(ValueError, match=message + HELP):
        coco.load("val", root)


def test_an_annotation_without_its_box_is_named(root):
    found = annotations()
    del found[1]["bbox"]
    write(root, listing(found))
    with pytest.raises(ValueError, match="annotation number 2 .* missing .*bbox" + HELP):
        coco.load("val", root)


@pytest.mark.parametrize("category", [0, -1, 12, 91])
def test_unknown_category(root, category):
    write(root, listing([*annotations(), annotation(16, 12, category)]))
    message = rf"unknown categories: annotation 16 \(image 12, category {category}\)"
    with pytest.raises(ValueError, match=message + HELP):
        coco.load("val", root)


def test_categories_of_another_dataset(root):
    content = listing(annotations())
    content["categories"][0]["name"] = "aeroplane"
    write(root, content)
    with pytest.raises(ValueError, match="that are not COCO's: 1 aeroplane" + HELP):
        coco.load("val", root)


@pytest.mark.parametrize("image", [6, 8, 301])
def test_annotation_of_an_image_that_is_not_listed(root, image):
    write(root, listing([*annotations(), annotation(16, image)]))
    message = rf"images that it does not list: annotation 16 \(image {image}, category 1\)"
    with pytest.raises(ValueError, match=message + HELP):
        coco.load("val", root)


def test_an_image_listed_twice(root):
    content = listing(annotations())
    content["images"].append(content["images"][0])
    write(root, content)
    with pytest.raises(ValueError, match="images listed twice: 7" + HELP):
        coco.load("val", root)


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def empty(path):
    path.write_bytes(b"")


def turned(path):
    with Image.open(path) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(path)


@pytest.mark.parametrize("damage", [cut, empty, turned, Path.unlink])
def test_a_broken_photo_is_named_when_its_turn_comes(root, damage):
    raws = iter(coco.load("val", root))
    damage(root / NAMES[1])
    next(raws)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{NAMES[1]} cannot be read"):
        next(raws)


def test_a_broken_photo_is_named_in_batches(root):
    empty(root / NAMES[1])
    flow = BatchData(coco.load("val", root), 1, example=example)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{NAMES[1]} cannot be read"):
        list(flow().take(6))


def test_broken_photos_are_left_out_if_asked(root):
    expected = read(root, masks=True)
    cut(root / NAMES[0])
    turned(root / NAMES[1])
    message = f"2 of 3 rows .* left out: {', '.join(NAMES[:2])}"
    with pytest.warns(UserWarning, match=message) as caught:
        rows = coco.load("val", root, masks=True, skip_broken=True)
    assert caught[0].filename == __file__
    np.testing.assert_equal(list(rows.as_numpy_iterator()), expected[2:])


def test_all_broken(root):
    for name in NAMES:
        empty(root / name)
    with (
        pytest.warns(UserWarning, match="3 of 3"),
        pytest.raises(FileNotFoundError, match="not one photo"),
    ):
        coco.load("val", root, skip_broken=True)


@pytest.mark.parametrize(
    ("outline", "reason"),
    [
        ([], ""),
        ([[]], ""),
        ({"counts": [24 * 32 - 1], "size": [32, 24]}, "767 pixels, and the photo 768"),
        ({"counts": [24 * 32], "size": [24, 32]}, r"size is \[24, 32\], .*\[32, 24\]"),
        ({"counts": "what is this", "size": [32, 24]}, "RLE"),
        ({"counts": "0", "size": [32, 24]}, "decoded 0 pixels but expected 768"),
    ],
    ids=["none", "empty", "short", "turned", "broken", "cut"],
)
def test_an_outline_that_cannot_be_drawn_is_named(root, outline, reason):
    found = annotations()
    found[3]["segmentation"] = outline
    write(root, listing(found))
    raws = iter(coco.load("val", root, masks=True))
    next(raws)
    message = f"{NAMES[1]} cannot be read.* outline of annotation 14 cannot be drawn: .*{reason}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(raws)


@pytest.fixture
def real(data_root):
    return data_root / "coco"


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "count"), [("train", 80), ("val", 50)])
def test_real_photos_agree_with_pycocotools(real, split, count):
    raws = list(coco.load(split, real, masks=True).as_numpy_iterator())
    assert len(raws) == count
    assert sum(raw["crowd"].sum() for raw in raws) == (6 if split == "train" else 7)
    compare(real, split, raws)


@pytest.mark.realdata
def test_real_classes(real):
    content = json.loads((real / "annotations/instances_val2017.json").read_text())
    official = {(each["id"], each["name"]) for each in content["categories"]}
    assert official == set(zip(coco.category_ids, coco.class_names, strict=True))


@pytest.mark.realdata
def test_real_pixels_are_those_of_pillow(real):
    for raw in coco.load("val", real).select(slice(20)).as_numpy_iterator():
        with Image.open(real / raw["name"].decode()) as image:
            truth = np.asarray(image.convert("RGB")).astype(int)
        np.testing.assert_allclose(raw["image"], truth, atol=2)
