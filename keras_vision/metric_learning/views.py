"""Views of a picture that shall be alike: the augmentations of SimCLR (Chen et al. 2020, fig. 4).

A step is a function (images (B, H, W, 3) in 0..255, seed (2,)) -> images float32 of the same
shape, and treats each picture on its own. `jitter`, `cutout`, `blur` make steps of Keras' layers.
"""

import math
from functools import partial

import keras
from keras import layers, ops

from keras_vision import augment
from keras_vision.augment import GivenSeed


def by(layer):
    """The step of one of Keras' layers."""
    augmented = augment.by(layer)

    def step(images, seed):
        nobody = ops.zeros((ops.shape(images)[0], 1))
        return augmented((ops.cast(images, "float32"), nobody), seed)[0]

    return step


def uniform(images, seed, draw, low=0.0, high=1.0):
    """A number for each image, (B, 1, 1, 1); another for each `draw`."""
    shape = (ops.shape(images)[0], 1, 1, 1)
    return keras.random.uniform(shape, low, high, seed=GivenSeed(seed + draw))


def crop(images, seed, area=(0.2, 1.0), ratio=(3 / 4, 4 / 3)):
    """A part with this share of the area, stretched to the whole (Szegedy et al. 2015)."""
    _, height, width, _ = ops.shape(images)
    share = uniform(images, seed, 0, *area)
    shape = ops.exp(uniform(images, seed, 1, *map(math.log, ratio)))
    wide, high = (ops.minimum(ops.sqrt(share * by), 1.0) for by in (shape, 1 / shape))
    left = uniform(images, seed, 2) * (1 - wide) * width
    top = uniform(images, seed, 3) * (1 - high) * height
    # Pixel i has its centre at i + 1/2.
    left, top = left + wide / 2 - 0.5, top + high / 2 - 0.5
    rows = [wide, 0 * wide, left, 0 * wide, high, top, 0 * wide, 0 * wide]
    transforms = ops.reshape(ops.concatenate(rows, axis=-1), (-1, 8))
    return ops.image.affine_transform(ops.cast(images, "float32"), transforms, fill_mode="nearest")


def flip(images, seed):
    return sometimes(images, ops.flip(images, axis=2), seed, 0.5)


def drop_colour(images, seed, chance=1.0):
    images = ops.cast(images, "float32")
    return sometimes(images, 0 * images + ops.image.rgb_to_grayscale(images), seed, chance)


def jitter(strength=1.0):
    """Contrast and saturation change by a factor of up to 1 +- 0.8, as in SimCLR, hue by 0.2 of
    the circle, and brightness by up to 0.4 of white, all times the strength.
    """
    share = 0.8 * strength
    # Keras multiplies the saturation by s / (1 - s).
    saturation = (1 - share) / (2 - share), (1 + share) / (2 + share)
    return by(layers.RandomColorJitter((0, 255), share / 2, share, saturation, 0.2 * strength))


def rotate(images, seed):
    """By 90, 180 or 270 degrees; of square pictures."""
    images = ops.cast(images, "float32")
    turns = ops.floor(uniform(images, seed, 0, 1, 4))
    return sum(
        ops.where(turns == count, ops.rot90(images, count, axes=(1, 2)), 0.0)
        for count in (1, 2, 3)
    )


def cutout(area=(0.1, 0.3)):
    """A rectangle with this share of the picture becomes grey."""
    return by(layers.RandomErasing(1.0, area, fill_value=128))


def noise(images, seed, deviation=30.0):
    """Normal, of each number on its own."""
    grains = keras.random.normal(ops.shape(images), 0, deviation, seed=GivenSeed(seed))
    return ops.clip(ops.cast(images, "float32") + grains, 0, 255)


def blur(window=9):
    """By a Gaussian that is cut off at a window of so many pixels a side."""
    return by(layers.RandomGaussianBlur(1.0, window, (0.1, 2.0)))


def sobel(images, seed):
    """How steep each channel is, at the edges 255."""
    edges = ops.image.sobel_edges(ops.cast(images, "float32"))
    return ops.clip(ops.sqrt(ops.sum(edges**2, axis=-1)) / 4, 0, 255)


def sometimes(images, changed, seed, chance):
    """The changed ones with this chance, picture by picture."""
    drawn = uniform(images, seed, 9) < chance
    return ops.where(drawn, ops.cast(changed, "float32"), ops.cast(images, "float32"))


def at_times(step, chance):
    """The step, of each picture with this chance."""
    return lambda images, seed: sometimes(images, step(images, seed), seed, chance)


def in_turn(*steps):
    """Several of them as one, each with a seed of its own."""

    def view(images, seed):
        images = ops.cast(images, "float32")
        for number, step in enumerate(steps):
            images = step(images, seed + 101 * number)
        return images

    return view


def panels():
    """{name: step}, the ten of the figure."""
    return {
        "original": in_turn(),
        "crop and resize": crop,
        "crop, resize (and flip)": in_turn(crop, flip),
        "colour distort. (drop)": drop_colour,
        "colour distort. (jitter)": jitter(),
        "rotate {90, 180, 270}": rotate,
        "cutout": cutout(),
        "Gaussian noise": noise,
        "Gaussian blur": blur(),
        "Sobel filtering": sobel,
    }


def simclr(strength=1.0, window=9):
    """The policy of the paper (appendix A): crop, flip, jitter, drop of colour, and blur.

    strength: of the jitter, 0.5 for CIFAR. window: of the blur, in pixels, a tenth of the
        picture's side; None, for CIFAR, is no blur.
    """
    steps = [crop, flip, at_times(jitter(strength), 0.8), partial(drop_colour, chance=0.2)]
    return in_turn(*steps, *([at_times(blur(window), 0.5)] if window else []))


def two(batch, seed, view):
    """`mix` for `BatchData`: a batch (images (B, H, W, 3), anything) -> two views of each, (2B, H,
    W, 3), with ids (2B,), which two views of the same picture share.
    """
    images, _ = batch
    count = ops.shape(images)[0]
    views = [ops.cast(view(images, seed + 7 * number), "float32") for number in (0, 1)]
    return ops.concatenate(views), ops.tile(ops.arange(count), 2)
