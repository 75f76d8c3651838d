import numpy as np
import pytest
import tensorflow as tf

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
    np.testing.assert_array_equal(cells[0, :, 0, 0], [2, 6, 8, 8])


@pytest.mark.parametrize("size", [(64, 64), (61, 59), (12, 17), (10, 18), (1, 1)])
def test_smooth_colours_survive_both_ways(size):
    rows, columns = np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij")
    ab = np.stack([rows, columns], -1)[None].astype("float32")
    cells = 2 * -(-size[0] // 8), 2 * -(-size[1] // 8)
    back = np.asarray(grid.to_pixels(grid.to_cells(ab, np.zeros((1, *cells, 2))), *size))
    assert back.shape == ab.shape
    inner = back[:, 2:-6, 2:-6] - ab[:, 2:-6, 2:-6]
    assert np.abs(inner).max(initial=0) <= 0.5 + 1e-5


@pytest.mark.parametrize("size", [(9, 12), (16, 8)])
def test_sizes_known_only_in_the_graph(size):
    pixels = np.random.default_rng(0).normal(size=(1, *size, 2)).astype("float32")
    own = np.zeros((1, *size, 313), "float32")
    coarse = np.zeros((1, 2 * -(-size[0] // 8), 2 * -(-size[1] // 8), 313), "float32")
    dynamic = [tf.TensorSpec((None, None, None, n)) for n in (2, 313)]
    graph = tf.function(grid.to_cells, input_signature=dynamic)
    np.testing.assert_array_equal(graph(pixels, own), pixels)
    np.testing.assert_array_equal(graph(pixels, coarse), grid.to_cells(pixels, coarse))


def test_logits_are_decoded():
    logits = np.zeros((1, 2, 2, 313), "float32")
    logits[..., 100] = 50
    expected = np.broadcast_to(grid.bins.CENTERS[100], (1, 8, 8, 2))
    np.testing.assert_allclose(grid.to_pixels(logits, 8, 8), expected, atol=1e-3)


def test_pixels_beyond_the_cells_are_refused():
    for height, width in ((9, 8), (8, 12)):
        with pytest.raises(
            ValueError, match=f"2 x 2 cells of 4 .* cover {height} x {width} pixels"
        ):
            grid.to_pixels(np.zeros((1, 2, 2, 2)), height, width)
