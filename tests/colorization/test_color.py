import numpy as np
import pytest
import skimage.color
import tensorflow as tf

from keras_vision.colorization.color import grey, lab_to_rgb, rgb_to_lab

CUBE = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3, indexing="ij"), -1).reshape(-1, 3)
CUBE = CUBE.astype("uint8")


def test_lab_equals_scikit_image():
    expected = skimage.color.rgb2lab(CUBE[None])[0]
    np.testing.assert_allclose(rgb_to_lab(CUBE), expected, atol=1e-3)


def test_rgb_equals_scikit_image():
    lab = skimage.color.rgb2lab(CUBE[None])[0]
    expected = 255 * skimage.color.lab2rgb(lab[None])[0]
    np.testing.assert_allclose(lab_to_rgb(lab), expected, atol=0.01)


def test_round_trip():
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(CUBE)), CUBE, atol=0.5)


def test_lab_of_known_colours():
    lab = rgb_to_lab(np.uint8([[255, 255, 255], [0, 0, 0], [255, 0, 0]]))
    np.testing.assert_allclose(lab, [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.1)


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
def test_colours_beyond_the_gamut_are_clipped_as_in_scikit_image():
    lab = np.random.default_rng(0).uniform([0, -110, -110], [100, 110, 110], (20_000, 3))
    rgb = np.asarray(lab_to_rgb(lab))
    assert rgb.min() >= 0
    assert rgb.max() <= 255
    np.testing.assert_allclose(rgb, 255 * skimage.color.lab2rgb(lab[None])[0], atol=0.1)


@pytest.mark.parametrize("convert", [rgb_to_lab, lab_to_rgb])
def test_gradients_are_finite_everywhere(convert):
    x = tf.constant(
        np.concatenate([CUBE[::50], np.zeros((1, 3)), np.full((1, 3), 255)]), "float32"
    )
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = convert(x)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_any_leading_shape_in_a_graph():
    graph = tf.function(rgb_to_lab, input_signature=[tf.TensorSpec((None, None, None, 3))])
    rgb = np.float32(CUBE[:60].reshape(3, 4, 5, 3))
    np.testing.assert_allclose(graph(rgb)[1, 2, 3], rgb_to_lab(rgb[1, 2, 3]), atol=1e-4)
    assert rgb_to_lab(np.zeros((0, 3))).shape == (0, 3)


def test_grey_keeps_lightness_and_drops_colour():
    photo = CUBE[::997]
    lab = skimage.color.rgb2lab(grey(photo)[None])[0]
    assert np.abs(lab[:, 1:]).max() < 0.1
    # Half a grey level is at most 0.3 of L.
    np.testing.assert_allclose(lab[:, 0], skimage.color.rgb2lab(photo[None])[0][:, 0], atol=0.3)
