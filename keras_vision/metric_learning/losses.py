"""Losses of metric learning: all are called (ids (B,), embeddings (B, D)).

What has the same id shall come near, what has another shall go far. ids are whole numbers of any
size (under JAX below 2^31); two views of one photo share an id. A loss compares all examples of a
batch with one another: trained by `launch`, replicas see each other's, so that N of them make
what one would. Where a batch has no valid pair or triplet, it is 0, and so is its gradient. All
keeps to matrices of B x B.
"""

from functools import partial, reduce

import keras
from keras import ops

FAR = 3e38  # farther than anything: nearly all that float32 goes to
EXACT = 2**24  # whole numbers below are exact in float32, to which Keras casts what is true


class EmbeddingLoss(keras.losses.Loss):
    """What the losses here have in common: ids come through as they are.

    Raises ValueError for ids that are no whole numbers or not as many as embeddings, weights of
    examples, which pairs do not have, and other types than float32.
    """

    rank = 2  # of what is compared

    def __init__(self, name=None, **kwargs):
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        check("dtype", self.dtype, ("float32",))

    def __call__(self, y_true, y_pred, sample_weight=None):
        ids, embeddings = digits(y_true), ops.convert_to_tensor(y_pred)
        if len(embeddings.shape) != self.rank:
            shape = "(B, D)" if self.rank == 2 else "(B, 2, D)"
            raise ValueError(
                f"expected embeddings {shape}, got the shape {embeddings.shape}: maps "
                "(B, H, W, D) are pooled first, as embedder.build does"
            )
        given, expected = ids.shape[0], embeddings.shape[0]
        if None not in (given, expected) and given != expected:
            raise ValueError(f"expected ids of {expected} embeddings, got {given}")
        if expected == 0:
            return ops.sum(ops.cast(embeddings, "float32"))
        if sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__} compares examples with one another and takes no weights "
                "of single ones: leave out sample_weight and class_weight"
            )
        return super().__call__(ids, embeddings)


@keras.saving.register_keras_serializable("keras_vision")
class ContrastiveLoss(EmbeddingLoss):
    """y d^2 + (1 - y) max(0, m - d)^2 of pairs; y is 1 for the same id, d the distance.

    Hadsell, Chopra, LeCun 2006. The mean over pairs of the same id, and that over the others, so
    that a few of these count as much as many of those.

    convention: "squared", as above; "half", half of it, as in the paper; "linear",
        y d + (1 - y) max(0, m - d), as in pytorch-metric-learning.
    """

    def __init__(self, margin=1.0, convention="squared", **kwargs):
        super().__init__(**kwargs)
        check("convention", convention, ("squared", "half", "linear"))
        self.margin, self.convention = margin, convention

    def call(self, ids, embeddings):
        d = distances(embeddings)
        positive, negative = pairs(ids)
        near, far = d, ops.relu(self.margin - d)
        if self.convention != "linear":
            near, far = near**2, far**2
        loss = mean(near, positive) + mean(far, negative)
        return loss / 2 if self.convention == "half" else loss

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "convention": self.convention}


@keras.saving.register_keras_serializable("keras_vision")
class TripletLoss(EmbeddingLoss):
    """max(0, m + d(a, p)^2 - d(a, n)^2), the mean over triplets of an anchor, a positive of its
    id, and a negative of another (Schroff, Kalenichenko, Philbin 2015, eq. 3).

    squared: whether distances are squared, as there; the lecture has both.
    mining: which triplets count.
        "all": those of all that cost something; the others would only water the mean down
            (Hermans, Beyer, Leibe 2017, batch all).
        "hard": of each anchor the farthest positive with the nearest negative (batch hard).
        "semi_hard": of each anchor and positive the nearest negative that is farther than the
            positive; where none is, the farthest.
        "distance_weighted": of each anchor and positive a negative that is drawn; see `log_odds`.
            Of unit vectors: others are brought to length 1.
    """

    def __init__(self, margin=0.2, squared=True, mining="all", **kwargs):
        super().__init__(**kwargs)
        check("mining", mining, ("all", "hard", "semi_hard", "distance_weighted"))
        self.margin, self.squared, self.mining = margin, squared, mining

    def call(self, ids, embeddings):
        embeddings = unit(embeddings) if self.mining == "distance_weighted" else embeddings
        d = squares(embeddings) if self.squared else distances(embeddings)
        positive, negative = pairs(ids)
        fixed = ops.stop_gradient(d)
        if self.mining == "hard":
            positive = greatest(fixed, positive)  # the farthest alone
        choose = {
            "all": lambda near, number: negative,
            "hard": partial(nearest, fixed, negative),
            "semi_hard": partial(semi_hard, fixed, negative, greatest(fixed, negative)),
            "distance_weighted": partial(drawn, log_odds(embeddings, negative), ids),
        }[self.mining]
        weights, costing, chosen = triplets(fixed, positive, self.margin, choose)
        count = costing if self.mining == "all" else chosen
        return (ops.sum(weights * d) + self.margin * costing) / ops.maximum(count, 1)

    def get_config(self):
        settings = {"margin": self.margin, "squared": self.squared, "mining": self.mining}
        return {**super().get_config(), **settings}


