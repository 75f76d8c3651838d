import numpy as np
import pytest

from keras_vision.colorization import grid


def test_cells_read_the_pixel_in_their_middle():
    rows, columns = np.meshgrid(np.arange(16), np.arange(24), indexing="ij")
    pixels = np.stack([rows, columns], -1)[None].astype("float32")
    cells = np.asarray(grid.to_cells(pixels, np.zeros((1, 4, 6, 313))))
    np.testing.assert_array_equal(cells[0, :, 0, 0], [2, 6, 10, 14])
    np.testing.assert_array_equal(cells[0, 0, :, 1], [2, 6, 10, 14, 18, 22])


def test_cells_over_the_border_take_the_last_pixel():
    pixels = np.arange(9, dtype="float32").reshape(1, 9, 1, 1).repeat(2, -1)
    cells = np.asarray(grid.to_cells(pixels, np.zeros((1, 4, 2, 2))))
    np.testing.assert_array_equal(cells[0, :, 0, 0], [1, 4, 7, 8])


@pytest.mark.parametrize("size", [(64, 64), (61, 59), (1, 1)])
def test_smooth_colours_survive_both_ways(size):
    rows, columns = np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")
    ab = np.stack([rows, columns], -1)[None].astype("float32")
    cells = 2 * -(-size[0] // 8), 2 * -(-size[1] // 8)
    back = np.asarray(grid.to_pixels(grid.to_cells(ab, np.zeros((1, *cells, 2))), *size))
    assert back.shape == ab.shape
    inner = back[:, 2:-6, 2:-6] - ab[:, 2:-6, 2:-6]
    assert np.abs(inner).max(initial=0) <= 0.5 + 1e-5


def test_logits_are_decoded():
    logits = np.zeros((1, 2, 2, 313), "float32")
    logits[..., 100] = 50
    expected = np.broadcast_to(grid.bins.CENTERS[100], (1, 8, 8, 2))
    np.testing.assert_allclose(grid.to_pixels(logits, 8, 8), expected, atol=1e-3)
