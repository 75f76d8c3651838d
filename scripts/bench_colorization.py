"""Times the colouriser against its peers: PyTorch, scikit-learn and a DataLoader; prints a table.

python scripts/bench_colorization.py --data tiny-imagenet-200 --out colorization.csv
python scripts/bench_colorization.py --quick

The contestants take turns, each of which is a new process with all cores: ours, theirs, ours,
theirs ... A turn yields the median step after a second of warming up, the table the median turn;
of a peer's variants the fastest counts, and ratio > 1 says that ours is faster.
Needs `pip install -e ".[bench]"`.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from contextlib import nullcontext
from functools import partial
from itertools import product
from pathlib import Path

import bench
import numpy as np
from bench import CORES
from PIL import Image

BATCH = 32


def works(width, data):
    """(name, precision, pictures of a step, {row: ours}, {variant: peer}) of all comparisons."""
    for precision in ("float32", "bfloat16"):
        setting = {"width": width, "precision": precision}
        ours, peers = {"": partial(train_ours, **setting)}, variants(train_torch, **setting)
        yield "training step 64x64", precision, BATCH, ours, peers
        ours = {row: partial(infer_ours, xla=bool(row), **setting) for row in ("", " with XLA")}
        yield "inference 256x256", precision, 1, ours, variants(infer_torch, **setting)
    peers = {f"NearestNeighbors, n_jobs={n}": partial(encode_sklearn, n) for n in (None, CORES)}
    yield "soft encoding 64x64", "float32", BATCH, {"": encode_ours}, peers
    if data:
        paths = sorted(data.glob("train/*/images/*.JPEG"))[: 100 * BATCH]
        ours = {"": partial(read_ours, data, len(paths))}
        peers = {f"DataLoader, {n} workers": partial(read_torch, paths, n) for n in (0, CORES)}
        yield "input pipeline", "float32", len(paths), ours, peers


def variants(contestant, width, precision):
    """A contestant in PyTorch: both layouts and, for bfloat16, both ways to it."""
    modes = ["float32"] if precision == "float32" else ["autocast", "bfloat16"]
    return {
        f"PyTorch {mode}, {layout}": partial(contestant, width, mode, layout)
        for mode, layout in product(modes, ("contiguous_format", "channels_last"))
    }


def build_ours(width, precision):
    import keras

    from keras_vision import colorization

    keras.config.set_dtype_policy("float32" if precision == "float32" else "mixed_bfloat16")
    return colorization.build(width=width)


def train_ours(inputs, width, precision):
    import keras
    import tensorflow as tf

    from keras_vision.colorization import RebalancedCrossEntropy
    from keras_vision.training.adam import fuse_adam

    model = build_ours(width, precision)
    model.compile(keras.optimizers.Adam(1e-4), RebalancedCrossEntropy(inputs["prior"]))
    fuse_adam(model.optimizer)  # as `launch` does
    batches = tf.data.Dataset.from_tensors((inputs["lightness"], inputs["ab"]))
    model.fit(batches, shuffle=False, verbose=0)
    endless = iter(batches.repeat())
    return lambda: float(model.train_function(endless)["loss"])  # what `fit` calls for a step


def infer_ours(inputs, width, precision, xla):
    import tensorflow as tf

    model = build_ours(width, precision)
    compiled = tf.function(model, jit_compile=True)
    lightness = inputs["large"]
    return lambda: compiled(lightness).numpy() if xla else model.predict_on_batch(lightness)


def build_torch(width, mode, layout):
    """The network and the context of its steps."""
    import torch
    from make_colorization_golden import Network

    torch.set_num_threads(CORES)
    net = Network(width).to(memory_format=getattr(torch, layout))
    if mode == "bfloat16":
        return net.to(torch.bfloat16), nullcontext
    return net, partial(torch.autocast, "cpu", torch.bfloat16, enabled=mode == "autocast")


def train_torch(width, mode, layout, inputs):
    import torch

    net, autocast = build_torch(width, mode, layout)
    weights = [array for array in net.parameters() if array.requires_grad]
    optimizer = torch.optim.Adam(weights, 1e-4, fused=True)
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}

    def step():
        with autocast():
            logits = net(tensors["lightness"].permute(0, 3, 1, 2))
        places = tensors["ab"][:, 2::4, 2::4].flatten(0, 2)  # the cells' middles
        exact = "donot_use_mm_for_euclid_dist"  # and the quicker one here
        distances = torch.cdist(places, tensors["centers"], compute_mode=exact)
        distances, nearest = distances.topk(5, largest=False)  # both (B h w, 5), sorted
        shares = torch.softmax(-(distances**2) / 50, 1)
        likelihoods = torch.log_softmax(logits.float().permute(0, 2, 3, 1).flatten(0, 2), 1)
        crossentropy = -(shares * likelihoods.gather(1, nearest)).sum(1)
        loss = (tensors["rarity"][nearest[:, 0]] * crossentropy).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def infer_torch(width, mode, layout, inputs):
    import torch

    net, autocast = build_torch(width, mode, layout)
    net.eval()

    def step():
        with torch.inference_mode(), autocast():
            return net(torch.from_numpy(inputs["large"]).permute(0, 3, 1, 2)).float().numpy()

    return step


def encode_ours(inputs):
    import tensorflow as tf

    from keras_vision.colorization import bins

    encode, ab = tf.function(bins.soft_encode), tf.constant(inputs["ab"])
    return lambda: [array.numpy() for array in encode(ab)]


def encode_sklearn(jobs, inputs):
    from sklearn.neighbors import NearestNeighbors

    neighbors = NearestNeighbors(n_neighbors=5, n_jobs=jobs).fit(inputs["centers"])

    def step():
        distances, indices = neighbors.kneighbors(inputs["ab"].reshape(-1, 2))
        weights = np.exp(-(distances**2) / 50)
        return indices, weights / weights.sum(1, keepdims=True)

    return step


def exactness(inputs):
    """How far the two soft encodings are apart where the sixth bin is not as near as the fifth."""
    places, centers = inputs["ab"].reshape(-1, 2), inputs["centers"].astype("float64")
    squares = np.sort(((places[:, None] - centers) ** 2).sum(-1), axis=1)
    clear = squares[:, 5] - squares[:, 4] > 1e-2
    dense = np.zeros((2, len(places), len(centers)))
    for row, contestant in zip(dense, (encode_ours, partial(encode_sklearn, None)), strict=True):
        np.put_along_axis(row, *(x.reshape(-1, 5) for x in contestant(inputs)()), axis=1)
    return f"{np.abs(dense[0] - dense[1])[clear].max():.1e} ({np.mean(~clear):.2%} ties left out)"


def read_ours(data, count, inputs):
    from keras_vision import pipeline
    from keras_vision.colorization.data import pair
    from keras_vision.datasets import tiny_imagenet

    batches = pipeline.batches(tiny_imagenet.load("train", data).select(slice(count)), pair, BATCH)
    return lambda: sum(1 for _ in batches)


def read_torch(paths, workers, inputs):
    from torch.utils.data import DataLoader

    loader = DataLoader(Pairs(paths), BATCH, num_workers=workers, persistent_workers=workers > 0)
    return lambda: sum(1 for _ in loader)


class Pairs:
    """(L, ab) by Pillow and the quickest NumPy: a table for the 256 levels, float32 throughout."""

    def __init__(self, paths):
        from skimage.color.colorconv import xyz_from_rgb

        self.paths, levels = paths, np.arange(256) / 255
        curve = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
        self.curve = curve.astype("float32")
        self.to_xyz = np.float32(xyz_from_rgb.T / [0.95047, 1, 1.08883])
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
    """Arrays that the contestants compute on, from a photo of scikit-learn's."""
    from skimage.color import rgb2lab
    from sklearn.datasets import load_sample_image

    from keras_vision.colorization import bins

    photo = rgb2lab(load_sample_image("china.jpg")).astype("float32")
    pieces = photo[:256, :512].reshape(4, 64, 8, 64, 3).swapaxes(1, 2).reshape(BATCH, 64, 64, 3)
    lightness, ab = pieces[..., :1].copy(), pieces[..., 1:].copy()
    prior = bins.estimate_prior([(lightness, ab)])
    inputs = {"lightness": lightness, "ab": ab, "large": photo[None, :256, :256, :1].copy()}
    return inputs | {"prior": prior, "rarity": bins.rarity(prior), "centers": bins.CENTERS}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("--out", type=Path, help="a .csv to write")
    parser.add_argument("--quick", action="store_true", help="2 short rounds at width 0.25")
    args = parser.parse_args()
    bench.warn_if_busy()
    width, rounds, seconds = (0.25, 2, 0.3) if args.quick else (1.0, 3, 2.0)
    inputs = shared_inputs()
    rows = bench.rows(works(width, args.data), inputs, rounds, seconds)
    bench.report(rows, args.out, width=width, rounds=rounds)
    print(f"soft encodings differ by at most {exactness(inputs)}")


if __name__ == "__main__":
    main()