@keras.saving.register_keras_serializable("keras_vision")
class MarginLoss(EmbeddingLoss):
    """max(0, m + d(a, p) - beta) + max(0, m - d(a, n) + beta), of drawn negatives.

    Wu, Manmatha, Smola, Kraehenbuehl 2018, "Sampling Matters in Deep Embedding Learning", section
    4.2, with one beta for all that is not learned. The mean over pairs that cost something; for
    the draw see `log_odds`. Of unit vectors: others are brought to length 1.
    """

    def __init__(self, margin=0.2, beta=1.2, **kwargs):
        super().__init__(**kwargs)
        self.margin, self.beta = margin, beta

    def call(self, ids, embeddings):
        embeddings = unit(embeddings)
        d = distances(embeddings)
        positive, negative = pairs(ids)
        choose = partial(drawn, log_odds(embeddings, negative), ids)
        times = as_numbers(positive) + draws(positive, choose)
        costs = self.margin + ops.where(positive, d - self.beta, self.beta - d)
        times = ops.where(costs > 0, times, 0.0)
        return ops.sum(times * costs) / ops.maximum(ops.sum(times), 1)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "beta": self.beta}


@keras.saving.register_keras_serializable("keras_vision")
class NTXent(EmbeddingLoss):
    """-log of the share that an embedding's positives have of its similarity to all others.

    The normalised temperature-scaled cross-entropy of SimCLR (Chen et al. 2020, eq. 1), where an
    id has two views; of more, the mean over positives (Khosla et al. 2020, eq. 2). Similarity is
    exp(cosine / temperature).
    """

    def __init__(self, temperature=0.5, **kwargs):
        super().__init__(**kwargs)
        self.temperature = above_zero("temperature", temperature)

    def call(self, ids, embeddings):
        z = unit(embeddings)
        logits = ops.matmul(z, ops.transpose(z)) / self.temperature
        positive, negative = pairs(ids)
        share = log_share(logits, ops.logical_or(positive, negative))
        count = ops.sum(ops.cast(positive, "float32"), axis=1)
        likelihood = ops.sum(ops.where(positive, share, 0.0), axis=1) / ops.maximum(count, 1)
        return mean(-likelihood, count > 0)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable("keras_vision")
class InfoNCE(EmbeddingLoss):
    """-log(exp(s_p) / (exp(s_p) + sum_n exp(s_n))) of each pair of the same id, with all
    negatives of the first; s = a b / temperature (van den Oord, Li, Vinyals 2018, eq. 4).

    Of K such candidates, log K minus this loss is at most the mutual information.
    """

    def __init__(self, temperature=1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = above_zero("temperature", temperature)

    def call(self, ids, embeddings):
        logits = ops.matmul(embeddings, ops.transpose(embeddings)) / self.temperature
        positive, negative = pairs(ids)
        return mean(against(logits, negative), positive)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable("keras_vision")
class NPairs(EmbeddingLoss):
    """log(1 + sum_j exp(a_i p_j - a_i p_i)): one pair (a, p) of each id, whose anchor is compared
    with the positives of all others (Sohn 2016, eq. 7).

    The pair is the first and the second of an id in the batch; others are passed over. Lengths
    matter here, and are held back by l2, the weight of their mean square.
    """

    def __init__(self, l2=0.0, **kwargs):
        super().__init__(**kwargs)
        self.l2 = l2

    def call(self, ids, embeddings):
        positive, negative = pairs(ids)
        earlier = ops.sum(ops.tril(ops.cast(positive, "int32"), -1), axis=1)  # of the same id
        first = ops.logical_and(earlier == 0, ops.any(positive, axis=1))
        second = earlier == 1
        logits = ops.matmul(embeddings, ops.transpose(embeddings))
        costs = against(logits, ops.logical_and(negative, second))
        loss = mean(costs, ops.logical_and(first[:, None], ops.logical_and(positive, second)))
        lengths = mean(ops.sum(embeddings**2, axis=1), ops.logical_or(first, second))
        return loss + self.l2 * lengths

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}


