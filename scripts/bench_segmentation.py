"""Times U-Net, FCN and what segmentation is made of against their peers; prints a table.

python scripts/bench_segmentation.py --out docs/segmentation.csv
python scripts/bench_segmentation.py --quick

The peers are a U-Net in plain PyTorch, torchvision's FCN-ResNet-50, PyTorch's pooling and
unpooling, loops over the classes for Lovasz's loss, scikit-learn's confusion matrix, and a
DataLoader with Pillow. The contestants take turns, each of which is a new process with all cores;
of the peers' variants the fastest counts, and ratio > 1 says that ours is faster.
Needs `pip install -e ".[bench]" torchvision`.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
import random
import tempfile
from functools import partial
from itertools import product
from pathlib import Path

import bench
import numpy as np
from bench import CORES
from bench_classification import (
    POLICIES,
    infer_keras,
    infer_torch,
    passes,
    train_keras,
    train_torch,
    variants,
)
from PIL import Image

CLASSES, BATCH = 19, 4  # as Cityscapes; of the pipeline
CROP = (512, 1024)


def works(photos):
    """(name, precision, pictures of a step, {row: ours}, {variant: peer}) of all comparisons."""
    networks = {
        "U-Net": (build_unet, build_torch_unet),
        "FCN-ResNet-50": (build_fcn, build_torchvision),
    }
    for (network, (ours, theirs)), precision in product(networks.items(), POLICIES):
        policy = POLICIES[precision]
        peers = variants(train_torch, theirs, precision)
        name = f"{network} training step, batch 2"
        yield name, precision, 2, {"": partial(train_keras, ours, precision)}, peers
        forms = {"": False, " with XLA": True}
        forms = {form: partial(infer_keras, ours, policy, xla, 1) for form, xla in forms.items()}
        peers = variants(infer_torch, theirs, precision, 1)
        yield f"{network} inference, batch 1", precision, 1, forms, peers
    name = "pooling with indices and unpooling, with gradient"
    peers = {f"PyTorch, {layout}": partial(unpool_torch, layout) for layout in LAYOUTS}
    yield name, "float32", 1, {"": unpool_ours}, peers
    name = "Lovasz-softmax with gradient, 19 classes"
    peers = {"PyTorch, class by class": lovasz_torch}
    yield name, "float32", 1, {"": lovasz_ours}, peers
    peers = {"scikit-learn": confusion_sklearn, "NumPy, row by row": confusion_rows}
    yield "confusion matrix, 19 classes", "int64", 1, {"": confusion_ours}, peers
    peers = {f"DataLoader, {n} workers": partial(read_torch, n) for n in range(CORES + 1)}
    yield "Cityscapes pipeline, 2048x1024 to 1024x512", "uint8", photos, {"": read_ours}, peers


LAYOUTS = "contiguous_format", "channels_last"


def build_unet(size):
    from keras_vision.segmentation import unet

    return unet.build(CLASSES)


def build_torch_unet():
    import torch
    from torch import nn

    def twice(channels, filters):
        return nn.Sequential(
            *(nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(filters, filters, 3, padding=1), nn.ReLU(inplace=True)),
        )

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            filters = [64 * 2**level for level in range(5)]
            self.down = nn.ModuleList(map(twice, [3, *filters[:-2]], filters[:-1]))
            self.bottom = twice(filters[-2], filters[-1])
            self.up = nn.ModuleList(
                nn.ConvTranspose2d(2 * count, count, 2, 2) for count in filters[:-1]
            )
            self.joined = nn.ModuleList(twice(2 * count, count) for count in filters[:-1])
            self.logits = nn.Conv2d(filters[0], CLASSES, 1)

        def forward(self, x):
            finer = []
            for block in self.down:
                finer.append(block(x))
                x = nn.functional.max_pool2d(finer[-1], 2)
            x = self.bottom(x)
            for up, joined in zip(reversed(self.up), reversed(self.joined), strict=True):
                x = joined(torch.cat([finer.pop(), up(x)], 1))
            return self.logits(x)

    return UNet()


def build_fcn(size):
    from keras_vision.segmentation import fcn

    return fcn.build(CLASSES)


def build_torchvision():
    from torch import nn
    from torchvision.models.segmentation import fcn_resnet50

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            settings = {"weights": None, "weights_backbone": None, "aux_loss": False}
            self.network = fcn_resnet50(num_classes=CLASSES, **settings)

        def forward(self, x):
            return self.network(x)["out"]

    return Logits()


def unpool_ours(inputs):
    import tensorflow as tf

    from keras_vision.layers import MaxPoolingWithIndices, MaxUnpooling

    maps = tf.constant(inputs["maps"])
    pool, unpool = MaxPoolingWithIndices(2), MaxUnpooling(2)

    @tf.function
    def gradient(maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            total = tf.reduce_sum(unpool([*pool(maps), maps]) ** 2)
        return tape.gradient(total, maps)

    return lambda: gradient(maps).numpy()


def unpool_torch(layout, inputs):
    import torch
    from torch.nn.functional import max_pool2d, max_unpool2d

    torch.set_num_threads(CORES)
    maps = torch.from_numpy(inputs["maps"]).permute(0, 3, 1, 2)
    maps = maps.contiguous(memory_format=getattr(torch, layout)).requires_grad_()

    def step():
        pooled, places = max_pool2d(maps, 2, return_indices=True)
        total = (max_unpool2d(pooled, places, 2) ** 2).sum()
        return torch.autograd.grad(total, maps)[0].numpy()

    return step


def lovasz_ours(inputs):
    import tensorflow as tf

    from keras_vision.segmentation.losses import LovaszSoftmax

    labels, logits = tf.constant(inputs["label_map"][None]), tf.constant(inputs["logits"][None])
    loss = LovaszSoftmax()

    @tf.function
    def gradient(labels, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = loss(labels, logits)
        return tape.gradient(total, logits)

    return lambda: gradient(labels, logits).numpy()


def lovasz_torch(inputs):
    """Algorithm 1 of the paper, one class after the other."""
    import torch

    torch.set_num_threads(CORES)
    labels = torch.from_numpy(inputs["label_map"]).reshape(-1)
    logits = torch.from_numpy(inputs["logits"]).reshape(-1, CLASSES).requires_grad_()
    valid = labels != 255

    def step():
        p, truth = logits.softmax(-1)[valid], labels[valid]
        losses = []
        for label in truth.unique():
            t = (truth == label).float()
            errors, order = (t - p[:, label]).abs().sort(descending=True)
            t = t[order]
            jaccard = 1 - (t.sum() - t.cumsum(0)) / (t.sum() + (1 - t).cumsum(0))
            jaccard[1:] = jaccard[1:] - jaccard[:-1].clone()
            losses.append(errors @ jaccard)
        return torch.autograd.grad(torch.stack(losses).mean(), logits)[0].numpy()

    return step


def confusion_ours(inputs):
    from keras_vision.segmentation.metrics import confusion

    return lambda: confusion(inputs["label_map"], inputs["found"], CLASSES)


def confusion_sklearn(inputs):
    from sklearn.metrics import confusion_matrix

    def step():
        known = inputs["label_map"] != 255
        maps = inputs["label_map"][known], inputs["found"][known]
        return confusion_matrix(*maps, labels=range(CLASSES))

    return step


def confusion_rows(inputs):
    def step():
        counts = np.zeros((CLASSES, CLASSES), int)
        for row, other in zip(inputs["label_map"], inputs["found"], strict=True):
            known = row != 255
            np.add.at(counts, (row[known], other[known]), 1)
        return counts

    return step


def read_ours(inputs):
    from keras_vision.datasets import cityscapes
    from keras_vision.segmentation import data
    from keras_vision.training import BatchData

    rows = cityscapes.load("train", inputs["root"])
    train = BatchData(
        rows,
        BATCH,
        example=partial(data.example, classes=CLASSES),
        augment=partial(data.crop, size=inputs["crop"]),
    )
    return passes(iter(train()), len(train))


def read_torch(workers, inputs):
    import torch
    from torch.utils.data import DataLoader, RandomSampler

    torch.set_num_threads(1)  # it has nothing to compute, as in the workers
    photos = Streets(inputs["root"], inputs["crop"])
    endless = RandomSampler(photos, replacement=True, num_samples=10**9)
    settings = {"prefetch_factor": 4} if workers else {}
    loader = DataLoader(photos, BATCH, sampler=endless, num_workers=workers, **settings)
    return passes(iter(loader), len(photos) // BATCH)


class Streets:
    """(uint8 (*crop, 3), labels) of a random crop, scaled by 0.5 to 2, by Pillow."""

    def __init__(self, root, crop):
        self.paths, self.crop = sorted(root.glob("leftImg8bit/train/*/*.png")), crop
        self.table = np.full(256, 255, "uint8")
        self.table[7:26] = range(CLASSES)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, number):
        path, scale = self.paths[number], 2 ** random.uniform(-1, 1)
        beside = str(path).replace("leftImg8bit.png", "gtFine_labelIds.png")
        beside = beside.replace("leftImg8bit", "gtFine")
        maps = []
        with Image.open(path) as photo, Image.open(beside) as labels:
            size = [round(side * scale) for side in photo.size]
            left, top = (
                random.randint(0, max(side - wanted, 0))
                for side, wanted in zip(size, self.crop[::-1], strict=True)
            )
            box = (left, top, left + self.crop[1], top + self.crop[0])
            for image, kind in ((photo, "BILINEAR"), (labels, "NEAREST")):
                resized = image.resize(size, Image.Resampling[kind])
                maps.append(np.array(resized.crop(box)))
        return maps[0], self.table[maps[1]]


def write_streets(root, count, height, width):
    """Photos and labels in Cityscapes' layout: parts of the built-in photos, with noise."""
    from keras_vision.datasets import samples

    rng, originals = np.random.default_rng(0), list(samples.photos().values())
    for number in range(count):
        name = f"city/city_{number:06d}_000000"
        photo = Image.fromarray(originals[number % len(originals)]).resize((width, height))
        noisy = np.clip(np.asarray(photo) + rng.normal(0, 4, (height, width, 3)), 0, 255)
        blocks = rng.integers(0, 34, (height // 32, width // 32)).repeat(32, 0).repeat(32, 1)
        files = {
            f"leftImg8bit/train/{name}_leftImg8bit.png": noisy,
            f"gtFine/train/{name}_gtFine_labelIds.png": blocks,
        }
        for file, pixels in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype("uint8")).save(root / file)


def shared_inputs(root, size, height, width, crop):
    """What the contestants compute on."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, CLASSES + 1, (height // 32, width // 32)).repeat(32, 0).repeat(32, 1)
    labels = np.where(blocks == CLASSES, 255, blocks)
    half = labels[::2, ::2]
    return {
        "pictures": rng.integers(0, 256, (2, size, size, 3)).astype("float32"),
        "labels": rng.integers(0, CLASSES, (2, size, size)),
        "maps": rng.normal(size=(4, size // 2, size // 2, 64)).astype("float32"),
        "logits": rng.normal(size=(*half.shape, CLASSES)).astype("float32"),
        "label_map": half,
        "found": np.where(rng.uniform(size=half.shape) < 0.8, half % CLASSES, 0),
        **{"root": root, "crop": crop},
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="a .csv to write")
    parser.add_argument("--quick", action="store_true", help="a short round of small pictures")
    parser.add_argument("--rounds", type=int, help="turns of each contestant, 3 by default")
    parser.add_argument("--seconds", type=float, help="of a turn, 2 by default")
    args = parser.parse_args()
    bench.warn_if_busy()
    size, photos = (64, 4) if args.quick else (256, 16)
    height, width = (256, 512) if args.quick else (1024, 2048)
    rounds, seconds = (1, 0.3) if args.quick else (3, 2.0)
    rounds, seconds = args.rounds or rounds, args.seconds or seconds
    with tempfile.TemporaryDirectory() as root:
        write_streets(Path(root), photos, height, width)
        inputs = shared_inputs(Path(root), size, height, width, (height // 2, width // 2))
        bench.report(
            bench.rows(works(photos), inputs, rounds, seconds), args.out, size=size, rounds=rounds
        )


if __name__ == "__main__":
    main()
