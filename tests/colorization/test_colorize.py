import numpy as np
import pytest
from PIL import Image

from keras_vision import colorization
from keras_vision.colorization.color import lab_to_rgb, rgb_to_lab
from keras_vision.colorization.colorize import STRIP, seen_shape, with_colours


@pytest.fixture(scope="module")
def model():
    return colorization.build(weights="tiny_imagenet")


def photo(height, width, seed=0):
    """Smooth enough to be a photo, with every channel of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3)).astype("uint8")
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def lab(rgb):
    return np.asarray(rgb_to_lab(rgb))


def test_lightness_stays_and_colours_come_from_it_alone(model):
    rgb = photo(90, 120)
    coloured = colorization.colorize(model, rgb)
    assert coloured.shape == rgb.shape
    assert coloured.dtype == np.uint8
    # Where a colour leaves the gamut, clipping moves the lightness too.
    assert np.median(np.abs(lab(coloured)[..., 0] - lab(rgb)[..., 0])) < 0.5
    from_grey = colorization.colorize(model, colorization.grey(rgb))
    assert np.abs(from_grey.astype(int) - coloured).mean() < 1


def test_one_a_batch_and_a_list_agree(model, tmp_path):
    photos = [photo(40, 56, seed) for seed in range(3)]
    one_by_one = [colorization.colorize(model, rgb) for rgb in photos]
    batch = colorization.colorize(model, np.stack(photos))
    assert isinstance(batch, np.ndarray)
    Image.fromarray(photos[0]).save(tmp_path / "a.png")
    mixed = [tmp_path / "a.png", Image.fromarray(photos[1]), photos[2], photo(33, 91)]
    several = colorization.colorize(model, mixed)
    assert isinstance(several, list)
    assert several[3].shape == (33, 91, 3)
    for i, expected in enumerate(one_by_one):
        np.testing.assert_allclose(batch[i].astype(int), expected, atol=1)
        np.testing.assert_allclose(several[i].astype(int), expected, atol=1)
    assert colorization.colorize(model, []) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (301, 7), (2, 2)])
def test_odd_sizes(model, size):
    assert colorization.colorize(model, photo(*size)).shape == (*size, 3)


def test_more_photos_than_fit_into_a_batch(model):
    photos = [photo(8, 8 + i % 3, i) for i in range(20)]
    coloured = colorization.colorize(model, photos, size=16)
    assert [rgb.shape for rgb in coloured] == [rgb.shape for rgb in photos]
    np.testing.assert_allclose(
        coloured[19].astype(int), colorization.colorize(model, photos[19], size=16), atol=1
    )


def test_strips_of_a_large_photo_are_seamless():
    ab = np.random.default_rng(0).uniform(-30, 30, (8, 12, 2)).astype("float32")
    rgb = photo(1201, 1000)
    whole = with_colours(rgb, np.concatenate([np.zeros_like(ab), ab], axis=-1))
    assert rgb[..., 0].size > STRIP
    rows = slice(1040, 1060)  # the first strip ends here
    planes = [
        Image.fromarray(ab[..., i]).resize((1000, 1201), Image.Resampling.BILINEAR) for i in (0, 1)
    ]
    expected = lab(rgb).copy()
    expected[..., 1:] = np.stack([np.asarray(plane) for plane in planes], -1)
    difference = np.abs(np.rint(np.asarray(lab_to_rgb(expected[rows]))) - whole[rows])
    assert difference.max() <= 1


def test_temperature_makes_it_more_vivid(model):
    rgb = photo(64, 64)
    chroma = [
        np.linalg.norm(
            lab(colorization.colorize(model, rgb, temperature))[..., 1:], axis=-1
        ).mean()
        for temperature in (1.0, 0.6, 0.38)
    ]
    assert chroma[0] < chroma[1] < chroma[2]


def test_l2_twin_colours_too():
    twin = colorization.build(bins=None, weights="tiny_imagenet")
    assert colorization.colorize(twin, photo(30, 50)).shape == (30, 50, 3)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((64, 64), (64, 64)),
        ((500, 500), (64, 64)),
        ((100, 400), (32, 128)),
        ((1, 10**6), (8, 64000)),
    ],
)
def test_size_that_the_network_sees(shape, expected):
    assert seen_shape(shape, 64) == expected


def test_comparison_has_lightness_answer_and_truth_in_rows(model):
    photos = np.stack([photo(16, 16, seed) for seed in range(3)])
    picture = colorization.comparison(model, photos)
    assert picture.shape == (48, 48, 3)
    np.testing.assert_array_equal(picture[:16, 16:32], colorization.grey(photos[1]))
    np.testing.assert_array_equal(picture[32:, 32:], photos[2])
    expected = colorization.colorize(model, photos[0])
    np.testing.assert_allclose(picture[16:32, :16].astype(int), expected, atol=1)


def test_a_broken_photo_is_named(model, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        colorization.colorize(model, [photo(8, 8), tmp_path / "broken.jpg"])


def test_an_empty_batch(model):
    empty = np.zeros((0, 64, 64, 3), "uint8")
    assert colorization.colorize(model, empty).shape == empty.shape


def test_a_generator_is_coloured_photo_by_photo(model):
    coloured = colorization.colorize(model, (photo(16, 8 * n) for n in (1, 2, 3)))
    assert [rgb.shape[1] for rgb in coloured] == [8, 16, 24]


@pytest.mark.parametrize(
    "setting", [{"temperature": np.nan}, {"temperature": 5}, {"size": 0}, {"size": np.inf}]
)
def test_settings_out_of_range(model, setting):
    with pytest.raises(ValueError, match=f"{next(iter(setting))} must be"):
        colorization.colorize(model, photo(8, 8), **setting)
