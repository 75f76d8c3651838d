"""Pieces make what the whole would, where no pixel sees farther than their margins."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_vision import tiles
from keras_vision.restoration import denoiser
from keras_vision.segmentation import unet


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(tiles, "WHOLE", 100**2)
    monkeypatch.setattr(tiles, "CORE", 64)


def rattled(model):
    """The model with random weights, biases too."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(weight + 0.1 * random.normal(size=weight.shape))
    return model


def pictures(*shape):
    return np.random.default_rng(1).integers(0, 256, shape).astype("float32")


MODELS = {
    "unet": lambda: unet.build(2, filters=2),
    "denoiser": lambda: denoiser.build(filters=4),
    "dncnn": lambda: denoiser.dncnn(filters=4),
}


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("size", [(250, 190), (65, 400), (193, 129)])
def test_pieces_make_the_whole(small_pieces, build, size):
    model = rattled(build())
    photos = pictures(2, *size, 3)
    found = tiles.Tiled(model, np.asarray).predict_on_batch(photos)
    whole = model.predict_on_batch(photos)
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-4 * np.abs(whole).max())


def test_what_is_small_goes_through_whole(small_pieces):
    seen = []

    class Spy:
        input_shape = (None, None, None, 3)

        def compute_output_shape(self, shape):
            return shape

        def predict_on_batch(self, photos):
            seen.append(photos.shape)
            return photos

    tiled = tiles.Tiled(Spy(), np.asarray)
    assert tiled.predict_on_batch(pictures(5, 50, 60, 3)).shape == (5, 50, 60, 3)
    assert seen == [(3, 50, 60, 3), (2, 50, 60, 3)]
    seen.clear()
    photo = pictures(1, 300, 64, 3)
    np.testing.assert_array_equal(tiled.predict_on_batch(photo), photo)
    assert {shape[:1] + shape[2:] for shape in seen} == {(1, 64, 3)}
    assert max(shape[1] for shape in seen) == 64 + 2 * tiles.MARGIN


@pytest.mark.parametrize("size", [(1, 1), (30, 700), (388, 388)])
def test_networks_without_padding_see_a_mirror_image(size):
    """Figure 2 of U-Net's paper: each piece by hand, from the picture with its mirror images."""
    model = rattled(unet.build(2, channels=1, filters=2, valid=True))
    photo = pictures(1, *size, 1)
    found = tiles.Tiled(model, np.asarray).predict_on_batch(photo)
    assert found.shape == (1, *size, 2)
    beyond = [(92, 92 + -side % 388) for side in size]
    mirrored = np.pad(photo, [(0, 0), *beyond, (0, 0)], "symmetric")
    np.testing.assert_allclose(
        found[:, :388, :388],
        model.predict_on_batch(mirrored[:, :572, :572])[:, : size[0], : size[1]],
        atol=1e-5,
    )


def test_each_is_called_piece_by_piece(small_pieces):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layers.Rescaling(2.0)(inputs))
    sizes = []

    def each(outputs):
        sizes.append(outputs.shape)
        return outputs.argmax(-1).astype("uint8")

    photo = pictures(1, 130, 130, 3)
    found = tiles.Tiled(model, each).predict_on_batch(photo)
    assert (found.dtype, found.shape) == (np.uint8, (1, 130, 130))
    np.testing.assert_array_equal(found, photo.argmax(-1))
    assert len(sizes) == 9


@pytest.mark.parametrize(
    ("layer", "made"),
    [(layers.AveragePooling2D(2), "286 and"), (layers.UpSampling2D(2), "1144 and"),
     (layers.ZeroPadding2D(2), "576 and"), (layers.Conv2D(3, 2), "571 and")],
)  # fmt: skip
def test_networks_that_answer_other_pixels(layer, made):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layer(inputs), name="other")
    with pytest.raises(ValueError, match=f"expected other to answer each pixel.*makes {made}"):
        tiles.Tiled(model, np.asarray)
