"""Photos as a denoiser learns from them: clean crops, and the same with noise."""

import tensorflow as tf

from keras_vision.classification.data import part, shape_of

LEVELS = 0.0, 55.0  # deviations of the noise that a network learns to take away
GREY = 0.3  # share of the crops without colours
WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue in a grey photo, as Pillow has them


def crop(raw, seed, size, most=2.5):
    """A random square of the photo, of `size` to `most * size` pixels a side, as (size, size, 3).

    What is shrunk has lost most of the noise and the blocks that photos in files have.
    """
    draw = tf.random.stateless_uniform((3,), seed)
    shape = tf.cast(shape_of(raw["image"])[:2], tf.float32)
    side = tf.minimum(tf.floor(size * most ** draw[0]), tf.reduce_min(shape))
    begin = tf.cast(draw[1:] * (shape - side + 1), tf.int32)
    extent = tf.cast([side, side], tf.int32)
    begin = tf.minimum(begin, tf.cast(shape, tf.int32) - extent)
    return {**raw, "image": part(raw["image"], begin, extent, size)}


def turn(raw, seed):
    """One of the eight ways to lay down a square."""
    draw = tf.random.stateless_uniform((2,), seed, 0, 4, tf.int32)
    image = tf.image.rot90(raw["image"], draw[0])
    return {**raw, "image": tf.cond(draw[1] < 2, lambda: image, lambda: image[:, ::-1])}


def grey(raw, seed):
    """Takes the colours from some of the crops; red, green and blue are then the same."""
    image = raw["image"]
    bright = tf.reduce_sum(tf.cast(image, tf.float32) * WEIGHTS, axis=-1, keepdims=True)
    bright = tf.broadcast_to(tf.cast(tf.round(bright), tf.uint8), tf.shape(image))
    is_grey = tf.random.stateless_uniform((), seed) < GREY
    return {**raw, "image": tf.ensure_shape(tf.where(is_grey, bright, image), image.shape)}


def example(raw):
    """(picture, picture), float32 (H, W, 3) in 0..255: noise is for `noisy`, batch by batch."""
    image = tf.cast(raw["image"], tf.float32)
    return image, image


def noisy(batch, seed, levels=LEVELS):
    """Adds normal noise to the first of (pictures, pictures), of another deviation to each.

    Grey pictures have it the same in all channels. Half of the pictures are rounded to whole
    numbers in 0..255, as in files; of the others, noise goes beyond these.
    """
    pictures, clean = batch
    seeds = tf.unstack(tf.random.split(seed, 3))
    each = (tf.shape(pictures)[0], 1, 1, 1)
    deviation = tf.random.stateless_uniform(each, seeds[0], *levels)
    noise = tf.random.stateless_normal(tf.shape(pictures), seeds[1])
    is_grey = tf.reduce_all(pictures == pictures[..., :1], axis=(1, 2, 3), keepdims=True)
    found = pictures + deviation * tf.where(is_grey, noise[..., :1], noise)
    rounded = tf.clip_by_value(tf.round(found), 0, 255)
    in_file = tf.random.stateless_uniform(each, seeds[2]) < 0.5
    return tf.ensure_shape(tf.where(in_file, rounded, found), clean.shape), clean
