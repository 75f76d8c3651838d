import numpy as np
import tensorflow as tf

from keras_vision.classification import data


def test_shift_moves_by_up_to_two_pixels_each_way():
    image = np.zeros((9, 9, 1), "uint8")
    image[4, 4] = 200
    moves = set()
    for seed in range(300):
        raw = data.shift({"image": tf.constant(image), "label": 3}, (0, seed))
        ((y, x),) = np.argwhere(raw["image"].numpy()[..., 0] == 200)
        moves.add((y - 4, x - 4))
        assert raw["image"].shape == image.shape
        assert raw["label"] == 3
    assert moves == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_the_same_in_a_graph():
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (28, 28, 1), "uint8"))
    eager = data.shift({"image": image}, (1, 2))["image"]
    graph = tf.function(data.shift)({"image": image}, (1, 2))["image"]
    np.testing.assert_array_equal(eager, graph)
