"""Binary PGM and PPM among the pictures of a folder, such as the ORL faces."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision import images
from keras_vision.datasets import _photos, folder
from keras_vision.pipeline import BatchData

GREY = np.random.default_rng(0).integers(0, 256, (3, 4), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (3, 4, 3), np.uint8)
HEADERS = [
    b"P5 4 3 255\n", b"P5\n4 3\n255\n", b"P5\n# by hand\n4 3\n255\n", b"P5\t4\r\n3\x0b\x0c255 ",
    b"P5 #1 2 3\n#\n# 9 9\n 4 # 9 9\n3\n255\n", b"P5\n#caf\xe9\r4 3 255\r", b"P5 04 003 0255\n",
    b"P5\n# " + b"long " * 999 + b"\n4 3 255\n",
]  # fmt: skip


GRAPH = tf.function(_photos.decoded, input_signature=[tf.TensorSpec((), tf.string)])


@pytest.fixture(params=[_photos.decoded, GRAPH], ids=["eager", "graph"])
def decoded(request):
    return request.param


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_headers(decoded, header):
    data = header + GREY.tobytes()
    image = decoded(data).numpy()
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, by_pillow(data))
    np.testing.assert_array_equal(image, np.repeat(GREY[..., None], 3, 2))


def test_a_comment_right_behind_a_number(decoded):  # which netpbm reads, and Pillow does not
    image = decoded(b"P5#a\n4#b\n3#c\n255\n" + GREY.tobytes())
    np.testing.assert_array_equal(image[..., 0], GREY)


@pytest.mark.parametrize("first", [b"\n", b" ", b"#", b"7"])
def test_pixels_begin_behind_one_white_space(decoded, first):
    data = b"P5 4 3 255\n" + first + GREY.tobytes()[1:]
    np.testing.assert_array_equal(decoded(data), by_pillow(data))
    assert decoded(data)[0, 0, 0] == ord(first)


def test_colours(decoded):
    data = b"P6\n# by hand\n4 3\n255\n" + COLOUR.tobytes()
    np.testing.assert_array_equal(decoded(data), COLOUR)
    np.testing.assert_array_equal(decoded(data), by_pillow(data))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (131, 97)])
def test_sizes_as_pillow_writes_them(decoded, shape):
    for extra in ((), (3,)):
        pixels = np.random.default_rng(2).integers(0, 256, (*shape, *extra), np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PPM")
        np.testing.assert_array_equal(decoded(file.getvalue()), by_pillow(file.getvalue()))


def test_what_follows_the_pixels_is_another_picture(decoded):
    image = decoded(b"P5 4 3 255\n" + GREY.tobytes() + b"P5 4 3 255\n" + bytes(12))
    np.testing.assert_array_equal(image[..., 0], GREY)


@pytest.fixture
def root(tmp_path):
    """Faces of two, as in ORL and, with .ppm, in VGGFace2's layout."""
    root = tmp_path / "faces"
    for number, name in enumerate(["s1/1.pgm", "s1/10.PGM", "s1/2.pgm", "s10/1.ppm", "s10/2.jpg"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.uint8(COLOUR if "ppm" in name else GREY) // (number + 1)
        Image.fromarray(pixels).save(root / name, "JPEG" if "jpg" in name else "PPM")
    (root / "README").write_text("not among the pictures")
    return root


def names(rows):
    return [raw["name"].decode() for raw in rows.as_numpy_iterator()]


def test_a_folder_for_everyone(root):
    rows = folder.load(root)
    assert rows.class_names == ("s1", "s10")
    assert rows.columns["label"].numpy().tolist() == [0, 0, 0, 1, 1]
    assert names(rows) == ["s1/1.pgm", "s1/10.PGM", "s1/2.pgm", "s10/1.ppm", "s10/2.jpg"]
    for raw in rows.as_numpy_iterator():
        truth = images.read(root / raw["name"].decode()).astype(int)
        np.testing.assert_allclose(raw["image"], truth, atol="jpg" in str(raw["name"]))


def test_shuffled_batches(root):
    def example(raw):
        return tf.image.resize(raw["image"], (3, 4)), raw["label"]

    x, ids = next(iter(BatchData(folder.load(root), 5, example=example)(seed=3)))
    assert (x.shape, sorted(ids.numpy().tolist())) == ((5, 3, 4, 3), [0, 0, 0, 1, 1])
    assert {image[0, 0, 0] for image in x[ids == 0].numpy()} == {
        GREY[0, 0] // n for n in (1, 2, 3)
    }


def test_those_without_labels(root):
    assert len(names(folder.unlabelled(root))) == 5


CUT = b"P5 4 3 255\n" + GREY.tobytes()[:-1]
PLAIN, DEEP, SHORT = r"not binary \(P5, P6\), or has", "brightest is not 255", "cut short"
BROKEN = [
    (b"P2 1 1 255\n7\n", PLAIN), (b"P3 1 1 255\n7 7 7\n", PLAIN), (b"P4 8 1\n\xff", PLAIN),
    (b"P7\nWIDTH 1\n", PLAIN), (b"P5", PLAIN), (b"P5 4 3 255", PLAIN),
    (b"P5 4 3\n" + GREY.tobytes(), PLAIN), (b"P5 0 3 255\n", PLAIN), (b"P5 4 -3 255\n", PLAIN),
    (b"P5 9999999999 1 255\n", PLAIN), (b"P5 # 4 3 255\n" + GREY.tobytes(), PLAIN),
    (b"P5 4 3 65535\n" + bytes(24), f"{DEEP}.*65535"), (b"P5 4 3 15\n" + bytes(12), f"{DEEP}.*15"),
    (CUT, f"{SHORT}.*11 12"), (b"P5 4 3 255\n", f"{SHORT}.*0 12"),
    (b"P6 4 3 255\n" + GREY.tobytes(), f"{SHORT}.*12 36"),
    (b"P5 999999999 999999999 255\n" + GREY.tobytes(), SHORT), (b"", ""), (b"P", ""),
    (b"P8 1", ""),
]  # fmt: skip


@pytest.mark.parametrize(("data", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_one_says_why(data, message):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        _photos.decoded(data)
    assert re.search(message, " ".join(caught.value.message.split()))
    with pytest.raises(tf.errors.InvalidArgumentError):
        GRAPH(data)  # where what follows may fail first, and tell less


@pytest.mark.parametrize(("data", "message"), [BROKEN[0], (CUT, SHORT)], ids=["plain", "cut"])
def test_a_broken_one_is_named(root, data, message):
    (root / "s1/10.PGM").write_bytes(data)
    problem = rf"s1/10\.PGM cannot be read; skip_broken=True leaves it out.*{message}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=problem):
        list(folder.load(root))


def test_broken_ones_are_left_out_if_asked(root):
    kept = names(folder.load(root))
    for number, (data, _) in enumerate(BROKEN):
        (root / f"s1/broken{number}.pgm").write_bytes(data)
    with pytest.warns(UserWarning, match="20 of 25 rows"):
        rows = folder.load(root, skip_broken=True)
    assert names(rows) == kept


@pytest.mark.realdata
def test_real_faces(data_root):
    root = data_root / "orl/att_faces"
    rows = folder.load(root)
    assert set(rows.class_names) == {f"s{number}" for number in range(1, 31)}
    assert np.bincount(rows.columns["label"]).tolist() == [10] * 30
    for raw in rows.as_numpy_iterator():
        name = raw["name"].decode()
        assert rows.class_names[raw["label"]] == name.split("/")[0]
        with Image.open(root / name) as image:
            truth = np.asarray(image)
        assert truth.shape == (112, 92)
        np.testing.assert_array_equal(raw["image"], np.repeat(truth[..., None], 3, 2))
