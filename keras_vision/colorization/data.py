"""From a raw dict with an "image" to what the colouriser eats."""

import tensorflow as tf

from keras_vision.colorization.color import rgb_to_lab
from keras_vision.pipeline import for_batches


@for_batches
def pair(raw):
    """sRGB uint8 (..., H, W, 3) -> L (..., H, W, 1) and ab (..., H, W, 2), float32."""
    return lightness_and_ab(raw["image"])


@tf.function(jit_compile=True)  # XLA makes one loop of it, in a third of the processors' time
def lightness_and_ab(rgb):
    lab = rgb_to_lab(rgb)
    return lab[..., :1], lab[..., 1:]


def zoom(raw, seed):
    """A random part of the photo, half to all of each side, as large as the whole, or mirrored.

    The part's size, its place and the mirroring are drawn apart from each other.
    """
    of_size, of_place, of_mirror = tf.unstack(tf.random.split(seed, 3))
    height, width, _ = raw["image"].shape
    share = tf.random.stateless_uniform((), of_size, 0.5, 1)
    part = tf.cast(tf.math.ceil(share * (height, width)), tf.int32)  # of one pixel, too
    image = tf.image.stateless_random_crop(raw["image"], [*tf.unstack(part), 3], of_place)
    image = tf.cast(tf.round(tf.image.resize(image, (height, width))), tf.uint8)
    return {**raw, "image": tf.image.stateless_random_flip_left_right(image, of_mirror)}
