"""Times losses of metric learning and search against their peers; prints a table.

python scripts/bench_metric_learning.py --out docs/metric_learning.csv
python scripts/bench_metric_learning.py --quick

The peers are pytorch-metric-learning and scikit-learn. The contestants take turns, each of which
is a new process with all cores; ratio > 1 says that ours is faster. Losses are timed with their
gradient; of the large batch, where the peers run out of memory, ours is measured alone. The peer's
semi-hard triplets are all of that kind, ours those with the nearest negative: hardly any beside
them, which is why it is faster. "All" and "hard" are the same on both sides.
Needs `pip install -e ".[bench]" pytorch-metric-learning`.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
import resource
import sys
from functools import partial
from pathlib import Path

import bench
import numpy as np
from bench import CORES

DIM, QUERIES, TOP = 128, 100, 10
LARGE = 4096


def works():
    """(name, precision, pictures of a step, {row: ours}, {variant: peer}) of all comparisons."""
    losses = {
        "triplet loss, semi-hard": (semi_hard, semi_hard_torch),
        "triplet loss, all": (all_triplets, all_triplets_torch),
        "triplet loss, hard": (hard, hard_torch),
        "NT-Xent": (nt_xent, nt_xent_torch),
    }
    for name, (ours, theirs) in losses.items():
        peers = {"pytorch-metric-learning": partial(step_torch, theirs)}
        yield f"{name}, batch 512", "float32", 512, {"": partial(step_keras, ours)}, peers
    name = f"search, {QUERIES} among 100,000 vectors"
    yield name, "float32", QUERIES, {"": search_ours}, {"scikit-learn, brute": search_sklearn}


def semi_hard():
    from keras_vision.metric_learning import TripletLoss

    return TripletLoss(0.2, squared=False, mining="semi_hard"), "fours"


def all_triplets():
    from keras_vision.metric_learning import TripletLoss

    return TripletLoss(0.2, squared=False), "fours"


def hard():
    from keras_vision.metric_learning import TripletLoss

    return TripletLoss(0.2, squared=False, mining="hard"), "fours"


def nt_xent():
    from keras_vision.metric_learning import NTXent

    return NTXent(0.5), "twos"


def semi_hard_torch():
    from pytorch_metric_learning import losses, miners

    loss, miner = losses.TripletMarginLoss(0.2), miners.TripletMarginMiner(0.2, "semihard")
    return (lambda z, ids: loss(z, ids, miner(z, ids))), "fours"


def all_triplets_torch():
    from pytorch_metric_learning import losses

    return losses.TripletMarginLoss(0.2), "fours"


def hard_torch():
    from pytorch_metric_learning import losses, miners

    loss, miner = losses.TripletMarginLoss(0.2), miners.BatchHardMiner()
    return (lambda z, ids: loss(z, ids, miner(z, ids))), "fours"


def nt_xent_torch():
    from pytorch_metric_learning import losses

    return losses.NTXentLoss(0.5), "twos"


def step_keras(build, inputs):
    import tensorflow as tf

    loss, ids = build()

    @tf.function
    def gradient(ids, z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(ids, z)
        return value, tape.gradient(value, z)

    given = tf.constant(inputs[ids]), tf.constant(inputs["embeddings"])
    return lambda: gradient(*given)[1].numpy()


def step_torch(build, inputs):
    import torch

    torch.set_num_threads(CORES)
    loss, ids = build()
    ids, z = torch.from_numpy(inputs[ids]), torch.from_numpy(inputs["embeddings"])
    z.requires_grad_()

    def step():
        z.grad = None
        loss(z, ids).backward()
        return z.grad.numpy()

    return step


def search_ours(inputs):
    from keras_vision.metric_learning import Index

    index = Index(inputs["gallery"])
    return lambda: index.search(inputs["queries"], TOP)


def search_sklearn(inputs):
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=TOP, algorithm="brute").fit(inputs["gallery"])
    return lambda: index.kneighbors(inputs["queries"])


def ids_of(count):
    return {"fours": np.arange(count) // 4, "twos": np.arange(count) // 2}


def unit(rng, count):
    vectors = rng.normal(size=(count, DIM)).astype("float32")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def of_large_batch(build, embeddings):
    """(milliseconds of a step, gigabytes that the process grew by) of ours alone."""
    inputs = {"embeddings": embeddings, **ids_of(LARGE)}
    small = {name: array[:64] for name, array in inputs.items()}
    step_keras(build, small)()  # what TensorFlow needs anyway
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = step_keras(build, inputs)
    milliseconds = 1e3 * np.median(bench.timed(step, 2.0))
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return milliseconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="a .csv to write")
    parser.add_argument("--quick", action="store_true", help="a short round")
    parser.add_argument("--rounds", type=int, help="turns of each contestant, 3 by default")
    parser.add_argument("--seconds", type=float, help="of a turn, 2 by default")
    args = parser.parse_args()
    bench.warn_if_busy()
    rounds, seconds = (1, 0.3) if args.quick else (3, 2.0)
    rounds, seconds = args.rounds or rounds, args.seconds or seconds
    rng = np.random.default_rng(0)
    inputs = {
        "embeddings": unit(rng, 512),
        **ids_of(512),
        **{"gallery": unit(rng, 100_000), "queries": unit(rng, QUERIES)},
    }
    bench.report(bench.rows(works(), inputs, rounds, seconds), args.out, rounds=rounds)
    for build in (semi_hard, all_triplets, hard, nt_xent):
        taken = bench.alone(of_large_batch, build, unit(rng, LARGE))
        print(f"{build.__name__}, batch {LARGE}: {taken[0]:.0f} ms, {taken[1]:.2f} GB")


if __name__ == "__main__":
    main()
