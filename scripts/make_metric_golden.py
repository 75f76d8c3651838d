"""Writes tests/metric_learning/golden_metrics.npz: retrieval as pytorch-metric-learning counts it.

python scripts/make_metric_golden.py

Needs `pip install pytorch-metric-learning`.
"""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent.parent / "tests" / "metric_learning" / "golden_metrics.npz"
MEASURES = ("precision_at_1", "mean_average_precision_at_r")
CASES = {  # vectors, dimension, ids, spread of an id around its middle
    "easy": (60, 8, 6, 0.3),
    "hard": (90, 4, 9, 1.5),
    "alone": (50, 8, 30, 0.8),  # many ids occur once
    "unbalanced": (80, 3, 3, 1.0),
}


def main():
    import torch
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    nearest = CustomKNN(LpDistance(normalize_embeddings=False))
    calculator = AccuracyCalculator(MEASURES, k="max_bin_count", knn_func=nearest)
    random = np.random.default_rng(0)
    found = {}
    for name, (count, dimension, classes, spread) in CASES.items():
        share = np.arange(1, classes + 1) ** (2.0 if name == "unbalanced" else 0.0)
        ids = random.choice(classes, count, p=share / share.sum()) * 7 + 3
        middles = random.normal(size=(classes * 7 + 3, dimension))
        vectors = (middles[ids] + spread * random.normal(size=(count, dimension))).astype(
            "float32"
        )
        x, y = torch.tensor(vectors, dtype=torch.float64), torch.tensor(ids)
        half = count // 2
        found[f"{name}/vectors"], found[f"{name}/ids"] = vectors, ids
        for kind, question in {
            "others": (x, y),
            "gallery": (x[:half], y[:half], x[half:], y[half:], False),
        }.items():
            values = calculator.get_accuracy(*question)
            found[f"{name}/{kind}"] = [values[measure] for measure in MEASURES]
    np.savez_compressed(GOLDEN, **found)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
