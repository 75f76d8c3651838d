"""The published network, run in PyTorch by scripts/make_colorization_golden.py, is the oracle."""

import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_vision import colorization
from keras_vision.colorization import grid
from keras_vision.colorization.color import lab_to_rgb, rgb_to_lab

GOLDEN = np.load(Path(__file__).with_name("golden_eccv16.npz"))
STATE = {name[6:]: array for name, array in GOLDEN.items() if name.startswith("state/")}
PIXELS = 3  # every third pixel's colour is kept
sizes = pytest.mark.parametrize("size", ["256x256", "133x79"])


@pytest.fixture(params=["stand-in", "torch"])
def save(request, tmp_path, monkeypatch):
    """A function that writes {name: array} to a .pth and returns its path.

    The stand-in for PyTorch, which need not be installed then, only reads what was "written".
    """
    path = tmp_path / "other.pth"
    if request.param == "torch":
        torch = pytest.importorskip("torch")

        def write(state):
            torch.save({name: torch.from_numpy(array) for name, array in state.items()}, path)
            return path

        return write

    def write(state):
        tensors = {name: Tensor(array) for name, array in state.items()}
        module = SimpleNamespace(load=lambda path, map_location, weights_only: tensors)
        monkeypatch.setitem(sys.modules, "torch", module)
        path.touch()
        return path

    return write


class Tensor:
    """As much of PyTorch's as the importer needs."""

    def __init__(self, array):
        self.array = array

    def float(self):
        return Tensor(self.array.astype("float32"))

    def numpy(self):
        return self.array


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


def test_colorize_equals_the_published_chain(model):
    photo = grey_photo("256x256")
    rgb = colorization.colorize(model, photo, size=256)[::PIXELS, ::PIXELS]
    assert np.abs(rgb - GOLDEN["colours/256x256/0.38"].astype("float32")).max() <= 1


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


def test_a_checkpoint_without_pytorch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "other.pth").touch()
    with pytest.raises(ImportError, match=r"other\.pth needs PyTorch: pip install torch"):
        colorization.build(weights=tmp_path / "other.pth")


class Intruder:
    def __reduce__(self):
        return Path.touch, (Path("intruder"),)


@pytest.mark.parametrize(
    "content",
    [b"", b"no checkpoint", bytes(range(256)), Intruder(), [1, 2], {"state": {}}],
    ids=["empty", "text", "noise", "code", "list", "nested"],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, monkeypatch, content):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    path = Path("other.pth")
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(ValueError, match=r"other\.pth is no PyTorch checkpoint of tensors"):
        colorization.build(weights=path)
    assert not Path("intruder").exists()  # a pickle's code has not been run
