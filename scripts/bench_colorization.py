"""Times the colouriser against its peers: PyTorch, scikit-learn and a DataLoader; prints a table.

python scripts/bench_colorization.py --data tiny-imagenet-200 --out colorization.csv
python scripts/bench_colorization.py --quick

Every contestant lives in a process of its own, where it has all cores, and they take turns: ours,
theirs, ours, theirs ... A turn begins with a step that is not timed. The table has the medians of
all steps, of a peer's variants the fastest, and ratio > 1 says that ours is faster.
Needs `pip install -e ".[bench]"`.
"""

import argparse
import multiprocessing
import os
import platform
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CORES = len(os.sched_getaffinity(0))
BATCH = 32
PASS = 100 * BATCH  # pictures of one pass through the input pipeline
VERSIONS = ("keras", "tensorflow", "tensorflow_cpu", "torch", "scikit-learn", "numpy", "pillow")

# A contestant is a function (inputs, ...) -> step. It imports its own library and not its rival's:
# two libraries in one process would share, and fight over, threads.


class Work(NamedTuple):
    name: str
    precision: str
    pictures: int  # of a step
    ours: dict  # contestants, every one a row of the table
    peers: dict  # contestants, of which the fastest counts


def works(width, data):
    for precision in ("float32", "bfloat16"):
        settings = {"width": width, "precision": precision}
        train = {"": partial(train_ours, **settings)}
        infer = {
            ", XLA" if xla else "": partial(infer_ours, xla=xla, **settings) for xla in (0, 1)
        }
        yield Work(
            "training step 64x64", precision, BATCH, train, in_torch(train_torch, **settings)
        )
        yield Work("inference 256x256", precision, 1, infer, in_torch(infer_torch, **settings))
    peers = {
        f"scikit-learn {kind}, n_jobs={jobs}": partial(encode_sklearn, kind=kind, jobs=jobs)
        for kind in ("kd_tree", "brute")
        for jobs in (None, CORES)
    }
    yield Work("soft encoding 64x64", "float32", BATCH, {"": encode_ours}, peers)
    if data:
        pictures = min(PASS, sum(1 for _ in data.glob("train/*/images/*.JPEG")))
        settings = {"data": data, "pictures": pictures}
        peers = {
            f"DataLoader, {n} workers": partial(read_torch, workers=n, **settings)
            for n in (0, CORES)
        }
        yield Work(
            "input pipeline", "float32", pictures, {"": partial(read_ours, **settings)}, peers
        )


def train_ours(inputs, width, precision):
    import keras
    import tensorflow as tf

    from keras_vision import colorization

    model = build_ours(width, precision)
    loss = colorization.RebalancedCrossEntropy(inputs["prior"])
    model.compile(keras.optimizers.Adam(1e-4), loss)
    batch = inputs["lightness"], inputs["ab"]
    model.train_on_batch(*batch)  # makes what `fit` calls for every step:
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    model.make_train_function(force=True)
    return lambda: float(model.train_function(batches)["loss"])


def infer_ours(inputs, width, precision, xla):
    import tensorflow as tf

    model = build_ours(width, precision)
    if not xla:
        return partial(model.predict_on_batch, inputs["large"])
    compiled = tf.function(partial(model, training=False), jit_compile=True)
    return lambda: compiled(inputs["large"]).numpy()


def build_ours(width, precision):
    import keras

    from keras_vision import colorization

    keras.config.set_dtype_policy("float32" if precision == "float32" else "mixed_bfloat16")
    return colorization.build(width=width)


def in_torch(contestant, precision, **settings):
    """All variants of a contestant in PyTorch: the layout and, in bfloat16, the way to it."""
    modes = ("float32",) if precision == "float32" else ("autocast", "bfloat16")
    layouts = {"": "contiguous_format", " channels-last": "channels_last"}
    return {
        f"PyTorch {mode}{name}": partial(contestant, mode=mode, layout=layout, **settings)
        for mode in modes
        for name, layout in layouts.items()
    }