# What they are made of


def digits(ids):
    """Whole numbers (B,) -> (B, 3), which are exact in float32; ValueError for other ids."""
    ids = ops.convert_to_tensor(ids)
    kind = keras.backend.standardize_dtype(ids.dtype)
    if "int" not in kind:
        raise ValueError(
            f"ids must be whole numbers, got {kind}: number names by "
            'np.unique(names, return_inverse=True)[1], make floats whole by .astype("int64"). '
            "Functions and other losses that call this one get floats from Keras: to add two, "
            "give a model its output twice, each with a loss of its own"
        )
    if len(ids.shape) > 1 and ids.shape[1:] != (1,):
        raise ValueError(f"expected ids (B,), one number an example, got the shape {ids.shape}")
    large = kind in ("int64", "uint32", "uint64")  # of which the last may become negative
    ids, found = ops.cast(ops.reshape(ids, (-1,)), "int64" if large else "int32"), []
    for _ in range(3):
        found.append(ops.cast(ids % EXACT, "float32"))
        ids = ids // EXACT
    return ops.stack(found, axis=1)


def pairs(ids):
    """(positive, negative), bool (B, B): what has the same id, but for itself, and another."""
    columns = ops.unstack(ids, axis=1) if len(ids.shape) > 1 else [ids]
    same = reduce(ops.logical_and, (of[:, None] == of for of in columns))
    itself = ops.eye(ops.shape(ids)[0], dtype="bool")
    return ops.logical_and(same, ops.logical_not(itself)), ops.logical_not(same)


def unit(vectors):
    """Vectors (B, D) of length 1; those of length 0 stay."""
    return vectors / ops.sqrt(ops.maximum(ops.sum(vectors**2, axis=1, keepdims=True), 1e-12))


def squares(vectors):
    """Squares of the Euclidean distances (B, B) of vectors (B, D)."""
    # Around their centre, for where all are near one another the differences below lose all else.
    finite = ops.nan_to_num(ops.stop_gradient(vectors), posinf=0.0, neginf=0.0)
    vectors = vectors - ops.mean(finite, axis=0)
    length = ops.sum(vectors**2, axis=1)
    product = ops.matmul(vectors, ops.transpose(vectors))
    return ops.relu(length[:, None] + length[None] - 2 * product)


def distances(vectors):
    """Their roots, whose gradient is 0 where they are."""
    square = squares(vectors)
    equal = square == 0  # and not NaN, which has to show
    return ops.where(equal, 0.0, ops.sqrt(ops.where(equal, 1.0, square)))


def mean(values, valid):
    """Over those that are valid; 0 where none is."""
    valid = ops.cast(valid, "float32")
    return ops.sum(ops.where(valid > 0, values, 0.0)) / ops.maximum(ops.sum(valid), 1)


def log_share(logits, counted):
    """log of what each has of the sum of exp over those `counted` in its row, (B, B)."""
    logits = ops.where(counted, logits, -FAR)
    return logits - ops.logsumexp(logits, axis=1, keepdims=True)


def against(logits, negative):
    """-log(exp(s) / (exp(s) + sum of exp(s_n))) of each s among logits (B, B), with the negatives
    of its row.
    """
    others = ops.logsumexp(ops.where(negative, logits, -FAR), axis=1, keepdims=True)
    return ops.softplus(others - logits)


# Mining. Which distances count, and how often, is found beside the gradient: of those that do, a
# loss is but the sum. All anchors are looked at together, with their first positive, then with
# their second ...: so no triplets have to be made. A `choose` maps the distances of those
# positives from their anchors (B, 1), and their number, to a mask (B, B) of the negatives that
# they are compared with.


