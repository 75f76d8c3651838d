import numpy as np

from keras_vision import plots

GREYS = np.arange(5)[:, None, None] * np.full((1, 10, 8), 50.0)


def test_mosaic_lays_pictures_in_rows():
    figure = plots.mosaic(GREYS, columns=3)
    (image,) = figure.axes[0].images
    tiles = image.get_array()
    assert tiles.shape == (2 * 11, 3 * 9)  # a gap of one pixel
    for number, grey in enumerate((0, 50, 100, 150, 200)):
        row, column = divmod(number, 3)
        assert (tiles[row * 11 : row * 11 + 10, column * 9 : column * 9 + 8] == grey).all()
    assert np.ma.masked_invalid(tiles).mask[11:, 18:].all()  # nothing in the sixth place


def test_captions_stand_below_their_pictures():
    figure = plots.mosaic(GREYS, list("abcde"), columns=3)
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert list(places) == list("abcde")
    assert places["a"][1] == places["c"][1] == 12
    assert places["a"][0] == places["d"][0] == 4.5
    assert places["d"][1] == 27


def test_no_picture_no_tile():
    assert plots.pixels(plots.mosaic(GREYS[:0], [])).ndim == 3


def test_filters_are_stretched_to_their_own_range():
    kernels = np.random.default_rng(0).normal(size=(3, 3, 1, 4)) * [1, 10, 100, 0]
    tiles = plots.filters(kernels, columns=4).axes[0].images[0].get_array()
    for column, (low, high) in enumerate([(0, 255)] * 3 + [(0, 0)]):
        tile = tiles[:3, column * 4 : column * 4 + 3]
        np.testing.assert_allclose([tile.min(), tile.max()], [low, high], atol=1e-6)


def test_pixels_of_a_figure():
    picture = plots.pixels(plots.curves({"loss": [3, 2, 1]}, "epoch", "loss"))
    assert picture.shape == (540, 900, 3)
    assert picture.dtype == np.uint8
    assert picture.max() == 255
    assert picture.min() < 100