def train_torch(inputs, width, mode, layout):
    import torch

    net, autocast = build_torch(width, mode, layout)
    weights = [array for array in net.parameters() if array.requires_grad]
    optimizer = torch.optim.Adam(weights, 1e-4, fused=True)
    lightness, ab, centers, rarity = (
        torch.from_numpy(inputs[name]) for name in ("lightness", "ab", "centers", "rarity")
    )
    lightness = lightness.permute(0, 3, 1, 2)

    def step():
        with autocast():
            logits = net(lightness)
        places = ab[:, 2::4, 2::4]  # the cells' middles, (B, h, w, 2)
        distances, bins = torch.cdist(places.flatten(0, 2), centers).topk(5, largest=False)
        shares = torch.softmax(-(distances**2) / 50, 1)
        likelihoods = torch.log_softmax(logits.float().permute(0, 2, 3, 1).flatten(0, 2), 1)
        crossentropy = -(shares * likelihoods.gather(1, bins)).sum(1)
        loss = (rarity[bins[:, 0]] * crossentropy).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def infer_torch(inputs, width, mode, layout):
    import torch

    net, autocast = build_torch(width, mode, layout)
    net.eval()

    def step():
        with torch.inference_mode(), autocast():
            return net(torch.from_numpy(inputs["large"]).permute(0, 3, 1, 2)).float().numpy()

    return step


def build_torch(width, mode, layout):
    import torch
    from make_colorization_golden import Network

    torch.set_num_threads(CORES)
    net = Network(width).to(memory_format=getattr(torch, layout))
    if mode == "bfloat16":
        net.to(torch.bfloat16)
    return net, partial(
        torch.autocast, "cpu", torch.bfloat16
    ) if mode == "autocast" else nullcontext


def encode_ours(inputs):
    import tensorflow as tf

    from keras_vision.colorization import bins

    encode, ab = tf.function(bins.soft_encode), tf.constant(inputs["ab"])
    return lambda: [array.numpy() for array in encode(ab)]


def encode_sklearn(inputs, kind, jobs):
    from sklearn.neighbors import NearestNeighbors

    neighbors = NearestNeighbors(n_neighbors=5, algorithm=kind, n_jobs=jobs).fit(inputs["centers"])

    def step():
        distances, indices = neighbors.kneighbors(inputs["ab"].reshape(-1, 2))
        weights = np.exp(-(distances**2) / 50)
        return indices, weights / weights.sum(1, keepdims=True)

    return step


def read_ours(inputs, data, pictures):
    from keras_vision import pipeline
    from keras_vision.colorization.data import pair
    from keras_vision.datasets import tiny_imagenet

    photos = tiny_imagenet.load("train", data).take(pictures)
    batches = pipeline.batches(photos, pair, BATCH)
    return lambda: sum(1 for _ in batches)


def read_torch(inputs, data, pictures, workers):
    from torch.utils.data import DataLoader

    paths = sorted(data.glob("train/*/images/*.JPEG"))[:pictures]
    loader = DataLoader(Pairs(paths), BATCH, num_workers=workers, persistent_workers=workers > 0)
    return lambda: sum(1 for _ in loader)


class Pairs:
    """A map-style dataset of (L, ab), by Pillow and the quickest NumPy."""

    def __init__(self, paths):
        self.paths = paths
        levels = np.arange(256) / 255
        curve = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
        self.curve = curve.astype("float32")
        to_xyz = [
            [0.412453, 0.212671, 0.019334],
            [0.35758, 0.71516, 0.119193],
            [0.180423, 0.072169, 0.950227],
        ]
        self.to_xyz = np.float32(to_xyz) / np.float32([0.95047, 1, 1.08883])
        self.to_lab = np.float32([[0, 500, 0], [116, -500, 200], [0, 0, -200]])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, number):
        with Image.open(self.paths[number]) as photo:
            rgb = np.asarray(photo.convert("RGB"))
        t = self.curve[rgb].reshape(-1, 3) @ self.to_xyz
        f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + np.float32(16 / 116))
        lab = (f @ self.to_lab - np.float32([16, 0, 0])).reshape(rgb.shape)
        return lab[..., :1], lab[..., 1:]


def shared_inputs():
    """What all contestants compute on: photos of flowers, cut into pieces."""
    import skimage
    from sklearn.datasets import load_sample_images

    from keras_vision.colorization import bins

    china, flower = (skimage.color.rgb2lab(photo) for photo in load_sample_images().images)
    pieces = [
        photo[top : top + 64, left : left + 64]
        for top in range(0, 256, 64)
        for left in range(0, 256, 64)
        for photo in (china, flower)
    ]
    lab = np.float32(pieces)
    prior = bins.estimate_prior([(None, lab[..., 1:])])
    return {
        "lightness": lab[..., :1].copy(),  # (32, 64, 64, 1)
        "ab": lab[..., 1:].copy(),  # (32, 64, 64, 2)
        "large": np.float32(china[None, :256, :256, :1]),
        "prior": prior,
        "rarity": bins.rarity(prior),
        "centers": bins.CENTERS,
    }


