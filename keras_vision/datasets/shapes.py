"""A drawn world without end: shapes of many sizes and textures, with exact boxes and masks.

It needs no files: the textures, and what lies behind the shapes, are cut from the photos of
`samples`. Shapes may overlap each other and the edge of the picture.
"""

from functools import lru_cache, partial

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from keras_vision.datasets import _label_maps, check_split, samples
from keras_vision.rows import Rows

splits = ("train", "val")
COUNTS = {"train": 100_000, "val": 500}
SMALLEST, LARGEST = 1 / 20, 1 / 4  # radius of a shape, in sides of the picture
TOUCHING = 0.3  # how near shapes come: 1 lets them touch, at 0 the centre of one may be covered
SPEED, SPIN = 1 / 40, 1 / 60  # the most a shape moves from frame to frame, in sides and in turns
TINT = 0.6  # share of a shape's own colour; the rest is texture
CELLS, REACH = 256, 1.1  # a side, of the table of shapes; and how far it goes, in radii


def star(angle, points, inner):
    """The radius of a star, 1 at its points and `inner` between them."""
    half = np.pi / points
    angle = np.abs((angle + half) % (2 * half) - half)
    return inner * np.sin(half) / (np.sin(angle) + inner * np.sin(half - angle))


def cross(angle, arm=0.35):
    """The radius of two bars that cross."""
    long, short = (
        side(np.abs([np.cos(angle), np.sin(angle)]), axis=0) for side in (np.max, np.min)
    )
    return np.minimum(1 / long, arm / np.maximum(short, 1e-9)) / np.hypot(1, arm)


def flower(angle, petals=6):
    return 0.75 + 0.25 * np.cos(petals * angle)


# All shapes are what lies around a centre up to a radius that depends on the angle.
SHAPES = {
    "disc": np.ones_like,
    "square": partial(star, points=4, inner=np.cos(np.pi / 4)),
    "triangle": partial(star, points=3, inner=np.cos(np.pi / 3)),
    "star": partial(star, points=5, inner=0.4),
    "cross": cross,
    "flower": flower,
}
class_names = tuple(SHAPES)


def load(split, size=256, count=None, most=8):
    """`Rows` of one raw dict a picture, drawn when its turn comes; it depends on its number only.

        image   uint8 (size, size, 3), sRGB
        boxes   float32 (N, 4), corners [x1, y1, x2, y2] of what is seen of a shape, N <= most
        labels  int32 (N,)
        masks   bool (N, size, size), what is seen of a shape

    count: pictures, by default 100,000 to train and 500 to validate on. More cost nothing.
    """
    check_split(split, splits)
    number = tf.range(COUNTS[split] if count is None else count)
    read = partial(drawn, size=size, most=most, world=splits.index(split))
    return Rows({"number": number}, read, class_names)


def clips(split, size=128, frames=8, count=None, most=4):
    """`Rows` of one raw dict a clip, in which shapes move straight on and turn, each at its speed.

        video       uint8 (frames, size, size, 3), sRGB
        label_maps  int32 (frames, size, size), 0 behind the shapes, which are 1, 2 ... as in DAVIS

    split, count: as for `load`; the clips start as the pictures of another world.
    """
    check_split(split, splits)
    number = tf.range(COUNTS[split] if count is None else count)
    world = len(splits) + splits.index(split)
    read = partial(filmed, size=size, frames=frames, most=most, world=world)
    return Rows({"number": number}, read, class_names)


def filmed(row, size, frames, most, world):
    """The raw dict of one clip."""
    layout, look, course = tf.unstack(tf.random.split([world, row["number"]], 3))
    shapes = placed(layout, most)
    moves = tf.random.stateless_uniform((tf.shape(shapes["label"])[0], 3), course, -1, 1)

    def frame(time):
        center = shapes["center"] + time * SPEED * moves[:, :2]
        angle = shapes["angle"] + time * SPIN * moves[:, 2]
        image, owner = scene(look, {**shapes, "center": center, "angle": angle}, size)
        return tf.cast(tf.round(image), tf.uint8), owner + 1

    kinds = (tf.uint8, tf.int32)
    video, owners = tf.map_fn(frame, tf.range(frames, dtype=tf.float32), fn_output_signature=kinds)
    return {
        "video": tf.ensure_shape(video, (frames, size, size, 3)),
        "label_maps": tf.ensure_shape(owners, (frames, size, size)),
    }


def scene(look, shapes, size):
    """(image float32 (S, S, 3), whose each pixel is (S, S), -1 where no shape's)."""
    numbers = tf.range(tf.shape(shapes["label"])[0])
    blank = texture(look, size, size, size), tf.fill((size, size), -1)
    return tf.foldl(partial(painted, size, look), {"number": numbers, **shapes}, blank)


