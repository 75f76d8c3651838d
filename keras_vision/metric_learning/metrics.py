"""How well embeddings tell ids apart: retrieval, verification, one-shot classification.

Functions measure all of a dataset, in NumPy: vectors (N, D) and their ids, int (N,); distances are
Euclidean, of vectors of any length, and made block by block. The Keras metrics, called (ids (B,),
embeddings (B, D)) as the losses are, measure within batches while a network trains.
"""

import warnings

import keras
import numpy as np
import pandas as pd
from keras import ops

from keras_vision.metric_learning import losses
from keras_vision.metric_learning.index import Index, matrix

WORD = 2**16

# Retrieval: each vector asks for those of its id


def recall_at(vectors, ids, k=1, gallery=None):
    """The share of vectors that have one of their id among their `k` nearest.

    Each asks all others, or, with gallery=(vectors, ids), those; ties are in the order of rows.
    Who has nobody of its id to find is left out; where all are, the share is NaN.

    k: a number, or several, for which {k: share} is returned.
    Raises ValueError for k below 1, and vectors and ids that do not fit or are not finite.
    """
    several = np.ravel(k).tolist()
    if not several or not all(isinstance(one, int) and one > 0 for one in several):
        raise ValueError(f"k must be a whole number, 1 at least, or several, not {k}")
    found = hits(vectors, ids, gallery, max(several))
    first = np.array([hit.argmax() if hit.any() else np.inf for hit in found])
    shares = {one: float((first < one).mean()) if len(first) else np.nan for one in several}
    return shares if np.ndim(k) else shares[k]


def map_at_r(vectors, ids, gallery=None):
    """The mean over vectors of the average precision among their R nearest, where R have their id.

    1 / R times the sum over i <= R of the precision among the i nearest, where the i-th is right
    (Musgrave, Belongie, Lim 2020, "A Metric Learning Reality Check", section 4.3). Unlike recall
    it wants all of an id in front. For the rest see `recall_at`.
    """
    precisions = [
        (hit * np.cumsum(hit) / np.arange(1, len(hit) + 1)).mean()
        for hit in hits(vectors, ids, gallery)
    ]
    return float(np.mean(precisions)) if precisions else np.nan


def hits(vectors, ids, gallery=None, top=None):
    """Yields for each vector with something to find which of its `top` nearest have its id.

    bool (top,), nearest first, fewer where it asks fewer; by default as many as have its id.
    """
    vectors, ids = checked(vectors, ids)
    asked, names = (vectors, ids) if gallery is None else checked(*gallery)
    counts = pd.Series(ids).map(pd.Series(names).value_counts()).fillna(0).to_numpy(int)
    counts = counts - (gallery is None)  # itself
    asking = np.flatnonzero(counts > 0)
    if not len(asking):
        return
    most = len(names) - (gallery is None)
    tops = counts[asking] if top is None else np.full(len(asking), min(top, most))
    itself = asking if gallery is None else None
    found = Index(asked).nearest(vectors[asking], tops, itself)
    for number, (places, _) in zip(asking, found, strict=True):
        yield names[places] == ids[number]


def nmi(vectors, ids, seed=0):
    """Normalised mutual information, 0..1, of ids and as many clusters of k-means.

    2 I / (H + H') of their information (Manning, Raghavan, Schuetze 2008, section 16.3); NaN where
    there are no vectors. Needs scikit-learn: pip install "keras_vision[search]".
    """
    try:
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.metrics import normalized_mutual_info_score
    except ImportError as error:
        fix = 'pip install "keras_vision[search]"'
        raise ImportError(f"nmi needs scikit-learn: {fix} ({error})") from error
    vectors, ids = checked(vectors, ids)
    if not len(ids):
        return np.nan
    with warnings.catch_warnings():  # of fewer distinct vectors than ids, which the result tells
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(len(np.unique(ids)), n_init=1, random_state=seed).fit_predict(vectors)
    return float(normalized_mutual_info_score(ids, clusters))


def checked(vectors, ids, what="ids"):
    vectors, ids = matrix(vectors, "vectors"), np.asarray(ids)
    ids = ids[:, 0] if ids.shape[1:] == (1,) else ids
    if ids.shape != vectors.shape[:1]:
        raise ValueError(f"expected {what} of {len(vectors)} vectors, got the shape {ids.shape}")
    return vectors, ids


# Verification: are two of the same id?


