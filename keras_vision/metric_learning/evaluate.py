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
    vectors, ids = vectors_of(model, rows)
    first, second = np.triu_indices(len(ids), 1)
    apart = np.linalg.norm(vectors[first] - vectors[second], axis=1)
    rate, _ = metrics.equal_error_rate(ids[first] == ids[second], apart)
    return {"equal_error_rate": rate}


def spread(model, rows):
    """{"spread"}: how far the vectors are from their mean, the mean over pictures; 0 to 1.

    Says so where a network has collapsed: all pictures get the same vector.
    """
    vectors, _ = vectors_of(model, rows)
    found = float(np.linalg.norm(vectors - vectors.mean(0), axis=1).mean())
    if found < COLLAPSED:
        say(
            f"collapsed: all embeddings are equal (spread {found:.2g}); a lower rate, or another "
            "mining at first, such as semi_hard, may help"
        )
    return {"spread": found}
