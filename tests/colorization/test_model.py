import keras
import numpy as np
import pytest

from keras_vision import colorization
from keras_vision.colorization import build, dilated
from keras_vision.colorization.dilated import DilatedConv2D
from keras_vision.colorization.weights import width_of

TINY = 1 / 16


def trainable(model):
    return sum(np.prod(v.shape) for v in model.trainable_variables)


def photo(height, width, seed=0):
    return np.random.default_rng(seed).uniform(0, 100, (1, height, width, 1)).astype("float32")


def test_the_papers_parameters():
    assert trainable(build()) == 32_235_385


def test_width_scales_the_filters():
    assert trainable(build(width=0.25)) == 2_032_585


@pytest.mark.parametrize(
    ("size", "cells"),
    [((64, 64), (16, 16)), ((1, 1), (2, 2)), ((37, 50), (10, 14)), ((8, 129), (2, 34))],
)
def test_output_has_a_cell_for_every_4x4_pixels(size, cells):
    assert build(width=TINY)(photo(*size)).shape == (1, *cells, 313)
    assert build(bins=None, width=TINY)(photo(*size)).shape == (1, *cells, 2)


def test_twins_differ_by_the_last_layer_only():
    shapes = [[w.shape for w in build(bins=b, width=TINY).weights] for b in (313, None)]
    assert shapes[0][:-2] == shapes[1][:-2]


def test_strided_convolutions_see_all_sides_alike():
    """With weights that are mirror images of themselves, a mirrored photo gives mirrored maps.

    Holds for odd sizes only, where the stride reaches both borders alike.
    """
    model = build(width=TINY)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = layer.get_weights()[0]
            layer.set_weights([(kernel + kernel[:, ::-1]) / 2, *layer.get_weights()[1:]])
    before = keras.Model(model.input, model.get_layer("conv7_norm").output)
    x = photo(33, 41)
    mirrored = np.asarray(before(x[:, :, ::-1]))
    np.testing.assert_allclose(mirrored, np.asarray(before(x))[:, :, ::-1], atol=1e-5)


def test_dilated_kernel_equals_keras(monkeypatch):
    layer = DilatedConv2D(4, 3, padding="same", dilation_rate=2)
    x = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype("float32")
    own = layer(x)
    expected = keras.layers.Conv2D(4, 3, padding="same", dilation_rate=2)
    expected.build(x.shape)
    expected.set_weights(layer.get_weights())
    np.testing.assert_allclose(own, expected(x), atol=1e-5)
    monkeypatch.setattr(dilated, "trains_dilated_kernels", lambda: False)
    np.testing.assert_allclose(layer(x), expected(x), atol=1e-5)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
@pytest.mark.parametrize("bins", [313, None])
def test_saved_and_loaded(tmp_path, suffix, bins):
    model = build(bins=bins, width=0.1)
    path = tmp_path / f"model{suffix}"
    model.save(path) if suffix == ".keras" else model.save_weights(path)
    again = build(bins=bins, weights=path)  # the width is read from the file
    np.testing.assert_array_equal(again(photo(20, 24)), model(photo(20, 24)))
    if suffix == ".keras":
        loaded = keras.saving.load_model(path)
        np.testing.assert_array_equal(loaded(photo(20, 24)), model(photo(20, 24)))


@pytest.mark.parametrize("width", [0.05, 0.25, 0.3, 1 / 3])
def test_width_is_read_from_a_file(tmp_path, width):
    path = tmp_path / "model.weights.h5"
    build(width=width).save_weights(path)
    assert int(512 * width_of(path)) == int(512 * width)
    build(weights=path, width=width)


def test_weights_that_do_not_fit(tmp_path):
    path = tmp_path / "model.weights.h5"
    build(width=TINY).save_weights(path)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 holds a network of width 0\.0625"):
        build(width=0.25, weights=path)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 does not fit .* 2 outputs"):
        build(bins=None, weights=path)
    with pytest.raises(FileNotFoundError, match=r"neither a file nor .*\['tiny_imagenet'\]"):
        build(weights="imagenet")
    for name in ("model.keras", "broken.weights.h5"):
        (tmp_path / name).write_bytes(b"no weights")
        with pytest.raises(ValueError, match=f"{name} is no weights file"):
            build(weights=tmp_path / name)


def test_a_model_of_another_kind(tmp_path):
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(512, 3)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"other\.keras does not fit this network"):
        build(weights=tmp_path / "other.keras")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_near_float32(precision):
    model = build(weights="tiny_imagenet")
    keras.config.set_dtype_policy(precision)
    try:
        half = build(weights="tiny_imagenet")
    finally:
        keras.config.set_dtype_policy("float32")
    logits = half(photo(64, 64))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    difference = np.abs(np.asarray(logits) - np.asarray(model(photo(64, 64))))
    assert difference.mean() < 0.1


@pytest.mark.parametrize("bins", [313, None])
def test_overfits_a_small_batch(bins):
    """Four photos of one colour each, told apart by their lightness."""
    ab = np.float32([[60, 50], [-60, 50], [10, -50], [-5, 60]])[:, None, None]
    ab = np.broadcast_to(ab, (4, 16, 16, 2))
    lightness = np.broadcast_to(np.float32([20, 40, 60, 80])[:, None, None, None], (4, 16, 16, 1))
    model = build(bins=bins, width=TINY)
    loss = colorization.RebalancedCrossEntropy() if bins else colorization.L2()
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=[colorization.AuC()])
    first = model.evaluate(lightness, ab, verbose=0)[0]
    model.fit(lightness, ab, epochs=60, verbose=0)
    trained = keras.Model(model.input, model(model.input, training=True))
    predicted = np.asarray(colorization.grid.to_pixels(trained(lightness), 16, 16))
    assert np.abs(predicted - ab).mean() < 12, first
