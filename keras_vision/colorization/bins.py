"""The 313 colour bins of Zhang, Isola, Efros 2016, "Colorful Image Colorization", section 2.

A colour (a, b) becomes a distribution over the bins of a 10-unit grid that sRGB can reach, a
predicted distribution becomes a colour again, and rare bins are made to count more.
"""

from functools import lru_cache, reduce
from numbers import Real

import numpy as np
from keras import ops

STEP = 10
# For every a, from -90 in steps of 10: the first and the last b whose bin sRGB can reach.
REACH = (
    (50, 90), (20, 90), (0, 90), (-20, 90), (-30, 100), (-40, 100), (-50, 100), (-50, 100),
    (-60, 100), (-70, 100), (-80, 90), (-80, 90), (-90, 90), (-100, 90), (-100, 80),
    (-110, 80), (-110, 80), (-110, 70), (-110, 70), (-90, 0),
)  # fmt: skip
CENTERS = np.float32(
    [
        (-90 + STEP * row, b)
        for row, (first, last) in enumerate(REACH)
        for b in range(first, last + 1, STEP)
    ]
)

# The ab plane is cut into square cells. Their edges lie where two bins are equally near, which
# leaves few candidates in each: 7 for 5 neighbours. Cells of 5 have 8, and take a fifth longer.
CELL = 2.5
EDGE = 130  # beyond any sRGB colour: a lies in -87..99, b in -108..95


@lru_cache
def candidates(neighbors):
    """Every bin that is among the `neighbors` nearest of some point of a cell: (cells, C) int32.

    A bin drops out of a cell when `neighbors` others are nowhere in it farther away. Which of
    two points is nearer is linear in the place, so asking at the four corners is exact. Short
    rows are filled up with -1.
    """
    ticks = np.arange(-EDGE, EDGE, CELL) + CELL / 2
    middles = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 1, 2)
    distance = np.linalg.norm(middles - CENTERS, axis=-1)  # (cells, 313)
    kth = np.partition(distance, neighbors - 1)[:, neighbors - 1 : neighbors]
    near = (distance <= kth + 2**0.5 * CELL).sum(1).max()  # no farther bin can be one
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :near]
    half = CELL / 2
    corners = middles + np.array([(-half, -half), (-half, half), (half, -half), (half, half)])
    squares = ((corners[:, :, None] - CENTERS[nearest][:, None]) ** 2).sum(-1)  # (cells, 4, near)
    gap = squares[..., :, None] - squares[..., None, :]
    beaten = ((gap >= 0).all(1) & (gap > 0).any(1)).sum(2)  # by how many others, (cells, near)
    kept = np.where(beaten < neighbors, nearest, len(CENTERS))
    kept = np.sort(kept, axis=1)[:, : (beaten < neighbors).sum(1).max()]
    return np.where(kept < len(CENTERS), kept, -1).astype("int32")


def soft_encode(ab, neighbors=5, sigma=5.0):
    """Colours ab (..., 2) -> the nearest bins' indices and weights, both (..., neighbors).

    The weights are a Gaussian of the distance in Lab units and sum to 1 (section 2.2; the paper
    takes 5 neighbours, the released code 10). The neighbours come in no special order. Exact
    for |a|, |b| < 130, which holds all that sRGB can show; colours beyond count as on that edge.
    """
    table = candidates(neighbors)
    places = np.where(table[..., None] >= 0, CENTERS[table], 1e4)  # a filler is never near
    rows = np.concatenate([places[..., 0], places[..., 1], table], axis=1)  # (cells, 3 C)
    ab = ops.clip(ops.cast(ab, "float32"), -EDGE, EDGE - 1e-3)
    cell = ops.cast((ab + EDGE) / CELL, "int32")  # (..., 2)
    cell = cell[..., 0] * round(2 * EDGE / CELL) + cell[..., 1]
    # Lists with an entry (...) for each candidate, for work along a short last axis is slow.
    columns = ops.unstack(ops.moveaxis(ops.take(rows.astype("float32"), cell, axis=0), -1, 0))
    count = table.shape[1]
    squares = [
        ops.square(bin_a - ab[..., 0]) + ops.square(bin_b - ab[..., 1])
        for bin_a, bin_b in zip(columns[:count], columns[count : 2 * count], strict=True)
    ]
    indices = columns[2 * count :]
    # The farthest bubbles to the end and drops out: on so few columns far cheaper than a sort.
    while len(squares) > neighbors:
        for i in range(len(squares) - 1):
            swap = squares[i] > squares[i + 1]
            here, there = indices[i], indices[i + 1]
            indices[i], indices[i + 1] = ops.where(swap, there, here), ops.where(swap, here, there)
            here, there = squares[i], squares[i + 1]
            squares[i], squares[i + 1] = ops.minimum(here, there), ops.maximum(here, there)
        squares.pop(), indices.pop()
    nearest = reduce(ops.minimum, squares)  # taken off, lest all weights of a far colour be 0
    weights = [ops.exp((nearest - square) / (2 * sigma**2)) for square in squares]
    total = sum(weights)
    weights = ops.stack([weight / total for weight in weights], axis=-1)
    return ops.cast(ops.stack(indices, axis=-1), "int32"), weights


