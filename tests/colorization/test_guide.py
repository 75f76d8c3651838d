import numpy as np
import pytest
from keras import ops
from PIL import Image

from keras_vision.colorization import guide
from keras_vision.colorization.color import lab_to_rgb, rgb_to_lab
from keras_vision.colorization.colorize import with_colours

RNG = np.random.default_rng(0)


def neighbours(height, width, row, column):
    rows, columns = (
        slice(max(0, place - 1), min(count, place + 2))
        for place, count in ((row, height), (column, width))
    )
    return rows, columns


def ridge(ab, lightness):
    """Slope and offset of each cell by the normal equations, then their means: plain loops."""
    height, width = ab.shape[:2]
    fitted, result = np.zeros((height, width, 4)), np.zeros((height, width, 4))
    for place in np.ndindex(height, width):
        part = neighbours(height, width, *place)
        x, y = lightness[part].reshape(-1), ab[part].reshape(-1, 2)
        centred = x - x.mean()
        slope = centred @ y / (centred @ centred + len(x) * guide.SOFT**2)
        fitted[place] = [*slope, *(y.mean(0) - slope * x.mean())]
    for place in np.ndindex(height, width):
        result[place] = fitted[neighbours(height, width, *place)].reshape(-1, 4).mean(0)
    return result


@pytest.mark.parametrize("shape", [(6, 9), (2, 2), (3, 40)])
def test_equals_ridge_regression(shape):
    ab, lightness = RNG.uniform(-90, 90, (*shape, 2)), RNG.uniform(0, 100, (*shape, 1))
    np.testing.assert_allclose(guide.lines(ab, lightness), ridge(ab, lightness), atol=2e-3)


def test_one_colour_stays():
    lines = ops.convert_to_numpy(
        guide.lines(np.full((4, 6, 2), 30.0), RNG.uniform(0, 100, (4, 6, 1)))
    )
    np.testing.assert_allclose(lines[..., :2], 0, atol=1e-4)
    np.testing.assert_allclose(lines[..., 2:], 30, atol=1e-2)


def test_colours_end_where_the_lightness_does():
    """A dark red and a light blue half, whose border lies inside a cell."""
    lightness = np.where(np.arange(64) < 27, 40.0, 80.0) * np.ones((64, 1))
    true = np.where(np.arange(64)[:, None] < 27, (50.0, 40.0), (-10.0, -40.0)) * np.ones(
        (64, 1, 1)
    )
    rgb = np.rint(lab_to_rgb(np.concatenate([lightness[..., None], true], -1))).astype("uint8")
    true = np.asarray(rgb_to_lab(rgb))[..., 1:]
    ab = true.reshape(8, 8, 8, 8, 2).mean((1, 3))
    cells = lightness.reshape(8, 8, 8, 8, 1).mean((1, 3))
    fine = [
        Image.fromarray(p.astype("float32")).resize((64, 64), 2) for p in np.moveaxis(ab, -1, 0)
    ]
    smeared = np.stack([np.asarray(plane) for plane in fine], axis=-1)
    guided = rgb_to_lab(with_colours(rgb, np.asarray(guide.lines(ab, cells))))[..., 1:]
    errors = [np.linalg.norm(true - np.asarray(x), axis=-1).mean() for x in (smeared, guided)]
    assert errors[1] < 0.75 * errors[0]
