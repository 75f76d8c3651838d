"""Batches of several pictures of each id, pairs and triplets, of any dataset with labels."""

from functools import partial

import numpy as np
import tensorflow as tf

from keras_vision.metric_learning.metrics import checked
from keras_vision.pipeline import BatchData, labelled
from keras_vision.rows import Rows


def by_id(rows, ids=32, pictures=4, example=labelled, **settings):
    """`BatchData` whose batches have `ids` ids, each with as many `pictures`.

    Both are drawn anew for each batch, no picture twice in it (Hermans, Beyer, Leibe 2017, section
    2). A pass has as many batches as fit into the dataset; as its ids all come as often, it may
    leave some pictures out, and show others several times.

    rows: with the ids in their column "label".
    settings: of `BatchData`, such as `augment` and `mix`, but not `remainder` and `shuffle`: all
        batches are full and drawn.

    Raises ValueError where there are not as many ids, or an id has fewer pictures.
    """
    numbers = ids_of(rows)
    names, counts = np.unique(numbers, return_counts=True)
    if len(names) < ids:
        raise ValueError(f"{ids} ids a batch, but the dataset has {len(names)}: use fewer")
    few = names[counts < pictures]
    if len(few):
        named = ", ".join(str(called(rows, one)) for one in few[:5])
        raise ValueError(
            f"{pictures} pictures an id, but {len(few)} of {len(names)} ids have fewer: {named}"
            f"{', ...' if len(few) > 5 else ''}; use fewer, or leave them out by rows.select"
        )
    members = np.argsort(numbers, kind="stable")
    starts = np.cumsum(counts) - counts
    size = ids * pictures
    order = partial(order_of, members, starts, counts, (len(rows) // size, ids, pictures))
    return BatchData(rows, size, remainder=False, example=example, shuffle=order, **settings)


def ids_of(rows):
    """Their column "label", (N,); ValueError where there is none."""
    if not isinstance(rows, Rows) or "label" not in rows.columns:
        raise ValueError(
            'expected Rows with ids in their column "label", which a `load` of '
            "keras_vision.datasets returns, and Rows({'image': images, 'label': ids}) makes; got "
            + (f"the columns {[*rows.columns]}" if isinstance(rows, Rows) else f"{type(rows)}")
        )
    ids = np.asarray(rows.columns["label"])
    if ids.shape[1:] == (1,):
        return ids[:, 0]
    if ids.ndim != 1:
        raise ValueError(f"expected labels (N,), one id a picture, got the shape {ids.shape}")
    return ids


def called(rows, one):
    return dict(enumerate(rows.class_names)).get(one, one)


def order_of(members, starts, counts, shape, key):
    """Numbers of rows of a pass, int64 (batches * ids * pictures,); key: its seed, (2,)."""
    batches, ids, pictures = shape

    def batch(number):
        seed = tf.random.fold_in(key, number)
        chosen = tf.math.top_k(tf.random.stateless_uniform([len(counts)], seed), ids).indices
        # The greatest of random numbers, one for each picture that an id has.
        noise = tf.random.stateless_uniform([ids, counts.max()], seed + 1)
        there = tf.range(counts.max()) < tf.gather(counts, chosen)[:, None]
        places = tf.math.top_k(tf.where(there, noise, -1.0), pictures).indices
        places = tf.gather(starts, chosen)[:, None] + tf.cast(places, tf.int64)
        return tf.gather(members, tf.reshape(places, [-1]))

    numbers = tf.range(batches, dtype=tf.int64)
    return tf.reshape(tf.map_fn(batch, numbers), [-1])


def pairs(rows, count, seed=0):
    """`Rows` of pairs, half of them of the same id: the classical form of a siamese network.

    Raw dicts: "first" and "second", those of two rows, and "label", 1 where they have the same
    id, which is their column "label", and 0 otherwise.

    Raises ValueError where there is a single id, or none has two pictures.
    """
    ids = ids_of(rows)
    random, several = np.random.default_rng(seed), with_company(ids)
    first = random.choice(several, count)
    label = np.arange(count) % 2
    second = np.array(
        [other(random, ids, one, same) for one, same in zip(first, label, strict=True)]
    )
    return beside(rows, {"first": first, "second": second}, {"label": label.astype("int32")})


def triplets(rows, count, seed=0):
    """`Rows` of triplets: raw dicts "anchor", "positive" of the same id, "negative" of another.

    Raises ValueError where there is a single id, or none has two pictures.
    """
    ids = ids_of(rows)
    random = np.random.default_rng(seed)
    anchor = random.choice(with_company(ids), count)
    positive, negative = (
        np.array([other(random, ids, one, same) for one in anchor]) for same in (True, False)
    )
    return beside(rows, {"anchor": anchor, "positive": positive, "negative": negative})


def hard_triplets(rows, vectors, seed=0):
    """`Rows` as of `triplets`, one for each row that has company: its negative is the nearest.

    vectors: of all rows, (N, D), by the network as it is: to be mined anew when it has learned.

    Raises ValueError as `triplets` does, and where vectors are not N, or not finite.
    """
    vectors, ids = checked(vectors, ids_of(rows))
    vectors, random = vectors.astype("float64"), np.random.default_rng(seed)
    anchor = with_company(ids)
    positive = np.array([other(random, ids, one, True) for one in anchor])
    negative = np.array([nearest_of_others(vectors, ids, one) for one in anchor])
    return beside(rows, {"anchor": anchor, "positive": positive, "negative": negative})


def with_company(ids):
    """Numbers of the rows whose id has others, too."""
    _, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts[inverse] > 1)
    if len(counts) < 2 or not len(several):
        raise ValueError(
            f"{len(ids)} pictures of {len(counts)} ids make no pairs: needed are two ids, and one "
            "of them with two pictures"
        )
    return several


def other(random, ids, number, same):
    """The number of another row, which has the same id or not."""
    there = (ids == ids[number]) == bool(same)
    there[number] = False
    return random.choice(np.flatnonzero(there))


def nearest_of_others(vectors, ids, number):
    away = np.sum((vectors - vectors[number]) ** 2, axis=1)
    return np.argmin(np.where(ids == ids[number], np.inf, away))


def beside(rows, numbers, more=()):
    """`Rows` of raw dicts {name: that of the row with this number}."""

    def read(row):
        return {**row, **{name: rows.read(rows.row(row[name])) for name in numbers}}

    return Rows({**numbers, **dict(more)}, read)


def of_pair(raw):
    """The example function ((first picture, second picture), label) of `pairs`."""
    return (raw["first"]["image"], raw["second"]["image"]), raw["label"]


def turned(rows):
    """`Rows` four times as many: characters turned by 90 degrees are others (Vinyals et al. 2016).

    Their labels, whole numbers, follow after those of the upright ones, and so do their names.
    """
    columns = {name: np.concatenate([np.asarray(of)] * 4) for name, of in rows.columns.items()}
    turns = np.repeat(np.arange(4, dtype="int32"), len(rows))
    ids = max(int(columns["label"].max()) + 1, len(rows.class_names))
    columns["label"] = columns["label"] + turns * ids

    def read(row):
        raw = rows.read({name: value for name, value in row.items() if name != "turns"})
        return {**raw, "image": tf.image.rot90(raw["image"], row["turns"])}

    turned_names = [
        f"{name}, turned by {90 * turn}" if turn else name
        for turn in range(4)
        for name in rows.class_names
    ]
    return Rows({**columns, "turns": turns}, read, turned_names)


def warped(batch, seed, rotation=15.0, scale=0.15, shear=15.0, shift=0.1, paper=255):
    """Moves, turns, scales and shears the pictures of a batch (images (B, H, W, C), y) at random.

    rotation, shear: degrees to both sides; scale: 0.15 is 0.85 to 1.15; shift: of the side.
    paper: what comes in at the edges.
    """
    images, y = batch
    count, height, width = tf.unstack(tf.shape(images)[:3])
    limits = tf.constant([rotation, shear, scale, scale, shift, shift])
    drawn = limits * tf.random.stateless_uniform([count, 6], seed, -1, 1)
    angle, slant = (drawn[:, n] * (np.pi / 180) for n in (0, 1))
    wide, high = 1 / (1 + drawn[:, 2]), 1 / (1 + drawn[:, 3])
    # Where a place of the new picture lies in the old one, around the middle.
    rows = [
        [wide * tf.cos(angle), -wide * tf.sin(angle + slant)],
        [high * tf.sin(angle), high * tf.cos(angle + slant)],
    ]
    middle = [tf.cast(width - 1, tf.float32) / 2, tf.cast(height - 1, tf.float32) / 2]
    sides = [tf.cast(width, tf.float32), tf.cast(height, tf.float32)]
    ends = [
        middle[n] - rows[n][0] * middle[0] - rows[n][1] * middle[1] + drawn[:, 4 + n] * sides[n]
        for n in (0, 1)
    ]
    nothing = tf.zeros([count])
    transforms = tf.stack([*rows[0], ends[0], *rows[1], ends[1], nothing, nothing], axis=1)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=[height, width],
        fill_value=float(paper),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved, images.shape), y