def distribution(indices, weights):
    """What `soft_encode` gives, both (..., neighbors) -> all bins' probabilities (..., 313)."""
    *places, neighbors = ops.shape(indices)
    indices, weights = (ops.reshape(x, (-1, neighbors)) for x in (indices, weights))
    count = ops.shape(indices)[0]
    rows = ops.broadcast_to(ops.arange(count)[:, None], (count, neighbors))
    table = ops.scatter(ops.stack([rows, indices], axis=-1), weights, (count, len(CENTERS)))
    return ops.reshape(table, (*places, len(CENTERS)))


def check_temperature(temperature):
    """Raises ValueError unless `temperature` is a number in 0..1."""
    if not (isinstance(temperature, Real) and 0 <= temperature <= 1):
        raise ValueError(
            f"temperature must be a number from 0, the mode, to 1, the mean, not {temperature!r}."
        )


def decode(logits, temperature=0.38):
    """Logits (..., 313) -> colours ab (..., 2), the annealed mean (eq. 5).

    The softmax is sharpened by `temperature`, 0..1: 1 gives the distribution's mean (greyish), 0
    its mode (vivid, but patchy). Less than 1e-6 counts as 0. Raises ValueError for others.
    """
    check_temperature(temperature)
    logits = ops.cast(logits, "float32")
    if tuple(logits.shape)[-1:] != (len(CENTERS),):
        raise ValueError(f"logits must be (..., {len(CENTERS)}), but are {tuple(logits.shape)}.")
    if temperature < 1e-6:  # logits over it could overflow, and the mean is the mode by then
        return ops.take(CENTERS, ops.argmax(logits, axis=-1), axis=0)
    return ops.matmul(ops.softmax(logits / temperature), CENTERS)


def estimate_prior(dataset, sigma=5.0):
    """The bins' frequencies (313,) in the batches (..., ab) of `dataset`, smoothed; the sum is 1.

    Counts pixels by their nearest bin and spreads every bin's share over its surroundings by a
    Gaussian of `sigma` Lab units (section 2.2). No bin has frequency 0: what is too far from all
    pixels for float32 gets the least that it can hold in full precision, 1.2e-38.
    """
    counts = np.zeros(len(CENTERS))
    for *_, ab in dataset:
        if ab.shape[-1] != 2:
            raise ValueError(f"The prior needs batches of ab (..., 2), but got {tuple(ab.shape)}.")
        nearest, _ = soft_encode(ab, neighbors=1)
        counts += np.bincount(np.ravel(ops.convert_to_numpy(nearest)), minlength=len(counts))
    if counts.sum() == 0:
        raise ValueError("The prior needs at least one picture, but the dataset has none.")
    squares = ((CENTERS[:, None] - CENTERS) ** 2).sum(-1)
    kernel = np.exp(-squares / (2 * sigma**2))
    prior = counts @ (kernel / kernel.sum(1, keepdims=True))
    return np.maximum(prior / prior.sum(), np.finfo("float32").tiny).astype("float32")


def rarity(prior, mix=0.5):
    """Weights (313,) that make rare colours count more, with mean 1 under `prior` (eq. 4).

    prior: the bins' frequencies (313,), or counts, as they are brought to the sum 1.
    mix: share of the uniform prior that is blended in, 0..1: 1 makes all weights equal.
    Raises ValueError for anything else, and for a bin of frequency 0 where `mix` is 0.
    """
    prior, count = np.asarray(prior, "float64"), len(CENTERS)
    total, least = prior.sum(), prior.min(initial=np.inf)
    if prior.shape != (count,) or not (least >= 0 and 0 < total < np.inf):
        raise ValueError(
            f"prior must hold {count} frequencies of at least 0 and a sum above it, but its shape "
            f"is {prior.shape}, the least is {least:g}, the sum {total:g}."
        )
    if not (isinstance(mix, Real) and 0 <= mix <= 1):
        raise ValueError(f"mix must be a number in 0..1, not {mix!r}.")
    prior = prior / total
    blend = (1 - mix) * prior + mix / count
    if blend.min() < 1e-38:  # its weight could be beyond float32
        raise ValueError(
            f"mix={mix:g} leaves a bin of frequency {prior.min():g} without a finite weight: use "
            "a larger mix, or a prior without zeros, as `estimate_prior` gives it."
        )
    weights = 1 / blend
    return (weights / (prior @ weights)).astype("float32")
