import sys
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from keras_vision.classification import data
from keras_vision.classification.recipes import MIXES, RECIPES, grid_mask
from keras_vision.datasets import samples
from keras_vision.pipeline import BatchData
from keras_vision.rows import Rows

PHOTO = samples.photos()["cat"][20:212, 100:292]


def drawn(recipe, count=8):
    """`count` draws of a recipe in a pipeline: uint8 (count, H, W, 3)."""
    rows = Rows({"image": np.stack([PHOTO] * count), "label": np.arange(count)})
    flow = BatchData(rows, count, augment=recipe, shuffle=False)
    images, labels = next(iter(flow(0, 3)))
    assert labels.numpy().tolist() == list(range(count))
    return images.numpy()


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_changes_pictures_and_keeps_what_they_show(name):
    images = drawn(RECIPES[name])
    assert images.dtype == np.uint8
    assert images.shape == (8, 192, 192, 3)
    assert len({image.tobytes() for image in images}) > 1
    np.testing.assert_array_equal(images, drawn(RECIPES[name]))
    if name != "rand_augment":  # it may invert
        assert np.abs(images.mean() - PHOTO.mean()) < 30


def test_noise_has_the_deviation_that_it_says():
    grey = {"image": tf.fill((100, 100, 3), np.uint8(128))}
    noisy = data.noise(grey, (1, 2), deviation=5.0)["image"].numpy().astype(float)
    assert abs(noisy.std() - 5) < 0.1
    assert abs(noisy.mean() - 128) < 0.1


@pytest.mark.parametrize("name", MIXES)
def test_mixes_share_pictures_and_labels_alike(name):
    black_and_white = np.repeat(np.uint8([0, 255]), 16)[:, None, None, None]
    images = np.broadcast_to(black_and_white, (32, 40, 40, 3)).copy()
    rows = Rows({"image": images, "label": np.repeat([0, 1], 16)})
    example = partial(data.one_hot, 2)
    mixed, labels = next(iter(BatchData(rows, 32, example=example, mix=MIXES[name])(0, 1)))
    share = np.mean(mixed, (1, 2, 3)) / 255
    np.testing.assert_allclose(labels.numpy()[:, 1], share, atol=0.05)
    assert ((share > 0.01) & (share < 0.99)).any()


def test_in_turn_gives_each_step_a_seed_of_its_own():
    seeds = []

    def step(raw, seed):
        seeds.append(tuple(np.asarray(seed)))
        return raw | {"count": raw["count"] + 1}

    assert data.in_turn(step, step, step)({"count": 0}, tf.constant([1, 2]))["count"] == 3
    assert len(set(seeds)) == 3


def test_grid_mask_hides_a_grid():
    pytest.importorskip("keras_cv")
    images = drawn(grid_mask(ratio_factor=(0.4, 0.6), fill_value=0))
    hidden = [np.all(image == 0, -1).mean() - np.all(PHOTO == 0, -1).mean() for image in images]
    assert all(0.05 < share < 0.5 for share in hidden)
    assert len({image.tobytes() for image in images}) == 8


def test_grid_mask_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv.layers", None)
    with pytest.raises(ImportError, match=r"GridMask needs keras-cv: pip install"):
        grid_mask()
