"""Each step against what NumPy, SciPy or TensorFlow make of the same picture."""

import colorsys
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from keras_vision.metric_learning import views
from keras_vision.pipeline import BatchData
from keras_vision.rows import Rows

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 16, 16, 3)).astype("uint8")
SMOOTH = ndimage.gaussian_filter(RNG.uniform(0, 255, (24, 20, 3)), (2, 2, 0)).astype("float32")
PANELS = views.panels()
POLICIES = {
    "SimCLR": views.simclr(),
    "CIFAR": views.simclr(0.5, window=None),
    "nested": views.in_turn(views.at_times(views.in_turn(views.flip, views.noise), 0.5)),
}
STEPS = PANELS | POLICIES
every = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


def seed(number=0):
    return tf.constant([5, number], tf.int64)


def many(step, image, count=600, number=0):
    """What a step makes of so many copies of one picture."""
    return step(np.repeat(image[None], count, 0), seed(number)).numpy()


def share(drawn, expected, count=600):
    """Whether something comes as often as it should, within four standard deviations."""
    return abs(np.mean(drawn) - expected) < 4 * np.sqrt(expected * (1 - expected) / count)


# 1. All of them


def test_panels_are_those_of_the_figure():
    words = ["original", "crop", "flip", "drop", "jitter", "rotate", "cutout", "noise", "blur"]
    assert len(PANELS) == 10
    for name, word in zip(PANELS, [*words, "Sobel"], strict=True):
        assert word in name


@every
def test_floats_of_the_same_shape_and_range(step):
    found = step(IMAGES, seed())
    assert found.shape == IMAGES.shape
    assert found.dtype == tf.float32
    assert 0 <= found.numpy().min() <= found.numpy().max() <= 255
    np.testing.assert_allclose(step(IMAGES.astype("float32"), seed()), found, atol=1e-3)
    assert step(IMAGES[:1], seed()).shape == (1, 16, 16, 3)


@every
def test_the_seed_alone_says_what_is_drawn(step):
    first = step(IMAGES, seed()).numpy()
    other = step(IMAGES, seed(1)).numpy()
    np.testing.assert_array_equal(step(IMAGES, seed()), first)
    drawn = step not in (PANELS[name] for name in ("original", "Sobel filtering"))
    assert np.array_equal(first, other) != (drawn and step is not views.drop_colour)


@every
def test_each_picture_on_its_own(step):
    """What a picture becomes depends on its place, and not on the others."""
    first = step(IMAGES, seed()).numpy()
    others = IMAGES.copy()
    others[[0, 1, 2, 4, 5]] = RNG.integers(0, 256, (5, 16, 16, 3))
    np.testing.assert_allclose(step(others, seed())[3], first[3], atol=1e-3)
    same = many(step, IMAGES[0], 64)
    distinct = len({image.tobytes() for image in same})
    few = {"original": 1, "colour distort. (drop)": 1, "Sobel filtering": 1}
    few["rotate {90, 180, 270}"] = 3
    expected = next((few[name] for name in few if STEPS[name] is step), None)
    assert distinct == expected if expected else distinct > 25


@every
def test_the_same_in_a_pipeline_of_any_size(step):
    """tf.data does not know there what sizes will come."""
    signature = tf.TensorSpec((None, None, None, 3), tf.uint8), tf.TensorSpec((2,), tf.int64)
    numbers = tf.data.Dataset.from_tensor_slices(np.int64([[5, 0], [5, 1]]))
    compiled = tf.function(step, input_signature=signature)
    for number, found in enumerate(numbers.map(lambda seed: step(IMAGES, seed))):
        eager = step(IMAGES, seed(number))
        np.testing.assert_allclose(found, eager, atol=0.01)
        np.testing.assert_allclose(compiled(IMAGES, seed(number)), eager, atol=0.01)


@pytest.mark.parametrize(
    "name", [name for name in STEPS if "rotate" not in name and name != "original"]
)
def test_pictures_that_are_not_square(name):
    wide = RNG.integers(0, 256, (3, 10, 17, 3)).astype("uint8")
    assert STEPS[name](wide, seed()).shape == wide.shape


