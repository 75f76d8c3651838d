import itertools

import keras
import numpy as np
import pytest
from PIL import Image

from keras_vision import boxes as box
from keras_vision.classification import resnet
from keras_vision.detection import detect
from keras_vision.detection.detect import of_any_size, on_canvas, resized


def assert_found(found, raw, stretch=(1, 1)):
    """All objects of a raw dict, in a photo that is so many times as (wide, high)."""
    truth = raw["boxes"] * np.tile(np.float32(stretch), 2)
    # More may be found: what half shows an object has not been learned to be none.
    for label, one in zip(raw["labels"], truth, strict=True):
        same = found["labels"] == label
        assert np.asarray(box.iou(found["boxes"][same], one)).max() > 0.8


def test_finds_what_it_has_learned(trained):
    model, raws = trained
    batch = np.stack([raw["image"] for raw in raws])
    found = detect(model, batch)
    assert isinstance(found, list)
    assert len(found) == len(raws)
    for one, raw in zip(found, raws, strict=True):
        assert_found(one, raw)
        assert one["boxes"].dtype == one["scores"].dtype == np.float32
        assert one["labels"].dtype == np.int32
        assert (np.diff(one["scores"]) <= 0).all()
        assert one["scores"].min() > 0.5


def test_kinds_of_photos(trained, tmp_path):
    model, raws = trained
    image = raws[0]["image"]
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    for photo in (image, path, str(path), Image.fromarray(image)):
        assert_found(detect(model, photo), raws[0])  # a dict for one photo
    assert detect(model, []) == []
    several = detect(model, (photo for photo in (path, image)))
    assert iter(several) is several
    assert len(list(several)) == 2


def test_boxes_are_in_pixels_of_the_photo(trained):
    """Photos of other sizes and aspects, in one call."""
    model, raws = trained
    sizes = [(256, 256), (128, 128), (300, 300)]
    photos = [np.asarray(Image.fromarray(raws[0]["image"]).resize(size)) for size in sizes]
    wide = np.zeros((128, 192, 3), "uint8") + np.uint8([124, 116, 104])
    wide[:, :128] = raws[0]["image"]
    for found, (width, height) in zip(detect(model, photos), sizes, strict=True):
        assert_found(found, raws[0], (width / 128, height / 128))
    boxes = detect(model, wide, 0.0)["boxes"]
    assert len(boxes)
    assert (boxes >= 0).all()
    assert (boxes <= [192, 128] * 2).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 6000), (6000, 4000), (37, 61)])
def test_photos_of_odd_sizes(small, size):
    photo = np.zeros((*size, 3), "uint8")
    for model in (small(classes=2), small(classes=2, size=(64, 96))):
        found = detect(model, photo, 0.9, short=64, long=96)
        assert found["boxes"].shape == (0, 4)
        assert found["scores"].shape == (0,)
        found = detect(model, photo, 0.0, short=64, long=96)
        assert found["boxes"].min() >= 0
        assert (found["boxes"] <= [*size[::-1]] * 2).all()


def test_most(trained):
    model, raws = trained
    assert len(detect(model, raws[0]["image"], 0.0, most=2)["labels"]) == 2


def test_sizes_are_torchvisions():
    """Short side 800, long side at most 1333, rounded down in float32; canvases in steps of 32."""
    for own in itertools.product((333, 427, 480, 500, 640), repeat=2):
        seen, canvas = of_any_size(own, 800, 1333)
        assert min(seen) == 800 or max(seen) in (1332, 1333)
        assert all(
            whole % 32 == 0 <= whole - side < 32 for side, whole in zip(seen, canvas, strict=True)
        )
    assert of_any_size((480, 640), 800, 1333) == ((800, 1066), (800, 1088))
    assert of_any_size((427, 640), 800, 1333) == ((800, 1199), (800, 1216))


def test_padding_is_the_colour_that_a_network_sees_as_zero():
    canvas = on_canvas(np.full((3, 2, 3), 7, "float32"), (4, 4))
    assert (canvas[:3, :2] == 7).all()
    np.testing.assert_allclose(canvas[3, 3], [123.675, 116.28, 103.53])


def test_what_shrinks_much_is_averaged():
    """Of 4x4 pixels none is passed over."""
    checks = (np.indices((400, 400)).sum(0) % 2 * 255).astype("uint8")
    seen = resized(np.stack([checks] * 3, -1), (100, 100))
    np.testing.assert_allclose(seen, 127.5, atol=1)


def test_a_thousand_sizes_make_few_canvases():
    """And so few shapes to compile."""
    sizes = np.random.default_rng(0).integers(200, 2000, (1000, 2)).tolist()
    canvases = [of_any_size(own, 800, 1333)[1] for own in sizes]
    assert len(set(map(tuple, sizes))) > 990 > 12 * len(set(canvases))


def test_what_is_no_detector_is_told():
    with pytest.raises(ValueError, match=r"expected a detector, such as retinanet.build\(\)"):
        detect(resnet.build(18, classes=3, width=1 / 16), np.zeros((32, 32, 3), "uint8"))


def test_a_photo_that_is_none_is_named(trained, tmp_path):
    path = tmp_path / "text.jpg"
    path.write_text("no photo")
    with pytest.raises(ValueError, match=r"image 2 of 2: .*text\.jpg"):
        detect(trained[0], [np.zeros((8, 8, 3), "uint8"), path])


def test_all_sizes_are_compiled_at_once(small):
    """The network is traced for the first two canvases, and then for all."""
    model = small(classes=2)
    photos = [np.zeros((64 + 32 * n, 64, 3), "uint8") for n in range(6)]
    traces = []
    call = model.call
    model.call = lambda *args, **settings: traces.append(1) or call(*args, **settings)
    detect(model, photos, short=64, long=320)
    assert 1 <= len(traces) <= 3
    assert keras.backend.backend() == "tensorflow"
