"""Augmentation of pictures that are to be classified."""

import tensorflow as tf


def shift(raw, seed, pixels=2):
    """Moves the picture (H, W, C) by up to `pixels` up or down and left or right; 0 comes in."""
    image = raw["image"]
    border = [[pixels, pixels], [pixels, pixels], [0, 0]]
    moved = tf.image.stateless_random_crop(tf.pad(image, border), image.shape, seed)
    return {**raw, "image": moved}