def serve(connection, contestant, inputs):
    """A contestant's process: prepares, then takes turns of so many seconds as it is sent."""
    step = contestant(inputs)
    step()
    connection.send("ready")
    with suppress(EOFError):  # the other end is closed: it is over
        while True:
            seconds = connection.recv()
            step()
            times, end = [], time.perf_counter() + seconds
            while len(times) < 2 or time.perf_counter() < end:
                start = time.perf_counter()
                step()
                times.append(time.perf_counter() - start)
            connection.send(times)


@contextmanager
def running(contestant, inputs):
    """A function seconds -> times of the steps of one turn."""
    context = multiprocessing.get_context("spawn")  # a fork would inherit libraries
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, contestant, inputs))
    process.start()
    there.close()
    try:
        here.recv()
        yield lambda seconds: here.send(seconds) or here.recv()
    finally:
        here.close()
        process.join()


def measure(work, inputs, rounds, seconds):
    """Rows of the table."""
    with ExitStack() as stack:
        turns = {
            name: stack.enter_context(running(contestant, inputs))
            for name, contestant in (work.ours | work.peers).items()
        }
        times = {name: [] for name in turns}
        for _ in range(rounds):
            for name, turn in turns.items():
                times[name] += turn(seconds)
    medians = {name: float(np.median(steps)) for name, steps in times.items()}
    peer = min(work.peers, key=medians.get)
    for name in work.ours:
        yield {
            "work": work.name + name,
            "precision": work.precision,
            "ours_ms": 1e3 * medians[name],
            "peer_ms": 1e3 * medians[peer],
            "ours_per_s": work.pictures / medians[name],
            "peer_per_s": work.pictures / medians[peer],
            "ratio": medians[peer] / medians[name],
            "peer": peer,
        }


def exactness(inputs):
    """How far our soft encoding is from scikit-learn's where no sixth bin is as near as the fifth."""
    from sklearn.neighbors import NearestNeighbors

    def dense(indices, weights):
        encoded = np.zeros((len(places), len(inputs["centers"])))
        np.put_along_axis(encoded, indices.reshape(-1, 5), weights.reshape(-1, 5), axis=1)
        return encoded

    places = inputs["ab"].reshape(-1, 2)
    distances, _ = NearestNeighbors(n_neighbors=6).fit(inputs["centers"]).kneighbors(places)
    clear = distances[:, 5] - distances[:, 4] > 1e-3
    difference = dense(*encode_ours(inputs)()) - dense(*encode_sklearn(inputs, "kd_tree", None)())
    worst = np.abs(difference[clear]).max()
    return f"soft encoding differs by at most {worst:.1e}, {1 - clear.mean():.2%} ties left out"


def machine():
    with suppress(OSError, StopIteration), open("/proc/cpuinfo") as file:
        name = next(line.split(": ")[1].strip() for line in file if line.startswith("model name"))
        return f"{name}, {CORES} cores"
    return f"{platform.processor()}, {CORES} cores"


def versions():
    found = [f"Python {platform.python_version()}"]
    for name in VERSIONS:
        with suppress(ModuleNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("--out", type=Path, help="a .csv to write")
    parser.add_argument("--quick", action="store_true", help="2 short rounds at width 0.25")
    args = parser.parse_args()
    width, rounds, seconds = (0.25, 2, 0.3) if args.quick else (1.0, 7, 2.0)
    inputs = shared_inputs()
    about = {"width": width, "rounds": rounds, "machine": machine(), "versions": versions()}
    rows = []
    for work in works(width, args.data):
        print(f"{work.name}, {work.precision} ...", flush=True)
        rows += measure(work, inputs, rounds, seconds)
    table = pd.DataFrame(rows)
    print(*(f"{key}: {value}" for key, value in about.items()), exactness(inputs), sep="\n")
    print(table.to_string(index=False, float_format="{:.4g}".format))
    if args.out:
        table.assign(**about).to_csv(args.out, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