def roc(same, distances):
    """The curve of what a threshold accepts: pairs at most as distant as it.

    same: bool (M,), whether a pair has the same id; distances: (M,).

    Returns a table: `distance`, the threshold, -inf and then each that occurs, ascending;
    `true_accept` and `false_accept`, the shares of the same and of the different pairs that it
    accepts, NaN where there are none.
    Raises ValueError for other shapes, another dtype, or NaN.
    """
    same, distances = np.asarray(same), np.asarray(distances, "float64")
    if same.ndim != 1 or same.shape != distances.shape:
        raise ValueError(f"expected same and distances (M,), got {same.shape}, {distances.shape}")
    if same.dtype != np.bool_ and same.size:
        raise ValueError(f"expected same as bool, whether a pair has one id, got {same.dtype}")
    if np.isnan(distances).any():
        raise ValueError(f"{np.isnan(distances).sum()} of {len(distances)} distances are NaN")
    thresholds, place = np.unique(distances, return_inverse=True)
    same = same.astype(bool)
    counts = (np.bincount(place[kind], minlength=len(thresholds)) for kind in (same, ~same))
    with np.errstate(invalid="ignore"):
        true, false = (np.append(0, np.cumsum(count)) / count.sum() for count in counts)
    thresholds = np.append(-np.inf, thresholds)
    return pd.DataFrame({"distance": thresholds, "true_accept": true, "false_accept": false})


def equal_error_rate(same, distances):
    """(rate, distance): where as many different pairs are accepted as same ones are rejected.

    Shares of pairs, between the two neighbouring points of `roc` on a straight line.
    Raises ValueError as that does, and where there are no same or no different pairs.
    """
    thresholds, true, false = roc(same, distances).to_numpy().T
    if np.isnan(true + false).any():
        right = int(np.sum(same))
        raise ValueError(
            f"expected pairs of the same and of different ids, got {right} and {len(same) - right}"
        )
    gap = true + false - 1  # false accepts less false rejects: from -1 to 1, ever higher
    thresholds = np.append(thresholds[1], thresholds[1:])  # there is no way from -inf
    return float(np.interp(0, gap, false)), float(np.interp(0, gap, thresholds))


def all_pairs(vectors, ids):
    """(same, distances) of all pairs of vectors, each once, (N (N - 1) / 2,)."""
    vectors, ids = checked(vectors, ids)
    vectors = vectors.astype("float64")
    same = [ids[place + 1 :] == one for place, one in enumerate(ids)]
    distances = [
        np.linalg.norm(vectors[place + 1 :] - x, axis=1) for place, x in enumerate(vectors)
    ]
    return np.concatenate([np.empty(0, bool), *same]), np.concatenate([np.empty(0), *distances])


