import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision import colorization
from keras_vision.colorization import build
from keras_vision.colorization.remembered import remembered
from keras_vision.colorization.weights import width_of
from keras_vision.layers import dilated
from keras_vision.layers.dilated import DilatedConv2D

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


@pytest.mark.parametrize(
    "arguments",
    [
        {"dilation_rate": 2},
        {"dilation_rate": (1, 3)},
        {"kernel_size": 2, "dilation_rate": 3},
        {"kernel_size": (4, 1), "dilation_rate": 2},
        {"dilation_rate": 2, "padding": "valid"},
        {"dilation_rate": 2, "groups": 3},
        {"strides": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("has_kernels", [True, False])
def test_dilated_kernel_equals_keras(monkeypatch, arguments, has_kernels):
    """Maps and gradients, with TensorFlow's kernel, and where it lacks one."""
    if has_kernels and not dilated.trains("float32"):
        pytest.skip("TensorFlow without oneDNN")
    monkeypatch.setattr(dilated, "trains", lambda dtype: has_kernels)
    arguments = {"filters": 6, "kernel_size": 3, "padding": "same", **arguments}
    own, expected = DilatedConv2D(**arguments), keras.layers.Conv2D(**arguments)
    x = tf.random.stateless_normal((2, 7, 9, 3), (0, 1))
    own.build(x.shape), expected.build(x.shape)
    expected.set_weights(own.get_weights())

    def maps_and_gradients(layer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            maps = layer(x)
            height = keras.ops.sum(maps**2)
        return maps, *tape.gradient(height, [x, layer.kernel.value, layer.bias.value])

    graph = tf.function(lambda x: own(x), input_signature=[tf.TensorSpec((None, None, None, 3))])
    np.testing.assert_allclose(graph(x), expected(x), atol=1e-5)
    for got, right in zip(maps_and_gradients(own), maps_and_gradients(expected), strict=True):
        np.testing.assert_allclose(got, right, atol=1e-4)


def test_gradients_in_every_precision():
    """Whatever TensorFlow's kernels lack there."""
    x = np.random.default_rng(0).normal(size=(2, 7, 9, 3))
    gradients = {}
    for dtype in ("float32", "float64", "bfloat16", "float16"):
        layer = DilatedConv2D(4, 3, padding="same", dilation_rate=2, dtype=dtype)
        layer.build(x.shape)
        layer.set_weights([0.1 * np.mgrid[:3, :3, :3, :4].sum(0), np.zeros(4)])
        with tf.GradientTape() as tape:
            height = keras.ops.sum(layer(x))
        gradients[dtype] = np.float64(tape.gradient(height, layer.kernel.value))
    largest = np.abs(gradients["float64"]).max()
    for gradient in gradients.values():
        np.testing.assert_allclose(gradient, gradients["float64"], atol=0.03 * largest)


@pytest.mark.skipif(not dilated.trains("float32"), reason="TensorFlow without oneDNN")
def test_curvature_of_dilated_kernels():
    """Gradients of gradients, as penalties on gradients need them."""
    x, kernel = tf.random.stateless_normal((1, 5, 6, 2), (0, 1)), tf.ones((3, 3, 2, 2))

    def curvature(convolve):
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch([x, kernel])
                height = tf.reduce_sum(convolve(x, kernel) ** 3)
            slopes = inner.gradient(height, [x, kernel])
            steepness = sum(tf.reduce_sum(slope**2) for slope in slopes)
        return outer.gradient(steepness, [x, kernel])

    own = curvature(lambda x, kernel: dilated.convolution(x, kernel, (2, 2)))
    right = curvature(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME", dilations=2))
    for got, expected in zip(own, right, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3)


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
    with pytest.raises(ValueError, match=r"model\.weights\.h5 lacks scaled_ab/kernel.* 313\)"):
        build(bins=None, weights=path)
    for name in ("imagenet", ""):
        with pytest.raises(FileNotFoundError, match=r"neither a file nor .*\['tiny_imagenet'\]"):
            build(weights=name)
    for name in ("model.keras", "broken.weights.h5"):
        (tmp_path / name).write_bytes(b"no weights")
        with pytest.raises(ValueError, match=f"{name} is no whole file of weights"):
            build(weights=tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(({"width": w}, "width must be at least 1/64") for w in (0, -1, 0.0156, np.nan, np.inf)),
        ({"width": "wide"}, "width must be at least 1/64"),
        ({"width": 0, "weights": "tiny_imagenet"}, "width must be at least 1/64"),
        *(({"bins": b}, "bins must be None, .* or an integer") for b in (0, -5, 2.5, "many")),
        ({"bins": 2}, "an integer above 2"),  # two outputs are the L2 twin's
        *(
            ({"input_shape": shape}, r"input_shape must be \(H, W, 1\)")
            for shape in ((), (64, 64), (64, 64, 3), (2, 64, 64, 1), (0, 8, 1), (8, -8, 1), 64)
        ),
        ({"input_shape": (64.0, 64, 1)}, "input_shape must be"),
    ],
)
def test_what_makes_no_network_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_the_narrowest_network():
    model = build(input_shape=[None, 16, 1], bins=3, width=1 / 64)
    assert model(photo(9, 16)).shape == (1, 4, 4, 3)
    assert model.get_layer("conv1_1").filters == 1


def test_a_model_of_another_kind(tmp_path):
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(512, 3)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"other\.keras lacks .*conv1_1/kernel"):
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


@pytest.mark.slow
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
    model.fit(lightness, ab, epochs=80, verbose=0)
    trained = keras.Model(model.input, model(model.input, training=True))
    predicted = np.asarray(colorization.grid.to_pixels(trained(lightness), 16, 16))
    assert np.abs(predicted - ab).mean() < 12, first


def test_size_and_temperature_are_remembered(tmp_path):
    """By every kind of file; the size is what training has seen, and nothing else changes it."""
    model = build(width=1 / 64)
    assert remembered(model) == (256, 0.38)
    model.compile("sgd", colorization.RebalancedCrossEntropy())
    model.predict_on_batch(np.zeros((1, 16, 16, 1)))
    assert remembered(model) == (256, 0.38)
    model.train_on_batch(np.zeros((2, 40, 90, 1)), np.zeros((2, 40, 90, 2)))
    model.get_layer("remembered").temperature.assign(0.7)
    assert remembered(model) == (60, 0.7)
    model.save(tmp_path / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    for path in (tmp_path / "a.keras", tmp_path / "a.weights.h5"):
        assert remembered(build(weights=path)) == (60, 0.7)
    assert remembered(keras.models.load_model(tmp_path / "a.keras")) == (60, 0.7)
    assert remembered(keras.Sequential([keras.layers.Dense(1)])) == (256, 0.38)


def test_photos_are_coloured_as_the_model_remembers(monkeypatch):
    model, shapes = build(width=1 / 64), []
    model.get_layer("remembered").size.assign(24)
    predict = model.predict_on_batch
    monkeypatch.setattr(model, "predict_on_batch", lambda x: shapes.append(x.shape) or predict(x))
    rgb = np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype("uint8")
    colorization.colorize(model, rgb)
    colorization.colorize(model, rgb, size=40)
    assert shapes == [(1, 24, 24, 1), (1, 40, 40, 1)]
    model.get_layer("remembered").temperature.assign(0.0)
    np.testing.assert_array_equal(
        colorization.colorize(model, rgb), colorization.colorize(model, rgb, temperature=0)
    )
