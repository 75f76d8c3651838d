import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from keras_vision import segmentation, tiles
from keras_vision.datasets import samples
from keras_vision.layers import SeenAt
from keras_vision.rows import Rows
from keras_vision.segmentation import segment, unet
from keras_vision.segmentation.evaluate import evaluate, scores


def test_each_pixel_gets_its_class(nearest_colour, flag):
    photo, labels = flag
    found = segment(nearest_colour(), photo)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, labels)


def test_kinds_of_photos(nearest_colour, flag, tmp_path):
    photo, labels = flag
    path = tmp_path / "flag.png"
    Image.fromarray(photo).save(path)
    model = nearest_colour()
    for one in (path, str(path), Image.fromarray(photo), photo / 1.0):
        np.testing.assert_array_equal(segment(model, one), labels)
    batch = segment(model, np.stack([photo] * 3))
    assert batch.shape == (3, 60, 90)
    mixed = segment(model, [photo, photo[:7, :5], photo[:1, :1]])
    assert [one.shape for one in mixed] == [(60, 90), (7, 5), (1, 1)]
    several = segment(model, (each for each in (path, photo)))
    assert iter(several) is several
    assert len(list(several)) == 2
    assert segment(model, []) == []


def test_probabilities(nearest_colour, flag):
    photo, labels = flag
    for short in (None, 30):
        found = segment(nearest_colour(short), photo, probabilities=True)
        assert (found.shape, found.dtype) == ((60, 90, 3), np.float32)
        np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
        np.testing.assert_array_equal(found.argmax(-1), labels)


@pytest.mark.parametrize("short", [20, 60, 150])
def test_photos_are_seen_at_the_size_that_the_model_wants(nearest_colour, flag, short):
    photo, labels = flag
    model, shapes = nearest_colour(short), []
    predict = model.predict_on_batch
    model.predict_on_batch = lambda x: shapes.append(x.shape) or predict(x)
    found = segment(model, photo)
    assert shapes == [(1, short, short * 3 // 2, 3)]
    assert (found == labels).mean() > 0.98
    assert (segment(nearest_colour(), photo, short=short) == found).all()


def test_resized_logits_equal_keras(nearest_colour):
    """As one strip after the other, whatever the sizes are."""
    from keras_vision.segmentation.segment import in_strips

    logits = np.random.default_rng(0).normal(size=(11, 17, 4)).astype("float32")
    for size in ((11, 17), (40, 30), (5, 90), (1, 1), (700, 800)):
        whole = keras.ops.image.resize(logits, size, "bilinear")
        np.testing.assert_allclose(in_strips(logits, size, np.asarray), whole, atol=1e-5)


def test_the_size_is_saved_with_the_model(nearest_colour, tmp_path):
    nearest_colour(33).save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    (layer,) = [layer for layer in model.layers if isinstance(layer, SeenAt)]
    assert layer.short == 33


def test_large_photos_in_pieces(nearest_colour, monkeypatch):
    photo = np.random.default_rng(0).integers(0, 256, (300, 500, 3)).astype("uint8")
    whole = segment(nearest_colour(), photo)
    monkeypatch.setattr(tiles, "WHOLE", 10_000)
    np.testing.assert_array_equal(segment(nearest_colour(), photo), whole)


def test_a_network_of_one_channel_sees_grey():
    model = unet.build(2, channels=1, filters=2)
    coffee = samples.photos()["coffee"][:64, :80]
    found = segment(model, coffee, probabilities=True)
    grey = np.asarray(Image.fromarray(coffee).convert("L"))
    np.testing.assert_allclose(segment(model, grey, probabilities=True), found, atol=1e-6)


@pytest.mark.parametrize("photo", [np.full((4, 4, 3), np.nan), np.zeros((0, 4, 3)), "no.png"])
def test_what_is_no_photo(nearest_colour, photo):
    with pytest.raises((ValueError, FileNotFoundError)):
        segment(nearest_colour(), photo)


@pytest.mark.parametrize(
    ("size", "layer"), [(None, keras.layers.GlobalMaxPooling2D()), (60, keras.layers.ReLU())]
)
def test_what_is_no_segmenter(flag, size, layer):
    inputs = keras.Input((size, 90, 3))
    model = keras.Model(inputs, layer(inputs), name="flat")
    with pytest.raises(ValueError, match=r"expected a segmenter.*got flat"):
        segment(model, flag[0])


def test_evaluate_counts_all_but_void(nearest_colour, flag):
    photo, labels = flag
    maps = np.stack([labels, labels]).astype("int32")
    maps[0, :, 60:] = 0  # 30 columns of class 2 are called 0
    maps[1, :, :40] = 255  # 30 of class 0 and 10 of class 1 are void
    rows = Rows({"image": np.stack([photo] * 2), "label_map": maps}, class_names=("a", "b", "c"))
    table = evaluate(nearest_colour(), rows)
    assert list(table.index) == ["a", "b", "c", "mean"]
    np.testing.assert_allclose(table["iou"], [1 / 2, 1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(table["accuracy"], [1 / 2, 1, 1, 5 / 6])
    np.testing.assert_array_equal(table["pixels"][:3], [60 * 60, 60 * 50, 60 * 30])
    assert table.attrs["pixel_accuracy"] == pytest.approx(110 / 140)
    found = scores(nearest_colour(), rows)
    assert found == {"mean_iou": pytest.approx(2 / 3), "pixel_accuracy": pytest.approx(110 / 140)}


def test_the_room_by_name():
    assert segmentation.segment is segment
    assert segmentation.evaluate is evaluate


PANORAMA = """
import keras_vision.quiet
import sys
from pathlib import Path
from keras_vision.segmentation import fcn, segment, unet

seen_small = fcn.build(21, short=520)
in_pieces = unet.build(21, filters=2)
for model in (seen_small, in_pieces):
    labels = segment(model, sys.argv[1])
    assert labels.shape == (4096, 8192), labels.shape
print(Path("/proc/self/status").read_text())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_panorama_within_two_gigabytes(tmp_path):
    path = tmp_path / "panorama.jpg"
    Image.fromarray(samples.photos()["coffee"]).resize((8192, 4096)).save(path)
    command = [sys.executable, "-c", PANORAMA, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # getrusage would tell the tests' own peak, which a child inherits.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert int(peak) * 1024 < 2e9


@pytest.mark.parametrize("short", [0, -5])
def test_a_short_side_of_nothing(nearest_colour, flag, short):
    with pytest.raises(
        ValueError, match=f"short must be a whole number of pixels, 1 or more, not {short}"
    ):
        segment(nearest_colour(), flag[0], short)


def test_evaluate_says_what_does_not_fit(nearest_colour, flag):
    photo, labels = flag
    columns = {"image": photo[None], "label_map": labels[None] + 9}
    with pytest.raises(ValueError, match="has 3 classes, the dataset 2: "):
        evaluate(nearest_colour(), Rows(columns, class_names="ab"))
    with pytest.raises(
        ValueError, match=r"labels in 0\.\.2, and 255 where void, got \[9, 10, 11\]"
    ):
        evaluate(nearest_colour(), Rows(columns))
    with pytest.raises(ValueError, match=r"with a \"label_map\", got \['image'\]"):
        evaluate(nearest_colour(), Rows({"image": photo[None]}))
