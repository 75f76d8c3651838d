"""Views of a picture that shall be alike: the augmentations of SimCLR (Chen et al. 2020, fig. 4).

A step is a function (images (B, H, W, 3) in 0..255, seed (2,)) -> images float32 of the same
shape, and treats each picture on its own. `jitter`, `cutout` and `blur` make such steps.
"""

import math
from functools import partial

import keras
from keras import layers, ops

from keras_vision import augment
from keras_vision.augment import GivenSeed


def by(layer):
    """The step of one of Keras' layers."""
    for part in layer._flatten_layers():
        part.dtype_policy = "float32"  # whatever networks compute in: bfloat16 would round pixels
    augmented = augment.by(layer)

    def step(images, seed):
        nobody = ops.zeros((ops.shape(images)[0], 1))
        return augmented((ops.cast(images, "float32"), nobody), seed)[0]

    return step


def uniform(images, seed, draw, low=0.0, high=1.0):
    """A number for each image, (B, 1, 1, 1); another for each `draw`."""
    shape = (ops.shape(images)[0], 1, 1, 1)
    return keras.random.uniform(shape, low, high, seed=GivenSeed(own(seed, draw)))


def own(seed, number):
    """A seed (2,) for each part of a step. Sums would not do: parts have parts again, and those of
    one would draw what those of another do.
    """
    given = GivenSeed(seed)
    given.draws = number
    return given.next()


def part(images, seed, area, ratio):
    """A rectangle of each picture, with this share of its area: the left and upper edge, width
    and height, in those of the picture, (B, 1, 1, 1) each.

    ratio: of width and height, where the picture's is 1; as far as such a part fits.
    """
    share = uniform(images, seed, 0, *area)
    shape = ops.exp(uniform(images, seed, 1, *map(math.log, ratio)))
    shape = ops.clip(shape, share, 1 / share)
    wide, high = ops.sqrt(share * shape), ops.sqrt(share / shape)
    return uniform(images, seed, 2) * (1 - wide), uniform(images, seed, 3) * (1 - high), wide, high


def sides(images):
    """(height, width), as float32."""
    return (ops.cast(side, "float32") for side in ops.shape(images)[1:3])


def crop(images, seed, area=(0.2, 1.0), ratio=(3 / 4, 4 / 3)):
    """A part with this share of the area, stretched to the whole (Szegedy et al. 2015)."""
    left, top, wide, high = part(images, seed, area, ratio)
    height, width = sides(images)
    # Pixel i has its centre at i + 1/2.
    left, top = left * width + wide / 2 - 0.5, top * height + high / 2 - 0.5
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
    # Keras multiplies the saturation by s / (1 - s), takes one number for the contrast as the way
    # up alone, and turns the hue by half of what it is told.
    saturation = (1 - share) / (2 - share), (1 + share) / (2 + share)
    contrast, hue = (share, share), 0.4 * strength
    return by(layers.RandomColorJitter((0, 255), share / 2, contrast, saturation, hue))


def rotate(images, seed):
    """By 90, 180 or 270 degrees; ValueError where pictures are not square."""
    height, width = images.shape[1:3]
    if height != width and None not in (height, width):
        raise ValueError(f"expected square pictures to rotate, got {height}x{width}: crop them")
    images = ops.cast(images, "float32")
    turns = ops.floor(uniform(images, seed, 0, 1, 4))
    return sum(
        ops.where(turns == count, ops.rot90(images, count, axes=(1, 2)), 0.0)
        for count in (1, 2, 3)
    )


def cutout(area=(0.1, 0.3)):
    """A rectangle with this share of the picture becomes grey."""

    def step(images, seed):
        left, top, wide, high = part(images, seed, area, (1 / 2, 2))
        height, width = sides(images)
        x = ((ops.arange(width) + 0.5) / width)[None, None, :, None]
        y = ((ops.arange(height) + 0.5) / height)[None, :, None, None]
        inside = (left <= x) & (x < left + wide) & (top <= y) & (y < top + high)
        return ops.where(inside, 128.0, ops.cast(images, "float32"))

    return step


def noise(images, seed, deviation=30.0):
    """Normal, of each number on its own."""
    grains = keras.random.normal(ops.shape(images), 0, deviation, seed=GivenSeed(seed))
    return ops.clip(ops.cast(images, "float32") + grains, 0, 255)


def blur(window=9, deviation=(0.1, 2.0)):
    """By a Gaussian that is cut off at a window of so many pixels a side, an even number being as
    the odd one above it; edges are mirrored. ValueError where half a window is more than a side.
    """
    reach = window // 2

    # Keras' layer draws one deviation for a whole batch, and blurs black in from the edges.
    def step(images, seed):
        short = min((side for side in images.shape[1:3] if side is not None), default=reach)
        if short < reach:
            raise ValueError(f"a window of {window} is too wide for a side of {short} pixels")
        scale = uniform(images, seed, 0, *deviation)
        weights = [ops.exp(-((far / scale) ** 2) / 2) for far in range(-reach, reach + 1)]
        images = ops.cast(images, "float32")
        for _ in ("rows", "columns"):
            side = ops.shape(images)[1]
            padded = ops.pad(images, [(0, 0), (reach, reach), (0, 0), (0, 0)], mode="symmetric")
            shifted = (weight * padded[:, i : i + side] for i, weight in enumerate(weights))
            images = ops.transpose(sum(shifted) / sum(weights), (0, 2, 1, 3))
        return ops.clip(images, 0, 255)  # after rounding

    return step


def sobel(images, seed):
    """How steep each channel is, 255 at the most."""
    edges = ops.image.sobel_edges(ops.cast(images, "float32"))
    return ops.clip(ops.sqrt(ops.sum(edges**2, axis=-1)) / 4, 0, 255)


def sometimes(images, changed, seed, chance):
    """The changed ones with this chance, picture by picture."""
    drawn = uniform(images, seed, 9) < chance
    return ops.where(drawn, ops.cast(changed, "float32"), ops.cast(images, "float32"))


def at_times(step, chance):
    """The step, of each picture with this chance."""
    return lambda images, seed: sometimes(images, step(images, own(seed, 0)), seed, chance)


def in_turn(*steps):
    """Several of them as one, each with a seed of its own."""

    def view(images, seed):
        images = ops.cast(images, "float32")
        for number, step in enumerate(steps):
            images = step(images, own(seed, number))
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
    """The policy of the paper (appendix A): crop, flip, jitter, drop of colour, and blur. Crops
    keep a fifth of the picture at least, where the paper's keep 0.08.

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
    views = [ops.cast(view(images, own(seed, number)), "float32") for number in (0, 1)]
    return ops.concatenate(views), ops.tile(ops.arange(count), 2)
