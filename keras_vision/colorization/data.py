"""From a raw dict with an "image" to what the colouriser eats."""

import tensorflow as tf

from keras_vision.colorization.color import rgb_to_lab


def pair(raw):
    """sRGB uint8 (H, W, 3) -> L (H, W, 1) and ab (H, W, 2), float32."""
    lab = rgb_to_lab(raw["image"])
    return lab[..., :1], lab[..., 1:]


def flip(raw, seed):
    """A photo and its mirror image are equally likely."""
    return {**raw, "image": tf.image.stateless_random_flip_left_right(raw["image"], seed)}