def triplets(d, positive, margin, choose):
    """How often each of the distances d (B, B) counts, (B, B), how many triplets cost something,
    and how many were chosen.
    """

    def step(this, near, number, found):
        weights, costing, chosen = found
        mine = choose(near, number) & ops.any(this, axis=1, keepdims=True)
        costs = as_numbers(mine & (d < near + margin))
        count = ops.sum(costs, axis=1, keepdims=True)
        weights += ops.where(this, count, -costs)
        return weights, costing + ops.sum(count), chosen + ops.sum(as_numbers(mine))

    return over_positives(d, positive, step, (ops.zeros_like(d), 0.0, 0.0))


def draws(positive, choose):
    """How often each is chosen, (B, B), whatever the distances are."""

    def step(this, near, number, found):
        mine = choose(near, number) & ops.any(this, axis=1, keepdims=True)
        return (found[0] + as_numbers(mine),)

    nothing = as_numbers(ops.zeros_like(positive))
    return over_positives(nothing, positive, step, (nothing,))[0]


def over_positives(d, positive, step, found):
    """step(this, near, number, found) -> found, for the positives of one number after the other.

    this: mask (B, B), of each anchor the positive with this number, if it has as many
    near: its distance, (B, 1)
    """
    rank = ops.cumsum(ops.cast(positive, "int32"), axis=1) - 1

    def body(number, *found):
        this = positive & (rank == number)
        near = ops.sum(ops.where(this, d, 0.0), axis=1, keepdims=True)
        return number + 1, *step(this, near, number, found)

    found = [ops.convert_to_tensor(x, "float32") for x in found]
    return ops.while_loop(lambda number, *_: number <= ops.max(rank), body, (0, *found))[1:]


def semi_hard(d, negative, farthest, near, number):
    """The nearest that is farther than the positive; where none is, the farthest."""
    farther = negative & (d > near)
    return ops.where(ops.any(farther, axis=1, keepdims=True), least(d, farther), farthest)


def nearest(d, negative, near, number):
    return least(d, negative)


def drawn(odds, ids, near, number):
    """One of each anchor, drawn as log odds (B, B) say.

    The ids decide the draw, so that all replicas make the same.
    """
    # The greatest of them, with Gumbel noise added, is drawn as they say.
    uniform = keras.random.uniform(ops.shape(odds), 1e-7, 1, "float32", Seed(ids, number))
    noise = -ops.log(-ops.log(uniform))
    return greatest(odds + noise, odds > -FAR)


def log_odds(vectors, negative, cutoff=0.5, farthest=1.4):
    """Of negatives (B, B), such that all distances of unit vectors (B, D) are as probable; -FAR of
    what is not to be drawn.

    -log q(d), where q is how frequent a distance is on the sphere (Wu et al. 2018, eq. 3):
    q(d) = d^(D - 2) (1 - d^2 / 4)^((D - 3) / 2). Distances below `cutoff` count as that; those
    beyond `farthest`, which would cost nothing, are drawn only where there are no others.
    """
    d, dimension = ops.stop_gradient(distances(vectors)), vectors.shape[1]
    close = ops.clip(d, cutoff, farthest)
    log_q = (dimension - 2) * ops.log(close) + (dimension - 3) / 2 * ops.log(1 - close**2 / 4)
    near = negative & (d <= farthest)
    return ops.where(ops.where(ops.any(near, axis=1, keepdims=True), near, negative), -log_q, -FAR)


def greatest(values, among):
    """Mask (B, B) of the greatest of each row among those of a mask; of equal ones the first."""
    return at(ops.argmax(ops.where(among, values, -FAR), axis=1), among)


def least(values, among):
    return at(ops.argmin(ops.where(among, values, FAR), axis=1), among)


def at(numbers, among):
    columns = ops.arange(ops.shape(among)[1], dtype="int32")
    return among & (columns == ops.cast(numbers, "int32")[:, None])


class Seed(keras.random.SeedGenerator):
    """The ids of a batch, in their order, and a number, as a seed of Keras' random numbers."""

    def __init__(self, ids, number):
        ids = ops.cast(ops.reshape(ids, (-1,)), "int32")
        places = ops.arange(ops.shape(ids)[0], dtype="int32") * 2 + 1
        self.numbers = ops.sum(ids * places * 40503), number

    def next(self, ordered=True):
        return ops.cast(ops.stack(self.numbers), "uint32")


def as_numbers(mask):
    return ops.cast(mask, "float32")


def above_zero(name, value):
    if not value > 0:
        raise ValueError(f"{name} must be above 0, not {value}")
    return value


def check(name, value, known):
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}")
