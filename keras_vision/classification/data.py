"""Photos cropped and augmented for classifiers.

What a dataset read with decode=False has as its "image" is the bytes of a file: of a JPEG, no
more than the crop is decoded.
"""

import tensorflow as tf

from keras_vision import resizing
from keras_vision.datasets import _photos


def crop(raw, seed, size, area=(0.08, 1.0)):
    """A random part of the photo, stretched to (size, size, 3), uint8.

    Szegedy et al. 2015, section 6: it has a share of the photo's `area`, and is up to 4/3 as wide
    as high, or as high as wide.
    """
    shape = shape_of(raw["image"])
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        tf.zeros((1, 0, 4)),
        seed,
        aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=area,
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    return {**raw, "image": part(raw["image"], begin[:2], extent[:2], size)}


def central(raw, size, share=7 / 8):
    """The middle of the photo, a square of 7/8 of its short side, as (size, size, 3), uint8."""
    shape = shape_of(raw["image"])[:2]
    side = tf.cast(tf.round(share * tf.cast(tf.reduce_min(shape), tf.float32)), tf.int32)
    side = tf.maximum(side, 1)
    return {**raw, "image": part(raw["image"], (shape - side) // 2, [side, side], size)}


def part(image, begin, extent, size):
    """Rows and columns of a photo, or of the bytes of one, resized to (size, size, 3)."""
    (top, left), (height, width) = tf.unstack(begin), tf.unstack(extent)

    def cut(image):
        return image[top : top + height, left : left + width]

    def decoded():
        window = tf.stack([top, left, height, width])
        return tf.io.decode_and_crop_jpeg(image, window, 3, dct_method="INTEGER_ACCURATE")

    if image.dtype == tf.string:
        part = tf.cond(tf.io.is_jpeg(image), decoded, lambda: cut(_photos.decoded(image)))
    else:
        part = cut(image)
    seen = resizing.bilinear(part, (size, size))
    return tf.ensure_shape(tf.cast(seen + 0.5, tf.uint8), (size, size, 3))


def shape_of(image):
    """(height, width, 3) of a photo, or of what these bytes are a photo of."""
    if image.dtype != tf.string:
        return tf.shape(image)
    return tf.cond(
        tf.io.is_jpeg(image),
        lambda: tf.io.extract_jpeg_shape(image),
        lambda: tf.shape(_photos.decoded(image)),
    )


def flip(raw, seed):
    """Mirrors every other photo."""
    return {**raw, "image": tf.image.stateless_random_flip_left_right(raw["image"], seed)}


def noise(raw, seed, deviation=10.0):
    """Adds normal noise to each number of the picture, uint8."""
    image = tf.cast(raw["image"], tf.float32)
    image += deviation * tf.random.stateless_normal(tf.shape(image), seed)
    return {**raw, "image": tf.saturate_cast(tf.round(image), tf.uint8)}


def shift(raw, seed, pixels=2):
    """Moves the picture (H, W, C) by up to `pixels` up or down and left or right; 0 comes in."""
    image = raw["image"]
    border = [[pixels, pixels], [pixels, pixels], [0, 0]]
    moved = tf.image.stateless_random_crop(tf.pad(image, border), image.shape, seed)
    return {**raw, "image": moved}


def one_hot(classes, raw):
    """The example function (image, one-hot label) for smoothed or mixed labels: use `partial`.

    A label that is no class is an error; `tf.one_hot` would make nothing but zeros of it.
    """
    label = raw["label"]
    tf.debugging.Assert((label >= 0) & (label < classes), ["label", label, "of classes", classes])
    return raw["image"], tf.one_hot(label, classes)


def in_turn(*steps):
    """Several functions (raw, seed) -> raw as one, each with a seed of its own."""

    def augmented(raw, seed):
        for number, step in enumerate(steps):
            raw = step(raw, tf.random.fold_in(seed, number))
        return raw

    return augmented
