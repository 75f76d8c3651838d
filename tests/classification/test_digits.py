import numpy as np
import pytest
from PIL import Image, ImageFilter

from keras_vision.classification import digits
from keras_vision.datasets import mnist


def photo(digit, rng, ink=(40, 50, 120), paper=(215, 205, 190)):
    """A digit of MNIST's as a phone sees it: a pen on paper, light from one side, grain."""
    size = (280, 280)
    large = Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)
    strokes = np.asarray(large.filter(ImageFilter.GaussianBlur(2))) / 255
    height, width = rng.integers(290, 400, 2)
    top, left = rng.integers(0, (height - 279, width - 279))
    amount = np.zeros((height, width, 1))
    amount[top : top + 280, left : left + 280, 0] = strokes
    y, x = np.mgrid[:height, :width][..., None]
    light = y / height * rng.uniform(-50, 30) + x / width * rng.uniform(-50, 20)
    rgb = (np.array(paper) + light) * (1 - amount) + np.array(ink) * amount
    return np.clip(rgb + rng.normal(0, 6, rgb.shape), 0, 255).astype("uint8")


def likeness(ours, theirs):
    """The median correlation of pictures; a digit that is off by a pixel spoils its own only."""
    pairs = zip(ours, theirs, strict=True)
    return np.median([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])


@pytest.mark.parametrize("colours", [{}, {"ink": (250, 250, 240), "paper": (30, 70, 50)}])
def test_a_photo_becomes_the_digit(colours):
    """Chalk on a board too: which of the two is the ink, the border tells."""
    rng = np.random.default_rng(0)
    mnists = mnist.arrays("test", mnist.SUBSET)[0][:50]
    seen = [digits.from_photo(photo(digit, rng, **colours)) for digit in mnists]
    assert {(picture.shape, picture.dtype) for picture in seen} == {((28, 28, 1), np.dtype("u1"))}
    assert likeness(seen, mnists) > 0.96


def test_mnists_own_stay_as_they_are():
    mnists = mnist.arrays("test", mnist.SUBSET)[0][:50]
    rgb = np.repeat(mnists[..., None], 3, -1)
    seen, inverted = ([digits.from_photo(p) for p in photos] for photos in (rgb, 255 - rgb))
    assert likeness(seen, mnists) > 0.99
    np.testing.assert_allclose(np.int32(inverted), seen, atol=1)


def test_size_and_centre_of_mass():
    rgb = np.full((90, 60, 3), 255, "uint8")
    rgb[10:70, 20:26] = 0
    seen = digits.from_photo(rgb)[..., 0].astype(float)
    y, x = (np.average(np.arange(28), weights=seen.sum(axis)) for axis in (1, 0))
    assert (y, x) == pytest.approx((14, 14), abs=0.5)
    assert np.ptp(np.flatnonzero(seen.sum(1))) == 19  # 20 pixels high


def test_a_thin_pen_is_full_ink():
    rgb = np.full((400, 300, 3), 240, "uint8")
    rgb[50:350, 148:153] = 30
    assert digits.from_photo(rgb).max() == 255


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (28, 28, 3), (300, 200, 3)])
def test_nothing_but_paper(shape):
    noise = np.random.default_rng(0).normal(200, 4, shape)
    with pytest.raises(ValueError, match=r"photo of one digit, got .* pixels without any ink"):
        digits.from_photo(np.clip(noise, 0, 255).astype("uint8"))