# 2. Each of them


def bilinear(image, left, top, width, height):
    """The part of a picture at corners (left, top), stretched to the whole: a loop over pixels."""
    rows, columns, _ = image.shape
    found = np.zeros_like(image)
    for i in range(rows):
        for j in range(columns):
            # Centres of pixels lie at 1/2, and beyond the edge is what is at the edge.
            y = top + (i + 0.5) / rows * height - 0.5
            x = left + (j + 0.5) / columns * width - 0.5
            y0, x0 = int(np.floor(y)), int(np.floor(x))
            for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
                weight = (1 - abs(y - y0 - a)) * (1 - abs(x - x0 - b))
                row, column = np.clip([y0 + a, x0 + b], 0, [rows - 1, columns - 1])
                found[i, j] += weight * image[row, column]
    return found


@pytest.mark.parametrize(("area", "ratio"), [(0.3, 1.0), (0.25, 4 / 3), (0.9, 3 / 4), (1.0, 1.0)])
def test_crop_is_a_part_stretched_bilinearly(area, ratio):
    """Where it was cut, pictures of their own coordinates tell."""
    rows, columns, _ = SMOOTH.shape
    y, x = np.mgrid[:rows, :columns].astype("float32")
    places = np.stack([x, y, 0 * x], axis=-1)
    crop = partial(views.crop, area=(area, area), ratio=(ratio, ratio))
    pictures, cut = many(crop, SMOOTH, 40), many(crop, places, 40)
    shape = np.clip(ratio, area, 1 / area)
    width, height = columns * np.sqrt(area * shape), rows * np.sqrt(area / shape)
    found = []
    for picture, place in zip(pictures, cut, strict=True):
        steps = [np.diff(place[2:-2, 2:-2, 0], axis=1), np.diff(place[2:-2, 2:-2, 1], axis=0)]
        np.testing.assert_allclose(steps[0], width / columns, atol=1e-3)
        np.testing.assert_allclose(steps[1], height / rows, atol=1e-3)
        left, top = place[rows // 2, columns // 2, :2] + 0.5
        left -= (columns // 2 + 0.5) * width / columns
        top -= (rows // 2 + 0.5) * height / rows
        found.append((left, top))
        np.testing.assert_allclose(picture, bilinear(SMOOTH, left, top, width, height), atol=0.1)
    for place, room in zip(np.transpose(found), (columns - width, rows - height), strict=True):
        assert place.min() > -1e-3  # never outside
        assert place.max() < room + 1e-3
        assert np.ptp(place) >= 0.75 * room  # and everywhere inside


def test_crop_draws_all_areas_and_ratios():
    y, x = np.mgrid[:64, :64].astype("float32")
    cut = many(views.crop, np.stack([x, y, 0 * x], axis=-1))
    wide, high = cut[:, 32, 33, 0] - cut[:, 32, 32, 0], cut[:, 33, 32, 1] - cut[:, 32, 32, 1]
    area, ratio = wide * high, wide / high
    assert area.min() == pytest.approx(0.2, abs=0.02)
    assert area.max() == pytest.approx(1, abs=0.02)
    assert area.mean() == pytest.approx(0.6, abs=0.04)
    assert ratio.min() == pytest.approx(3 / 4, abs=0.02)
    assert ratio.max() == pytest.approx(4 / 3, abs=0.02)
    assert abs(np.corrcoef(area, cut[:, 0, 0, 0] / (1.001 - wide))[0, 1]) < 0.2


def test_flip_is_of_half_of_them():
    found = many(views.flip, IMAGES[0])
    flipped = (found == IMAGES[0, :, ::-1]).all((1, 2, 3))
    assert (flipped | (found == IMAGES[0]).all((1, 2, 3))).all()
    assert share(flipped, 0.5)


def test_drop_colour_leaves_the_luminance():
    found = views.drop_colour(IMAGES, seed()).numpy()
    grey = tf.image.rgb_to_grayscale(tf.cast(IMAGES, "float32")).numpy()
    np.testing.assert_allclose(found, np.repeat(grey, 3, axis=-1), atol=1e-3)
    found = many(partial(views.drop_colour, chance=0.2), IMAGES[0])
    dropped = (found[..., :1] == found).all((1, 2, 3))
    np.testing.assert_array_equal(found[~dropped], np.repeat(IMAGES[:1], (~dropped).sum(), 0))
    assert share(dropped, 0.2)


def test_what_is_not_square_is_not_rotated():
    with pytest.raises(ValueError, match="expected square pictures to rotate, got 16x12"):
        views.rotate(IMAGES[:, :, :12], seed())


def test_rotate_by_one_two_or_three_quarters():
    found = many(views.rotate, IMAGES[0])
    turned = [(found == np.rot90(IMAGES[0], turns)).all((1, 2, 3)) for turns in (1, 2, 3)]
    assert sum(turned).all()
    assert all(share(one, 1 / 3) for one in turned)


def test_cutout_is_a_grey_rectangle_of_its_share():
    dark = np.zeros((64, 96, 3), "uint8")
    found = many(views.cutout((0.1, 0.3)), dark)
    assert set(np.unique(found)) == {0, 128}
    cut = found[..., 0] == 128
    assert (found == found[..., :1]).all()
    areas = cut.mean((1, 2))
    high, wide = cut.any(2).sum(1), cut.any(1).sum(1)
    np.testing.assert_array_equal(high * wide, cut.sum((1, 2)))  # a rectangle
    assert areas.min() == pytest.approx(0.1, abs=0.02)
    assert areas.max() == pytest.approx(0.3, abs=0.02)
    assert areas.mean() == pytest.approx(0.2, abs=0.01)
    assert cut.any(0).mean() > 0.98  # anywhere
    assert (high / 64 > wide / 96).any()
    assert (high / 64 < wide / 96).any()


def test_noise_is_normal():
    grey = np.full((16, 16, 3), 128, "uint8")
    found = many(views.noise, grey, 100) - 128
    assert found.mean() == pytest.approx(0, abs=0.5)
    assert found.std() == pytest.approx(30, abs=0.5)
    assert np.mean(np.abs(found) < 30) == pytest.approx(0.683, abs=0.01)
    assert abs(np.corrcoef(found[..., 0].ravel(), found[..., 1].ravel())[0, 1]) < 0.03
    found = many(partial(views.noise, deviation=5.0), grey, 100)
    assert found.std() == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(("window", "reach"), [(9, 4), (5, 2), (4, 2), (1, 0)])
def test_blur_is_scipys(window, reach):
    image = IMAGES[0].astype("float32")
    (found,) = many(views.blur(window, (1.3, 1.3)), image, 1)
    expected = ndimage.gaussian_filter(image, (1.3, 1.3, 0), mode="reflect", radius=(reach,) * 3)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_blur_of_small_pictures():
    assert views.blur(9)(IMAGES[:, :4, :5], seed()).shape == (6, 4, 5, 3)
    with pytest.raises(ValueError, match="a window of 9 is too wide for a side of 3 pixels"):
        views.blur(9)(IMAGES[:, :3], seed())


def test_blur_stays_within_255():
    white = np.full((50, 8, 8, 3), 255, "uint8")
    assert views.blur()(white, seed()).numpy().max() == 255


def test_seeds_that_differ_by_one_draw_apart():
    """Though a step draws several numbers, one after another."""
    first = views.uniform(IMAGES, tf.constant([5, 0], tf.int64), 1)
    second = views.uniform(IMAGES, tf.constant([6, 1], tf.int64), 0)
    assert (np.abs(first - second) > 1e-3).all()


def test_blur_keeps_the_mean_and_lowers_the_variance():
    found = many(views.blur(), IMAGES[0])
    np.testing.assert_allclose(found.mean((1, 2)), np.tile(IMAGES[0].mean((0, 1)), (600, 1)), 1e-4)
    deviation = found.std((1, 2, 3))
    assert (deviation <= IMAGES[0].std() + 1e-3).all()
    assert deviation.min() < 0.25 * IMAGES[0].std()  # as sharp, and as blurred as can be
    assert np.mean(deviation < 0.9 * IMAGES[0].std()) > 0.7


def test_sobel_is_scipys():
    found = views.sobel(IMAGES, seed()).numpy()
    image = IMAGES.astype("float32")
    dy, dx = (
        ndimage.correlate(image, kernel[None, ..., None], mode="mirror")
        for kernel in (np.outer([-1, 0, 1], [1, 2, 1]), np.outer([1, 2, 1], [-1, 0, 1]))
    )
    steep = np.clip(np.hypot(dy, dx) / 4, 0, 255)
    np.testing.assert_allclose(found, steep, atol=0.01)
    edge = np.zeros((1, 8, 8, 3), "uint8")
    edge[:, :, 4:] = 255
    assert views.sobel(edge, seed()).numpy().max() == 255


# 3. The jitter


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_jitter_of_no_strength_changes_nothing(policy):
    keras.config.set_dtype_policy(policy)
    try:
        found = views.jitter(0.0)(IMAGES, seed())
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(found, IMAGES, atol=0.01)


def hsv(found):
    """Of one pixel of each picture."""
    return np.array([colorsys.rgb_to_hsv(*pixel) for pixel in found[:, 0, 0] / 255]).T


def jittered(colour, strength):
    """Pictures of one colour, whose contrast is none."""
    image = np.full((2, 2, 3), colour, "float32")
    return many(views.jitter(strength), image, 2000)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_jitter_turns_the_hue_and_changes_the_saturation(strength):
    found = jittered((140, 110, 110), strength)
    hue, saturation, _ = hsv(found)
    hue = (hue + 0.5) % 1 - 0.5
    shown = (found.max((1, 2, 3)) < 254) & (saturation > 0.05)
    assert hue[shown].min() == pytest.approx(-0.2 * strength, abs=0.02)
    assert hue[shown].max() == pytest.approx(0.2 * strength, abs=0.02)
    assert hue[shown].mean() == pytest.approx(0, abs=0.02)
    # Brightness comes first, and is added to all channels.
    chroma = found[:, 0, 0].max(1) - found[:, 0, 0].min(1)
    within = (found.min((1, 2, 3)) > 1) & (found.max((1, 2, 3)) < 254)
    assert chroma[within].min() == pytest.approx(30 * (1 - 0.8 * strength), abs=3)
    assert chroma[within].max() == pytest.approx(30 * (1 + 0.8 * strength), abs=3)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_jitter_changes_brightness_and_contrast(strength):
    """Of grey pictures, whose colour it cannot change."""
    image = np.full((2, 2, 3), 120, "float32")
    image[0] += 10
    found = many(views.jitter(strength), image, 2000)[..., 0]
    brightness = found.mean((1, 2)) - 125
    assert brightness.min() == pytest.approx(-0.4 * 255 * strength, abs=2)
    assert brightness.max() == pytest.approx(0.4 * 255 * strength, abs=2)
    assert brightness.mean() == pytest.approx(0, abs=6)
    contrast = (found[:, 0] - found[:, 1])[:, 0] / 10
    assert contrast.min() == pytest.approx(1 - 0.8 * strength, abs=0.02)
    assert contrast.max() == pytest.approx(1 + 0.8 * strength, abs=0.02)
    assert contrast.mean() == pytest.approx(1, abs=0.05)


# 4. Put together


def plus(number):
    return lambda images, seed: images + number


def test_in_turn_keeps_the_order():
    double = views.in_turn(lambda images, seed: 2 * images, plus(3))
    assert float(double(np.full((1, 2, 2, 3), 5, "uint8"), seed())[0, 0, 0, 0]) == 13
    assert float(views.in_turn()(np.full((1, 2, 2, 3), 5, "uint8"), seed())[0, 0, 0, 0]) == 5


def test_at_times_is_of_its_share_picture_by_picture():
    grey = np.full((4, 4, 3), 10, "uint8")
    found = many(views.at_times(plus(5), 0.3), grey)[..., 0]
    assert (found == found[:, :1, :1]).all()
    assert set(np.unique(found)) == {10, 15}
    assert share(found[:, 0, 0] == 15, 0.3)


def test_steps_and_views_are_drawn_apart():
    """However they are nested: of coins that were one, half would be too few or too many."""
    grey, coin = np.full((2, 2, 3), 0, "uint8"), views.at_times(plus(1), 0.5)

    def coins(step):
        return many(step, grey)[:, 0, 0, 0]

    assert share(coins(views.at_times(coin, 0.5)), 0.25)
    both = views.in_turn(coin, coin)
    for step, odds in (
        (both, [1 / 4, 1 / 2, 1 / 4, 0]),
        (views.in_turn(coin, views.in_turn(coin)), [1 / 4, 1 / 2, 1 / 4, 0]),
        (views.in_turn(both, coin), [1 / 8, 3 / 8, 3 / 8, 1 / 8]),
        (views.in_turn(views.at_times(both, 0.5), coin), [5 / 16, 7 / 16, 3 / 16, 1 / 16]),
    ):
        times = np.bincount(coins(step).astype(int), minlength=4) / 600
        np.testing.assert_allclose(times, odds, atol=0.08)
    found, _ = views.two((np.zeros((600, 2, 2, 3)), None), seed(), coin)
    first, second = found.numpy()[:, 0, 0, 0].reshape(2, 600)
    assert share(first * second, 0.25)


def test_flipping_at_times():
    image = IMAGES[0]
    found = many(views.at_times(views.flip, 0.5), image)
    assert share((found != image).any((1, 2, 3)), 0.25)


def test_the_policy_drops_colour_of_a_fifth():
    for policy in (POLICIES["SimCLR"], POLICIES["CIFAR"]):
        found = many(policy, IMAGES[0])
        assert share((np.ptp(found, axis=-1) < 0.01).all((1, 2)), 0.2)


def test_the_policy_blurs_half():
    """Each with the very crops that it makes without."""
    steep = [
        np.abs(np.diff(many(policy, IMAGES[0]), axis=2)).mean((1, 2, 3))
        for policy in (views.simclr(0.0, 9), views.simclr(0.0, None))
    ]
    blurred = steep[0] < 0.8 * steep[1]
    assert 0.35 < blurred.mean() < 0.5
    np.testing.assert_allclose(steep[0][~blurred], steep[1][~blurred], rtol=0.25)


# 5. Two views


def test_two_views_share_an_id():
    for images in (IMAGES, IMAGES.astype("float32")):
        found, ids = views.two((images, np.arange(6)), seed(), views.simclr())
        assert found.shape == (12, 16, 16, 3)
        assert found.dtype == tf.float32
        np.testing.assert_array_equal(ids, np.tile(np.arange(6), 2))
        first, second = np.split(found, 2)
        assert (first != second).any((1, 2, 3)).all()
    found, _ = views.two((IMAGES, None), seed(), views.in_turn())
    np.testing.assert_array_equal(found, np.concatenate([IMAGES, IMAGES]))


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees():
    rows = Rows({"image": IMAGES, "label": np.arange(6)})
    flow = BatchData(rows, 2, mix=partial(views.two, view=views.simclr(window=3)))

    def stream(first_step):
        return list(flow(first_step).take(8 - first_step).as_numpy_iterator())

    whole = stream(0)
    assert whole[0][0].shape == (4, 16, 16, 3)
    assert len({images.tobytes() for images, _ in whole}) == 8
    for resumed, expected in zip(stream(5), whole[5:], strict=True):
        for a, b in zip(resumed, expected, strict=True):
            np.testing.assert_array_equal(a, b)
