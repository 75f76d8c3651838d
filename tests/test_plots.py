import numpy as np
import pytest

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
    assert places["a"][0] == places["d"][0] == 3.5  # between the pixels 3 and 4 of 0..7
    assert places["d"][1] == 27


def test_no_picture_no_tile():
    assert plots.pixels(plots.mosaic(GREYS[:0], [])).ndim == 3


def test_colour_pictures_in_a_mosaic():
    colours = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3)).astype("uint8")
    figure = plots.mosaic(colours, list("abc"), columns=2)
    tiles = figure.axes[0].images[0].get_array()  # red, green, blue, opacity
    assert tiles.shape == (2 * 7, 2 * 7, 4)
    np.testing.assert_allclose(255 * tiles[:4, 7:13, :3], colours[1], atol=1e-4)
    np.testing.assert_allclose(255 * tiles[7:11, :6, :3], colours[2], atol=1e-4)
    assert tiles[..., 3].sum() == 3 * 4 * 6  # nothing shows but the pictures


@pytest.mark.parametrize("shape", [(28, 28), (3, 8, 8, 1), (3, 8, 8, 4), (0,)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match=r"pictures must be \(N, H, W\), or \(N, H, W, 3\)"):
        plots.mosaic(np.zeros(shape))


def test_a_caption_for_each_picture():
    with pytest.raises(ValueError, match="3 captions for 5 pictures"):
        plots.mosaic(GREYS, list("abc"))


@pytest.mark.parametrize("shape", [(1, 8, 8), (12, 8, 200), (12, 200, 8, 3), (3, 1, 1)])
def test_a_mosaic_of_any_aspect_fills_its_figure(shape):
    """A tile of the figure's size is as wide, over its height, as a picture with its gap."""
    figure = plots.mosaic(np.zeros(shape), columns=4)
    rows, columns = -(-shape[0] // 4), min(shape[0], 4)
    width, height = figure.get_size_inches() / (columns, rows)
    np.testing.assert_allclose(width / height, (shape[2] + 1) / (shape[1] + 1))
    np.testing.assert_allclose(width * height, 0.6**2)
    assert plots.pixels(figure).ndim == 3


def test_filters_are_stretched_to_their_own_range():
    kernels = np.random.default_rng(0).normal(size=(3, 3, 1, 4)) * [1, 10, 100, 0]
    tiles = plots.filters(kernels, columns=4).axes[0].images[0].get_array()
    for column, (low, high) in enumerate([(0, 255)] * 3 + [(0, 0)]):
        tile = tiles[:3, column * 4 : column * 4 + 3]
        np.testing.assert_allclose([tile.min(), tile.max()], [low, high], atol=1e-6)


def test_filters_of_colours_are_drawn_in_colour():
    kernels = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype("float32")
    kernels[..., 1] = kernels[..., :1, 1]  # the same in all channels: grey
    kernels[..., 2] = [[[0, 0, 1]]]  # blue everywhere
    tiles = plots.filters(kernels, columns=4).axes[0].images[0].get_array()
    pictures = [tiles[:3, 4 * n : 4 * n + 3, :3] for n in range(4)]
    low, high = kernels[..., 0].min(), kernels[..., 0].max()
    np.testing.assert_allclose(pictures[0], (kernels[..., 0] - low) / (high - low), atol=1e-5)
    assert np.ptp(pictures[1], axis=-1).max() < 1e-6
    assert np.ptp(pictures[1]) > 0.99
    np.testing.assert_allclose(pictures[2], np.broadcast_to([0, 0, 1], (3, 3, 3)), atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 3, 16, 8), (3, 3, 2, 8), (3, 3, 8)])
def test_filters_without_a_colour_are_refused(shape):
    with pytest.raises(ValueError, match=r"kernels are \(3, 3, .*choose a channel"):
        plots.filters(np.zeros(shape))


@pytest.mark.parametrize("channels", [1, 3])
def test_no_filter(channels):
    assert plots.pixels(plots.filters(np.zeros((3, 3, channels, 0)))).ndim == 3


@pytest.mark.parametrize("shape", [(8, 8), (10, 1000, 3), (1000, 10, 3)])
def test_a_contact_sheet_of_any_aspect(shape):
    picture = np.zeros(shape, "uint8")
    figure = plots.contact_sheet([[picture] * 2] * 3, ["a", "b"], [["c", "d"]] * 3)
    height, width, _ = plots.pixels(figure).shape
    assert width == 600
    assert height < 3 * 1000  # a high picture is drawn narrower


@pytest.mark.parametrize("rows", [[], [[GREYS[0]]], [[GREYS[0]] * 3], [[]]])
def test_a_contact_sheet_needs_a_picture_for_each_title(rows):
    with pytest.raises(ValueError, match="a picture for each of the 2 titles"):
        plots.contact_sheet(rows, ["a", "b"])


def test_a_curve_of_one_point_is_seen():
    one, none = (
        plots.pixels(plots.curves({"loss": values}, "epoch", "loss")) for values in ([1], [np.nan])
    )
    assert (np.ptp(one, axis=-1) > 50).sum() > (np.ptp(none, axis=-1) > 50).sum() + 20


def test_no_curve():
    assert plots.pixels(plots.curves({}, "epoch", "loss")).ndim == 3


def test_pixels_of_a_figure():
    picture = plots.pixels(plots.curves({"loss": [3, 2, 1]}, "epoch", "loss"))
    assert picture.shape == (540, 900, 3)
    assert picture.dtype == np.uint8
    assert picture.max() == 255
    assert picture.min() < 100


FOUND = {
    "boxes": np.float32([[10, 20, 60, 70], [30, 5, 90, 40]]),
    "labels": np.int32([1, 0]),
    "scores": np.float32([0.9, 0.6]),
}


def test_boxes_are_drawn_in_the_photos_own_pixels():
    photo = np.full((80, 120, 3), 128, "uint8")
    drawn = plots.pixels(plots.boxes(photo, FOUND, ["cat", "dog"])).astype(int)
    assert drawn.shape == photo.shape
    changed = np.abs(drawn - 128).max(-1) > 20
    for x1, y1, x2, y2 in FOUND["boxes"].astype(int):
        assert changed[y1:y2, [x1, x1 - 1]].any(1).all()
        assert changed[[y2, y2 - 1], x1:x2].any(0).all()
    assert not changed[50:60, 15:28].any()  # within a box nothing is hidden
    assert not changed[75:].any()


def test_what_stands_at_boxes():
    photo = np.zeros((80, 120, 3), "uint8")
    words = [text.get_text() for text in plots.boxes(photo, FOUND, ["cat", "dog"]).axes[0].texts]
    assert words == ["cat 60%", "dog 90%"]  # the most certain on top
    truth = {name: FOUND[name] for name in ("boxes", "labels")}
    assert [text.get_text() for text in plots.boxes(photo, truth).axes[0].texts] == ["0", "1"]
    nothing = {name: of[:0] for name, of in FOUND.items()}
    np.testing.assert_array_equal(plots.pixels(plots.boxes(photo, nothing)), photo)
