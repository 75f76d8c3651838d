from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.classification.data import in_turn
from keras_vision.pipeline import BatchData
from keras_vision.restoration import data
from keras_vision.rows import Rows

SIZE = 16


def photo(height, width):
    """Red and green are the place."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, 0 * rows + 7], -1).astype("uint8")


def drawn(step, image, count, *args):
    """`count` pictures of a step, by seeds of their own."""
    pictures = tf.data.Dataset.range(count).map(
        lambda n: step({"image": tf.constant(image)}, tf.stack([n, 5]), *args)["image"]
    )
    return np.stack(list(pictures.as_numpy_iterator()))


@pytest.mark.parametrize("shape", [(16, 16), (3, 9), (1, 1), (17, 100), (90, 120)])
def test_crops_are_squares_of_any_photo(shape):
    found = drawn(data.crop, photo(*shape), 8, SIZE)
    assert (found.shape, found.dtype) == (((8, SIZE, SIZE, 3), np.uint8))
    assert (found[..., 2] == 7).all()
    assert (found[..., :2].max((0, 1, 2)) < shape).all()


def test_sides_and_places_of_crops():
    found = drawn(data.crop, photo(60, 90), 150, SIZE).astype(float)
    middle, step = found[:, 8, 8, :2], SIZE - 4
    sides = np.stack(
        [found[:, -3, 8, 0] - found[:, 2, 8, 0], found[:, 8, -3, 1] - found[:, 8, 2, 1]]
    )
    sides = sides * SIZE / (step - 1)
    np.testing.assert_allclose(sides[0], sides[1], atol=4)
    assert 15 < sides.min() < 18
    assert 36 < sides.max() < 43
    assert abs(np.mean(np.log(sides / SIZE)) / np.log(2.5) - 0.5) < 0.1
    assert (middle.min(0) < 14).all()
    assert (middle.max(0) > np.array([60, 90]) - 14).all()


def test_a_crop_of_the_size_itself_is_not_resized():
    found = drawn(partial(data.crop, most=1.0), photo(18, 17), 40, SIZE)
    corners = {tuple(one[0, 0, :2].tolist()) for one in found}
    assert corners == {(top, left) for top in range(3) for left in range(2)}
    for one in found:
        top, left = one[0, 0, :2]
        np.testing.assert_array_equal(one, photo(18, 17)[top : top + SIZE, left : left + SIZE])


@pytest.mark.parametrize(
    ("suffix", "shape"), [("jpg", (40, 60)), ("jpg", (9, 7)), ("png", (40, 60))]
)
def test_bytes_of_files(tmp_path, suffix, shape):
    Image.fromarray(photo(*shape)).save(tmp_path / f"a.{suffix}", quality=95, subsampling=0)
    content = (tmp_path / f"a.{suffix}").read_bytes()
    found = drawn(data.crop, tf.constant(content), 12, SIZE).astype(int)
    with Image.open(tmp_path / f"a.{suffix}") as image:
        whole = drawn(data.crop, np.asarray(image), 12, SIZE)
    np.testing.assert_allclose(found, whole, atol=2)


def test_turn_finds_all_eight_ways():
    image = np.arange(27, dtype="uint8").reshape(3, 3, 3)
    turned = [np.rot90(one, times) for one in (image, image[:, ::-1]) for times in range(4)]
    ways = {one.tobytes(): way for way, one in enumerate(turned)}
    found = [ways[one.tobytes()] for one in drawn(data.turn, image, 400)]
    assert np.bincount(found, minlength=8).min() > 25


def test_grey_takes_the_colours_of_some():
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    found = drawn(data.grey, image, 400)
    is_grey = (found == found[..., :1]).all((1, 2, 3))
    assert abs(is_grey.mean() - data.GREY) < 0.08
    truth = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    assert np.abs(found[is_grey].astype(int) - truth).max() <= 1
    np.testing.assert_array_equal(found[~is_grey], np.broadcast_to(image, found[~is_grey].shape))


def test_example_is_the_picture_twice():
    noised, clean = data.example({"image": tf.constant(photo(4, 5))})
    np.testing.assert_array_equal(noised, photo(4, 5))
    np.testing.assert_array_equal(clean, photo(4, 5))
    assert (noised.dtype, clean.dtype) == (tf.float32, tf.float32)


def pictures(count, value=None, grey=False):
    found = np.random.default_rng(1).integers(100, 150, (count, 24, 24, 1 if grey else 3))
    found = np.full(found.shape, value) if value is not None else found
    return tf.constant(np.broadcast_to(found, (count, 24, 24, 3)), tf.float32)


def noisy(clean, seed=(1, 2), **options):
    found, same = data.noisy((clean, clean), tf.constant(seed), **options)
    np.testing.assert_array_equal(same, clean)
    assert found.shape == clean.shape
    return found.numpy()


def rounded(found):
    return (found == np.round(found)).all((1, 2, 3))


def test_half_of_the_pictures_are_as_in_files():
    found = noisy(pictures(400, value=250.0))
    whole = rounded(found)
    assert abs(whole.mean() - 0.5) < 0.1
    assert found[whole].min() >= 0
    assert found[whole].max() == 255
    assert found[~whole].max() > 300
    found = noisy(pictures(40, value=3.0))
    assert found[rounded(found)].min() == 0
    assert found[~rounded(found)].min() < -20


@pytest.mark.parametrize("level", [2.0, 20.0])
def test_noise_is_normal_and_of_the_deviation_asked_for(level):
    noise = noisy(pictures(40), levels=(level, level)) - pictures(40).numpy()
    np.testing.assert_allclose(noise.std((1, 2, 3)), level, rtol=0.12)
    shares = (np.abs(noise / level) < 1).mean(), (np.abs(noise / level) < 2).mean()
    np.testing.assert_allclose(shares, (0.683, 0.954), atol=0.03 if level > 2 else 0.15)
    channels = np.corrcoef(noise.reshape(-1, 3).T)
    np.testing.assert_allclose(channels, np.eye(3), atol=0.05)


def test_each_picture_has_a_deviation_of_its_own():
    clean = pictures(300)
    found = noisy(clean)
    plain = ~rounded(found)
    deviations = (found - clean.numpy())[plain].std((1, 2, 3))
    assert deviations.max() < 1.1 * data.LEVELS[1]
    shares = np.quantile(deviations, [0.1, 0.5, 0.9]) / data.LEVELS[1]
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.1)


def test_grey_pictures_have_grey_noise():
    clean = tf.concat([pictures(20, grey=True), pictures(20)], 0)
    found = noisy(clean)
    is_grey = (found == found[..., :1]).all((1, 2, 3))
    assert is_grey.tolist() == [True] * 20 + [False] * 20
    deviations = (found - clean.numpy()).std((1, 2, 3))
    assert deviations[:20].min() > 0
    assert len(np.unique(deviations)) == 40


def test_noise_is_that_of_the_seed():
    clean = pictures(4)
    found = noisy(clean)
    np.testing.assert_array_equal(found, noisy(clean))
    (graph, _) = tf.function(data.noisy)((clean, clean), tf.constant([1, 2]))
    np.testing.assert_allclose(graph, found, atol=1e-3)
    assert (noisy(clean, (1, 3)) != found).any((1, 2, 3)).all()


def test_a_pipeline_of_files(tmp_path):
    Image.fromarray(photo(40, 60)).save(tmp_path / "a.jpg")
    rows = Rows({"image": [(tmp_path / "a.jpg").read_bytes()] * 6})
    steps = in_turn(partial(data.crop, size=SIZE), data.turn, data.grey)
    flow = BatchData(rows, 6, example=data.example, augment=steps, mix=data.noisy)
    given, clean = next(iter(flow(0, 0)))
    assert given.shape == clean.shape == (6, SIZE, SIZE, 3)
    np.testing.assert_array_equal(clean, np.round(clean))
    assert (given.numpy() != clean.numpy()).any((1, 2, 3)).all()
    assert len(np.unique(clean.numpy(), axis=0)) == 6
    np.testing.assert_array_equal(next(iter(flow(0, 0)))[0], given)
