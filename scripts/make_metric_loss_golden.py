"""Writes what pytorch-metric-learning's losses say of random embeddings, with their gradients.

python scripts/make_metric_loss_golden.py tests/metric_learning/golden_losses.npz

Needs `pip install torch pytorch-metric-learning`, and nothing of keras_vision.
"""

import sys

import numpy as np
import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.distances import DotProductSimilarity, LpDistance
from pytorch_metric_learning.reducers import MeanReducer

IDS = np.repeat([4, 0, 2, 9], [2, 3, 2, 5])
TWOS = np.repeat(np.arange(6), 2)  # two of each


def golden():
    embeddings = np.random.default_rng(0).normal(size=(len(IDS), 6)).astype("float32")
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    plain, squared = (LpDistance(normalize_embeddings=False, power=power) for power in (1, 2))
    product = DotProductSimilarity(normalize_embeddings=False)
    cases = {
        "contrastive": (losses.ContrastiveLoss(0, 1, distance=plain, reducer=MeanReducer()), IDS),
        "triplet": (losses.TripletMarginLoss(0.2, distance=plain), IDS),
        "triplet, squared": (losses.TripletMarginLoss(0.2, distance=squared), IDS),
        "nt_xent, two views": (losses.NTXentLoss(0.1), TWOS),
        "sup_con": (losses.SupConLoss(0.1), IDS),
        "info_nce": (losses.NTXentLoss(0.07, distance=product), IDS),
        "n_pairs": (losses.NPairsLoss(distance=product), TWOS),
    }
    found = {"ids": IDS, "twos": TWOS, "embeddings": embeddings}
    for name, (loss, ids) in cases.items():
        z = torch.from_numpy(embeddings.copy()).requires_grad_()
        value = loss(z, torch.from_numpy(ids))
        value.backward()
        found |= {f"{name}/value": value.item(), f"{name}/gradient": z.grad.numpy()}
    return found


if __name__ == "__main__":
    (path,) = sys.argv[1:]
    np.savez_compressed(path, **golden())
