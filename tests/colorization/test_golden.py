"""The published network, run in PyTorch by scripts/make_colorization_golden.py, is the oracle."""

import hashlib
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_vision import colorization
from keras_vision.colorization import bins, grid, guide
from keras_vision.colorization.color import lab_to_rgb, rgb_to_lab
from keras_vision.colorization.colorize import with_colours
from keras_vision.colorization.remembered import remembered
from keras_vision.colorization.weights import PUBLISHED

GOLDEN = np.load(Path(__file__).with_name("golden_eccv16.npz"))
STATE = {name[6:]: array for name, array in GOLDEN.items() if name.startswith("state/")}
PIXELS = 3  # every third pixel's colour is kept
sizes = pytest.mark.parametrize("size", ["256x256", "133x79"])


@pytest.fixture
def save(save_torch, tmp_path):
    """A function that writes {name: array} to a .pth and returns its path."""
    return partial(save_torch, tmp_path / "other.pth")


@pytest.fixture
def model(save):
    return colorization.build(weights=save(STATE))


def grey_photo(size):
    """A grey photo of the `size` "height x width": uint8 (H, W, 3)."""
    height, width = map(int, size.split("x"))
    return np.repeat(GOLDEN["photo"][:height, :width, None], 3, axis=-1)


@sizes
def test_logits_equal_pytorchs(model, size):
    logits = model.predict_on_batch(rgb_to_lab(grey_photo(size)[None])[..., :1])[0]
    cells = GOLDEN[f"cells/{size}"]  # the first and the last in both directions, and between
    np.testing.assert_array_equal(logits.shape[:2], cells.max(0) + 1)
    np.testing.assert_allclose(logits[tuple(cells.T)], GOLDEN[f"logits/{size}"], atol=1e-3)


@sizes
@pytest.mark.parametrize("temperature", [1.0, 0.38])
def test_colours_equal_pytorchs(model, size, temperature):
    photo = grey_photo(size)
    lightness = rgb_to_lab(photo[None])[..., :1]
    ab = grid.to_pixels(model(lightness), *photo.shape[:2], temperature)
    rgb = lab_to_rgb(keras.ops.concatenate([lightness, ab], axis=-1))[0]
    differences = np.rint(rgb)[::PIXELS, ::PIXELS] - GOLDEN[f"colours/{size}/{temperature}"]
    assert np.abs(differences).max() <= 1


def test_colorize_guides_the_published_colours(model):
    """At the authors' size, which nobody has to say; lightness and cells are compared above."""
    photo = grey_photo("256x256")
    lightness = np.asarray(rgb_to_lab(photo))[..., :1]
    ab = bins.decode(model(lightness[None]))[0]
    lines = guide.lines(ab, lightness.reshape(64, 4, 64, 4, 1).mean((1, 3)))
    expected = with_colours(photo, np.asarray(lines)).astype(int)
    assert np.abs(colorization.colorize(model, photo) - expected).max() <= 1


def test_another_width_is_refused(save):
    with pytest.raises(ValueError, match=r"other\.pth holds a network of width 0\.03125"):
        colorization.build(weights=save(STATE), width=1.0)


@pytest.mark.parametrize(
    ("shapes", "problem"),
    [
        ({"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,)}, "1 layers"),
        ({"fc.weight": (10, 84), "fc.bias": (10,)}, ""),
        ({}, ""),
        # All names are right, and the last layer is the L2 twin's.
        (
            {n: a.shape for n, a in STATE.items()}
            | {"model8.6.weight": (2, 8, 1, 1), "model8.6.bias": (2,)},
            r"\(1, 1, 8, 2\)",
        ),
    ],
    ids=["convolutions", "no convolution", "empty", "another head"],
)
def test_another_network_is_refused(save, shapes, problem):
    path = save({name: np.zeros(shape, "float32") for name, shape in shapes.items()})
    with pytest.raises(ValueError, match=rf"cannot take these weights\. .*\.pth: .*{problem}"):
        colorization.build(weights=path)


def test_a_missing_key(save):
    state = {name: array for name, array in STATE.items() if name != "model3.4.bias"}
    with pytest.raises(ValueError, match=r"cannot take these weights\. .*other\.pth: .*conv3_3"):
        colorization.build(weights=save(state))


def test_a_web_page_in_place_of_a_checkpoint(tmp_path):
    path = tmp_path / "other.pth"
    path.write_bytes(b"<!DOCTYPE html><title>Log in</title>")
    with pytest.raises(ValueError, match=r"other\.pth is no whole .* but a web page"):
        colorization.build(weights=path)


def test_the_published_name(save, server, monkeypatch, tmp_path):
    """`weights="eccv16"` is fetched once, checked, and colours photos at the authors' size."""
    data = save(STATE).read_bytes()
    url = f"{server.url}/colorization_release_v2-9b330a0b.pth"
    digest = f"sha256:{hashlib.sha256(data).hexdigest()[:8]}"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(PUBLISHED, "eccv16", (url, digest))
    server.data = data
    for _ in range(2):
        model = colorization.build(weights="eccv16")
    assert remembered(model) == (256, 0.38)
    np.testing.assert_array_equal(
        model.get_layer("logits").get_weights()[1], STATE["model8.6.bias"].astype("float32")
    )
    assert len(server.asked) == 1
    with pytest.raises(FileNotFoundError, match="weights='eccv16' is neither"):
        colorization.build(bins=None, weights="eccv16")