@keras.saving.register_keras_serializable("keras_vision")
class EqualErrorRate(keras.metrics.Metric):
    """The equal error rate of all pairs within batches, 0 before there are both kinds.

    As `equal_error_rate` of distances that are rounded up to one of `thresholds`, which are
    equally far from one another up to `limit`, 2 for unit vectors; what is farther counts as that.
    Of several replicas each counts the pairs within its part of a batch. Sample weights have no
    part in it.
    """

    def __init__(self, thresholds=1000, limit=2.0, name="equal_error_rate", **kwargs):
        super().__init__(name=name, **kwargs)
        self.thresholds, self.limit = thresholds, limit
        # How often WORD was filled, and what is left: float32 counts no further than 16.7 million.
        shape = (2, 2, thresholds)
        self.counts = self.add_weight(name="counts", shape=shape, initializer="zeros")

    def update_state(self, ids, embeddings, sample_weight=None):
        d = ops.sqrt(losses.squares(ops.cast(embeddings, "float32")))
        place = ops.ceil(d * (self.thresholds / self.limit)) - 1
        last = self.thresholds - 1
        place = ops.where(place < last, ops.maximum(place, 0), last)  # NaN, too, is far
        same, _ = losses.pairs(losses.digits(ids))
        cell = ops.cast(place, "int32") + ops.where(same, self.thresholds, 0)
        number = ops.arange(ops.shape(d)[0], dtype="int32")
        # Each pair once: the rest falls behind the last number, and is cut off there.
        cell = ops.where(number[:, None] < number, cell, 2 * self.thresholds)
        cell = ops.reshape(cell, (-1,))
        counts = ops.segment_sum(ops.ones_like(cell), cell, 2 * self.thresholds + 1)[:-1]
        counts = ops.cast(ops.reshape(counts, (2, self.thresholds)), "float32")
        full, left = self.counts[0], self.counts[1]
        left = left + counts
        self.counts.assign(ops.stack([full + left // WORD, left % WORD]))

    def result(self):
        full, left = self.counts[0], self.counts[1]
        accepted = ops.cumsum(WORD * full + left, axis=1)
        totals = accepted[:, -1:]
        accepted = ops.pad(accepted / ops.maximum(totals, 1), [[0, 0], [1, 0]])
        false, true = accepted[0], accepted[1]
        gap = false + true - 1
        right = ops.maximum(ops.argmax(ops.cast(gap >= 0, "int32")), 1)
        before, after = (ops.take(gap, place) for place in (right - 1, right))
        low, high = (ops.take(false, place) for place in (right - 1, right))
        share = after / ops.maximum(after - before, keras.config.epsilon())
        rate = share * low + (1 - share) * high
        return ops.where(ops.all(totals > 0), rate, 0.0)

    def get_config(self):
        settings = {"thresholds": self.thresholds, "limit": self.limit}
        return {**super().get_config(), **settings}


@keras.saving.register_keras_serializable("keras_vision")
class BatchRecall(keras.metrics.Mean):
    """The share of embeddings whose nearest of their batch has their id: `recall_at` of batches.

    Over all batches; those that have nobody of their id in the batch are left out. Ties are in
    the order of the batch. Of several replicas each looks within its part of a batch. Sample
    weights have no part in it.
    """

    def __init__(self, name="batch_recall", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, ids, embeddings, sample_weight=None):
        d = losses.squares(ops.cast(embeddings, "float32"))
        same, different = losses.pairs(losses.digits(ids))
        others = ops.logical_or(same, different)
        d = ops.where(ops.logical_and(others, d >= 0), d, np.inf)  # NaN, too, is far
        # The first column is nobody, for those who find none.
        column = [[0, 0], [1, 0]]
        nearest = ops.argmin(ops.pad(d, column, constant_values=np.inf), axis=1)
        same = ops.cast(ops.pad(same, column), "float32")
        hit = ops.take_along_axis(same, nearest[:, None], axis=1)[:, 0]
        super().update_state(hit, sample_weight=ops.any(same, axis=1))


# One-shot: who is it, of some who were seen once?


def one_shot(vectors, ids, ways=20, shots=1, trials=400, groups=None, seed=0):
    """(accuracy, standard error) of recognising ids that were seen `shots` times.

    A trial draws `ways` ids, `shots` vectors of each, and one other of each as query, which gets
    the id whose mean is nearest: `ways` answers (Lake et al. 2015; Koch et al. 2015; means, for
    more shots, as Snell et al. 2017). The error is that of the mean over trials, NaN for one.

    groups: int (N,), such as alphabets; a trial then stays within one that has enough ids.
    Raises ValueError where there are too few ids or vectors, with what would fit.
    """
    vectors, ids = checked(vectors, ids)
    _, groups = checked(vectors, np.zeros_like(ids) if groups is None else groups, "groups")
    if min(ways, shots, trials) < 1:
        raise ValueError(f"ways, shots, trials must be 1 or more, not {ways}, {shots}, {trials}")
    drawable = enough(ids, groups, ways, shots)
    random = np.random.default_rng(seed)
    shares = []
    for _ in range(trials):
        members = drawable[random.integers(len(drawable))]
        chosen = random.choice(len(members), ways, replace=False)
        places = [random.choice(members[one], shots + 1, replace=False) for one in chosen]
        drawn = vectors[np.array(places)].astype("float64")  # (ways, shots + 1, D)
        means, queries = drawn[:, :-1].mean(1), drawn[:, -1]
        answers = [np.argmin(((means - query) ** 2).sum(1)) for query in queries]
        shares.append(np.mean(answers == np.arange(ways)))
    error = np.std(shares, ddof=1) / np.sqrt(trials) if trials > 1 else np.nan
    return float(np.mean(shares)), float(error)


def enough(ids, groups, ways, shots):
    """The groups that can be drawn from: of each, the places of each id that can."""
    members = pd.Series(range(len(ids))).groupby([groups, ids]).indices
    by_group = {}
    for group, one in sorted(members):
        by_group.setdefault(group, []).append(members[group, one])
    able = [[places for places in one if len(places) > shots] for one in by_group.values()]
    drawable = [one for one in able if len(one) >= ways]
    if not drawable:
        most = max(map(len, able), default=0)
        place = " in one group" if len(able) > 1 else ""
        raise ValueError(
            f"expected {ways} ids of {shots + 1} vectors or more{place}, got {most}: "
            f"{fitting(by_group.values(), most, ways)}"
        )
    return drawable


def fitting(by_group, most, ways):
    """Says which ways or shots there are vectors enough for."""
    sizes = [sorted(map(len, one), reverse=True) for one in by_group if len(one) >= ways]
    shots = max((size[ways - 1] for size in sizes), default=0) - 1
    fits = [f"ways={most}"] * (most > 1) + [f"shots={shots}"] * (shots > 0)
    return f"{' or '.join(fits)} would fit" if fits else "more vectors of an id are needed"
