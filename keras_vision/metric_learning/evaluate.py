"""How well a network embeds a dataset: (model, rows) -> {name: figure}, for an Evaluator."""

import numpy as np

from keras_vision.metric_learning import metrics
from keras_vision.metric_learning.embed import embed
from keras_vision.training.log import say

COLLAPSED = 0.01


def vectors_of(model, rows):
    """(vectors (N, D), ids (N,)) of `Rows` with an "image" and a "label"."""
    ids = []

    def photos():
        for raw in rows.as_numpy_iterator():
            ids.append(raw["label"])
            yield raw["image"]

    return np.array(list(embed(model, photos()))), np.array(ids)


def retrieval(model, rows):
    """{"recall_at_1", "map_at_r"}: each picture asks all others."""
    found = vectors_of(model, rows)
    return {"recall_at_1": metrics.recall_at(*found), "map_at_r": metrics.map_at_r(*found)}


def verification(model, rows):
    """{"equal_error_rate"} over all pairs of pictures."""
    rate, _ = metrics.equal_error_rate(*metrics.all_pairs(*vectors_of(model, rows)))
    return {"equal_error_rate": rate}


def spread(model, rows):
    """{"spread"}, as `spread_of` the vectors.

    Says so where a network has collapsed: all pictures get the same vector.
    """
    found = spread_of(vectors_of(model, rows)[0])
    if found < COLLAPSED:
        say(
            f"collapsed: all embeddings are equal (spread {found:.2g}); a lower rate, or another "
            "mining at first, such as semi_hard, may help"
        )
    return {"spread": found}


def spread_of(vectors):
    """How far vectors (N, D), at length 1, are from their mean: 0 where all are equal, to 1."""
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return float(np.linalg.norm(vectors - vectors.mean(0), axis=1).mean())
