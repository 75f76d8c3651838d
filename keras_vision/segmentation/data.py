"""Photos and label maps as a segmenter learns from them.

A raw dict has an "image" uint8 (H, W, 3) and a "label_map" int32 (H, W), 255 where void. Keras'
layers go along with it by `augment.by`; here is what they lack.
"""

import numpy as np
import tensorflow as tf

from keras_vision import resizing
from keras_vision.images import VOID
from keras_vision.segmentation.metrics import among


def example(raw, classes):
    """(image, label map) of a raw dict.

    Raises InvalidArgumentError for labels that are neither in 0..classes-1 nor 255.
    """
    labels = raw["label_map"]
    wrong = (labels < 0) | ((labels >= classes) & (labels != VOID))
    told = [f"labels are not in 0..{classes - 1}, nor 255:", tf.unique(labels[wrong]).y]
    tf.debugging.Assert(~tf.reduce_any(wrong), told)
    return raw["image"], labels


def from_instances(raw):
    """The raw dict with a "label_map" of its "masks" (N, H, W) and "labels" (N,).

    0 is what no mask covers, a class c becomes c + 1; where masks overlap the smaller one is seen,
    and crowds are void.
    """
    masks, labels = raw["masks"], raw["labels"] + 1
    if "crowd" in raw:
        labels = tf.where(raw["crowd"], VOID, labels)
    order = tf.argsort(tf.math.count_nonzero(masks, (1, 2)), direction="DESCENDING")
    painted = tf.zeros(tf.shape(masks)[1:], tf.int32)

    def paint(found, number):
        return tf.where(masks[number], labels[number], found)

    return {**raw, "label_map": tf.foldl(paint, order, painted)}


def resize(raw, size, whole=None, corner=(0, 0)):
    """The photo and its labels resized to (height, width); labels stay what they are.

    whole, corner: of what is resized to `whole`, only the part of `size` at `corner`.
    """
    image = resizing.bilinear(raw["image"], size, whole, corner)
    labels = resizing.nearest(raw["label_map"], size, whole, corner)
    return {**raw, "image": tf.saturate_cast(tf.round(image), tf.uint8), "label_map": labels}


def resized(raw, seed=None, *, short):
    """`resize` to this short side, as `segment` shows photos to a network."""
    shape = tf.cast(tf.shape(raw["image"])[:2], tf.float64)
    return resize(raw, tf.cast(tf.round(shape * short / tf.reduce_min(shape)), tf.int32))


def crop(raw, seed, size, scales=(0.5, 2.0)):
    """A random part (height, width) of the photo, which is resized by a random factor before.

    Where the photo ends before the part does, there is black, and void.
    """
    draw = tf.random.stateless_uniform((3,), seed)
    scale = scales[0] * (scales[1] / scales[0]) ** draw[0]
    shape = tf.cast(tf.shape(raw["image"])[:2], tf.float32)
    whole = tf.maximum(tf.cast(tf.round(shape * scale), tf.int32), 1)
    spare = tf.cast(tf.maximum(whole - size, 0) + 1, tf.float32)
    corner = tf.cast(draw[1:] * spare, tf.int32)
    raw = resize(raw, tf.minimum(whole, size), whole, corner)

    def padded(maps, padding):
        beyond = [[0, size[n] - tf.shape(maps)[n]] for n in (0, 1)]
        beyond += [[0, 0]] * (len(maps.shape) - 2)
        maps = tf.pad(maps, beyond, constant_values=padding)
        return tf.ensure_shape(maps, (*size, *maps.shape[2:]))

    image, labels = padded(raw["image"], 0), padded(raw["label_map"], VOID)
    return {**raw, "image": image, "label_map": labels}


def elastic(raw, seed, deviation=10.0, grid=3):
    """Bends the photo and its labels smoothly; beyond its edges it goes on as its mirror image.

    Ronneberger et al. 2015, section 3.1: `grid` x `grid` points are moved by normal distances of
    this deviation, in pixels, and those between them by bicubic interpolation.
    """
    shape = tf.shape(raw["image"])[:2]
    moved = tf.random.stateless_normal((1, grid, grid, 2), seed, 0, deviation)
    moved = tf.image.resize(moved, shape, "bicubic")[0]
    rows, columns = tf.meshgrid(*(tf.range(shape[n]) for n in (0, 1)), indexing="ij")
    places = tf.cast(tf.stack([rows, columns], -1), tf.float32) + moved
    return {
        **raw,
        "image": tf.saturate_cast(tf.round(bilinear(raw["image"], places)), tf.uint8),
        "label_map": at(raw["label_map"], tf.cast(tf.round(places), tf.int32)),
    }


def bilinear(maps, places):
    """Maps (H, W, C) at places (H', W', 2), rows and columns with fractions, float32."""
    first = tf.floor(places)
    share = (places - first)[..., None, :]
    first = tf.cast(first, tf.int32)
    found = 0.0
    for row in (0, 1):
        for column in (0, 1):
            weight = [share[..., n] if one else 1 - share[..., n]
                      for n, one in enumerate((row, column))]  # fmt: skip
            corner = tf.cast(at(maps, first + tf.constant([row, column])), tf.float32)
            found += weight[0] * weight[1] * corner
    return found


def at(maps, places):
    """Maps (H, W, ...) at whole places (H', W', 2), mirrored at the edges."""
    size = tf.shape(maps)[:2]
    inside = tf.math.floormod(places, 2 * size)
    return tf.gather_nd(maps, tf.minimum(inside, 2 * size - 1 - inside))


def median_frequency(rows, classes):
    """Weights (classes,) of a dataset: the median of the classes' frequencies over each of them.

    Eigen, Fergus 2015, section 6.3.2: a frequency is of pixels, among all that are not void in
    photos that show the class. A class that none shows gets 0, for it costs nothing anyway.
    Raises ValueError for labels that are neither in 0..classes-1 nor 255.
    """
    of_class, around = np.zeros(classes), np.zeros(classes)
    for raw in rows.as_numpy_iterator():
        labels = raw["label_map"]
        counts = np.bincount(among(labels[labels != VOID], classes), minlength=classes)
        of_class += counts
        around += (counts > 0) * counts.sum()
    frequency = of_class / np.maximum(around, 1)
    shown = frequency > 0
    weights = np.zeros(classes)
    if shown.any():
        weights[shown] = np.median(frequency[shown]) / frequency[shown]
    return weights
