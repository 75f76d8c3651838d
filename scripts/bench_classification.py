"""Times ResNet-50, MobileNet and the pipeline of photos against their peers; prints a table.

python scripts/bench_classification.py --out docs/classification.csv
python scripts/bench_classification.py --quick

The peers are torchvision's ResNet-50, a MobileNet in plain PyTorch, both as keras.applications has
them, and a DataLoader with Pillow. The contestants take turns, each of which is a new process with
all cores: ours, theirs, ours, theirs ... A turn yields the median step after a second of warming
up, the table the median turn; of the peers' variants the fastest counts, and ratio > 1 says that
ours is faster. A step of the pipeline is a pass over all photos.
Needs `pip install -e ".[bench]" torchvision`.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
import math
import random
import tempfile
from contextlib import nullcontext
from functools import partial
from itertools import product
from pathlib import Path

import bench
import numpy as np
from bench import CORES
from PIL import Image

BATCH = 32  # of the pipeline; the networks see 1 and 8
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)  # of a random crop
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
MODES = {"float32": ["float32"], "bfloat16": ["autocast", "bfloat16"]}


def works(photos, blocks):
    """(name, precision, pictures of a step, {row: ours}, {variant: peer}) of all comparisons.

    photos: how many the pipeline reads.
    blocks: of MobileNet; to import them would bring TensorFlow into PyTorch's processes.
    """
    networks = {
        "ResNet-50": (build_resnet, "ResNet50", build_torchvision),
        "MobileNet": (build_mobilenet, "MobileNet", partial(build_torch_mobilenet, blocks)),
    }
    for (network, builders), precision in product(networks.items(), POLICIES):
        build_ours, name, build_torch = builders
        peer = partial(build_application, name)
        ours = {"": partial(train_keras, build_ours, precision)}
        peers = {"keras.applications": partial(train_keras, peer, precision)}
        peers |= variants(train_torch, build_torch, precision)
        yield f"{network} training step, batch 8", precision, 8, ours, peers
        forms = {"": (POLICIES[precision], False)}
        if precision == "bfloat16":  # no weight has to be cast at every call
            forms[", weights too"] = "bfloat16", False
        if network != "MobileNet":  # XLA's depthwise convolutions take ten times as long
            forms[" with XLA"] = POLICIES[precision], True
        for batch in (1, 8):
            ours, peers = (
                {
                    f"{label}{form}": partial(infer_keras, build, policy, xla, batch)
                    for form, (policy, xla) in forms.items()
                }
                for label, build in (("", build_ours), ("keras.applications", peer))
            )
            peers |= variants(infer_torch, build_torch, precision, batch)
            yield f"{network} inference, batch {batch}", precision, batch, ours, peers
    peers = {f"DataLoader, {n} workers": partial(read_torch, n) for n in range(CORES + 1)}
    yield "JPEG pipeline, 500x375", "uint8", photos, {"": read_ours}, peers


def variants(contestant, build, precision, *settings):
    """A contestant in PyTorch: both layouts and, for bfloat16, both ways to it."""
    return {
        f"PyTorch {mode}, {layout}": partial(contestant, build, mode, layout, *settings)
        for mode, layout in product(MODES[precision], ("contiguous_format", "channels_last"))
    }


def build_resnet(size):
    from keras_vision.classification import resnet

    return resnet.build(50)


def build_mobilenet(size):
    from keras_vision.classification import mobilenet

    return mobilenet.build()


def build_application(name, size):
    from keras import applications

    return getattr(applications, name)(
        weights=None, input_shape=(size, size, 3), classifier_activation=None
    )


def train_keras(build, precision, inputs):
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(POLICIES[precision])
    model = build(inputs["pictures"].shape[1])
    model.compile(
        keras.optimizers.SGD(1e-2, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    batches = tf.data.Dataset.from_tensors((inputs["pictures"], inputs["labels"]))
    model.fit(batches, shuffle=False, verbose=0)
    endless = iter(batches.repeat())
    return lambda: float(model.train_function(endless)["loss"])  # what `fit` calls for a step


def infer_keras(build, policy, xla, batch, inputs):
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(policy)
    pictures = tf.constant(inputs["pictures"][:batch])
    compiled = tf.function(build(pictures.shape[1]), jit_compile=xla)
    return lambda: compiled(pictures, training=False).numpy()


def build_torchvision():
    import torchvision

    return torchvision.models.resnet50()


def build_torch_mobilenet(blocks):
    from torch import nn

    def closed(channels, filters, size, stride=1, groups=1):
        convolution = nn.Conv2d(channels, filters, size, stride, size // 2, 1, groups, bias=False)
        return convolution, nn.BatchNorm2d(filters), nn.ReLU6(inplace=True)

    channels, net = 32, [*closed(3, 32, 3, 2)]
    for filters, stride in blocks:
        net += closed(channels, channels, 3, stride, channels) + closed(channels, filters, 1)
        channels = filters
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(1e-3), nn.Linear(channels, 1000)
    return nn.Sequential(*net, *head)


def run_torch(build, mode, layout, pictures):
    """The network, and a function that returns its logits of the pictures (B, H, W, 3)."""
    import torch

    torch.set_num_threads(CORES)
    layout, dtype = getattr(torch, layout), torch.bfloat16 if mode == "bfloat16" else torch.float32
    net = build().to(dtype=dtype, memory_format=layout)
    context = partial(torch.autocast, "cpu", torch.bfloat16) if mode == "autocast" else nullcontext
    # Standardised beforehand, which ours do in the network.
    tensor = (torch.from_numpy(pictures) / 127.5 - 1).permute(0, 3, 1, 2)
    tensor = tensor.contiguous(memory_format=layout)

    def logits():
        with context():
            return net(tensor.to(dtype)).float()

    return net, logits


def train_torch(build, mode, layout, inputs):
    import torch

    net, logits = run_torch(build, mode, layout, inputs["pictures"])
    optimizer = torch.optim.SGD(net.parameters(), 1e-2, momentum=0.9, fused=True)
    labels = torch.from_numpy(inputs["labels"]).long()

    def step():
        loss = torch.nn.functional.cross_entropy(logits(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def infer_torch(build, mode, layout, batch, inputs):
    import torch

    net, logits = run_torch(build, mode, layout, inputs["pictures"][:batch])
    net.eval()

    def step():
        with torch.inference_mode():
            return logits().numpy()

    return step


def read_ours(inputs):
    import tensorflow as tf

    from keras_vision.classification import data
    from keras_vision.datasets import folder
    from keras_vision.training import BatchData

    def augmented(raw, seed):
        of_crop, of_flip = tf.unstack(tf.random.split(seed, 2))
        return data.flip(data.crop(raw, of_crop, inputs["size"], AREA), of_flip)

    photos = folder.load(inputs["root"], decode=False)
    train = BatchData(photos, BATCH, augment=augmented)
    return passes(iter(train()), len(train))


def read_torch(workers, inputs):
    import torch
    from torch.utils.data import DataLoader, RandomSampler

    torch.set_num_threads(1)  # it has nothing to compute, as in the workers
    photos = Photos(inputs["root"], inputs["size"])
    endless = RandomSampler(photos, replacement=True, num_samples=10**9)
    settings = {"prefetch_factor": 4} if workers else {}
    loader = DataLoader(photos, BATCH, sampler=endless, num_workers=workers, **settings)
    return passes(iter(loader), len(photos) // BATCH)


def passes(batches, steps):
    """A step that takes the next pass from endless batches."""

    def step():
        for _ in range(steps):
            next(batches)

    return step


class Photos:
    """(uint8 (size, size, 3), label) of a random crop, half of them mirrored, by Pillow."""

    def __init__(self, root, size):
        self.paths, self.size = sorted(root.glob("*/*.jpg")), size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, number):
        size, path = (self.size, self.size), self.paths[number]
        with Image.open(path) as photo:
            crop = photo.convert("RGB").resize(size, Image.Resampling.BILINEAR, box(*photo.size))
        if random.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.array(crop), int(path.parent.name)


def box(width, height):
    """(left, top, right, bottom) of a random part of a photo, as torchvision draws it."""
    for _ in range(10):
        area = width * height * random.uniform(*AREA)
        aspect = math.exp(random.uniform(*map(math.log, ASPECT)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if w <= width and h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return left, top, left + w, top + h
    return 0, 0, width, height


def write_photos(root, count):
    """JPEGs of 500x375 pixels as ImageNet's are, 110 kB: parts of the built-in photos, with noise.

    In two class folders, "0" and "1".
    """
    from keras_vision.datasets import samples

    rng, originals = np.random.default_rng(0), list(samples.photos().values())
    for number in range(count):
        photo = Image.fromarray(originals[number % len(originals)])
        width = min(photo.width, photo.height * 4 / 3) * rng.uniform(0.5, 1)
        left, top = rng.uniform(0, (photo.width - width, photo.height - width * 3 / 4))
        part = (left, top, left + width, top + width * 3 / 4)
        pixels = photo.resize((500, 375), Image.Resampling.BICUBIC, part)
        pixels = np.clip(pixels + rng.normal(0, 18, (375, 500, 3)), 0, 255).astype("uint8")
        path = root / str(number % 2) / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)


def shared_inputs(root, size):
    """What the contestants compute on: 8 of the photos, and the folder of all."""
    paths = sorted(root.glob("*/*.jpg"))[:8]
    pictures = np.float32([np.asarray(Image.open(path).resize((size, size))) for path in paths])
    return {"pictures": pictures, "labels": np.arange(8), "root": root, "size": size}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="a .csv to write")
    parser.add_argument("--quick", action="store_true", help="a short round of 64x64 pixels")
    parser.add_argument("--rounds", type=int, help="turns of each contestant, 3 by default")
    parser.add_argument("--seconds", type=float, help="of a turn, 2 by default")
    args = parser.parse_args()
    from keras_vision.classification import mobilenet

    bench.warn_if_busy()
    size, rounds, seconds = (64, 1, 0.3) if args.quick else (224, 3, 2.0)
    rounds, seconds, photos = args.rounds or rounds, args.seconds or seconds, 8 * BATCH
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), photos)
        inputs = shared_inputs(Path(folder), size)
        rows = bench.rows(works(photos, mobilenet.BLOCKS), inputs, rounds, seconds)
        bench.report(rows, args.out, size=size, rounds=rounds)


if __name__ == "__main__":
    main()