def drawn(row, size, most, world):
    """The raw dict of one picture: painted on a photo, one shape over the other."""
    layout, look = tf.unstack(tf.random.split([world, row["number"]], 2))
    shapes = placed(layout, most)
    image, owner = scene(look, shapes, size)
    masks = owner == tf.range(tf.shape(shapes["label"])[0])[:, None, None]
    seen = tf.reduce_any(masks, (1, 2))
    masks = tf.boolean_mask(masks, seen)
    return {
        "image": tf.ensure_shape(tf.cast(tf.round(image), tf.uint8), (size, size, 3)),
        "boxes": _label_maps.around(masks),
        "labels": tf.boolean_mask(shapes["label"], seen),
        "masks": masks,
    }


def painted(size, look, picture, shape):
    """A picture with one shape more: (image (S, S, 3), whose each pixel is (S, S))."""
    image, owner = picture
    reach = (size * shape["radius"] + 1) * [[-1.0, 1.0]]
    window = tf.cast(tf.round(size * shape["center"][:, None] + reach), tf.int32)
    left, right, top, bottom = tf.unstack(tf.reshape(tf.clip_by_value(window, 0, size), [4]))
    cover = coverage(shape, tf.range(top, bottom), tf.range(left, right), size)
    own = tf.random.fold_in(look, shape["number"])
    paint = (1 - TINT) * texture(own, bottom - top, right - left, size)
    paint += TINT * tf.random.stateless_uniform((3,), own, 0, 255)
    change = cover[..., None] * (paint - image[top:bottom, left:right])
    beside = [[top, size - bottom], [left, size - right]]
    image += tf.pad(change, [*beside, [0, 0]])
    return image, tf.where(tf.pad(cover, beside) > 0.5, shape["number"], owner)


def placed(seed, most):
    """Up to `most` shapes: {"label", "radius", "angle": (N,), "center": (N, 2) as (x, y)}.

    Lengths are in sides of the picture, angles in turns.
    """
    seeds = tf.unstack(tf.random.split(seed, 5))
    count = tf.random.stateless_uniform((), seeds[0], 0, most + 1, tf.int32)
    label = tf.random.stateless_uniform((count,), seeds[1], 0, len(SHAPES), tf.int32)
    small_to_large = tf.random.stateless_uniform((count,), seeds[2])
    radius = SMALLEST * (LARGEST / SMALLEST) ** small_to_large
    angle = tf.random.stateless_uniform((count,), seeds[3])
    center = tf.random.stateless_uniform((count, 2), seeds[4])
    shapes = {"label": label, "radius": radius, "angle": angle, "center": center}
    # Those go that would hide much of an earlier one, or too little of which would be seen.
    larger, smaller = (side(radius[:, None], radius) for side in (tf.maximum, tf.minimum))
    distance = tf.norm(center[:, None] - center, axis=-1)
    hides = tf.linalg.band_part(tf.cast(distance < larger + TOUCHING * smaller, tf.int32), -1, 0)
    alone = tf.reduce_sum(hides, axis=1) <= 1  # itself
    return {name: tf.boolean_mask(values, alone) for name, values in shapes.items()}


def coverage(shape, rows, columns, size):
    """How much of each pixel of these rows and columns a shape covers, 0..1."""
    center, radius = size * shape["center"], size * shape["radius"]
    x = (tf.cast(columns, tf.float32) + 0.5 - center[0]) / radius
    y = ((tf.cast(rows, tf.float32) + 0.5 - center[1]) / radius)[:, None]
    turn = 2 * np.pi * shape["angle"]
    column = cell(tf.cos(turn) * x - tf.sin(turn) * y)
    row = cell(tf.sin(turn) * x + tf.cos(turn) * y)
    inside = tf.gather_nd(tf.gather(distances(), shape["label"]), tf.stack([row, column], -1))
    return tf.clip_by_value(inside * radius + 0.5, 0, 1)


def cell(place):
    """The cell of the table for a place, in radii, or its nearest one."""
    return tf.cast(tf.clip_by_value((place / REACH + 1) * (CELLS / 2), 0, CELLS - 1), tf.int32)


@lru_cache(maxsize=1)
def distances():
    """How far inside each shape of radius 1 each place is: (6, CELLS, CELLS), along its ray."""
    place = REACH * ((np.arange(CELLS) + 0.5) * 2 / CELLS - 1)
    x, y = np.meshgrid(place, place)
    angle, distance = np.arctan2(y, x), np.hypot(x, y)
    return np.array([radius(angle) - distance for radius in SHAPES.values()], "float32")


def texture(seed, height, width, size):
    """A part (height, width, 3) of one of the photos, float32 in 0..255."""
    photos = tiles(2 * size)
    limits = [len(photos), 2 * size - height + 1, 2 * size - width + 1]
    place = tf.random.stateless_uniform((3,), seed) * tf.cast(tf.stack(limits), tf.float32)
    number, top, left = tf.unstack(tf.cast(place, tf.int32))
    part = tf.constant(photos)[number, top : top + height, left : left + width]
    return tf.cast(part, tf.float32)


@lru_cache(maxsize=2)
def tiles(side):
    """The middle of each of the photos, uint8 (6, side, side, 3)."""
    photos = map(Image.fromarray, samples.photos().values())
    return np.stack([ImageOps.fit(photo, (side, side)) for photo in photos])
