"""Times the MNIST lesson against the same network in PyTorch: digits per second, time to 99 %.

python scripts/bench_mnist.py --data mnist.npz --out mnist.csv
python scripts/bench_mnist.py --quick

Ours is `launch` itself with its callbacks and its input pipeline; theirs a plain loop over
batches drawn from tensors in memory. They take turns, each of which is a new process with all
cores: it yields the median of 12 steps after a second of warming up, the table the median turn; of
a peer's variants the fastest counts, and ratio > 1 says that ours is faster. Then each trains from
its `python` on until 99 % of the test digits are right.
Needs `pip install -e ".[bench]"`.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
import os
import tempfile
import threading
import time
from contextlib import nullcontext, redirect_stdout
from functools import partial
from itertools import chain, count, product
from pathlib import Path
from queue import Queue

import bench
import numpy as np
import pandas as pd
from bench import CORES

BATCH, STEPS = 128, 12
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def works():
    """(name, precision, digits of a step, {row: ours}, {variant: peer}) of all comparisons."""
    for precision, modes in (("float32", ["float32"]), ("bfloat16", ["autocast", "bfloat16"])):
        peers = {
            f"PyTorch {mode}, {layout}": partial(train_torch, mode, layout)
            for mode, layout in product(modes, ("contiguous_format", "channels_last"))
        }
        ours = {"": partial(train_ours, precision)}
        yield f"{STEPS} training steps", precision, BATCH * STEPS, ours, peers


def train_ours(precision, inputs):
    """A step is 12 of a run of `launch`, which waits at a gate for the next turn."""
    import keras

    go, done = Queue(), Queue()

    class Gate(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if (batch + 1) % STEPS == 0:
                done.put(None)
                go.get()

    settings = {"precision": precision, "callbacks": [Gate()], **inputs}
    threading.Thread(target=run_ours, kwargs=settings, daemon=True).start()
    done.get()

    def step():
        go.put(None)
        done.get()

    return step


def run_ours(root, folder, precision, callbacks, seed=0):
    import keras

    from keras_vision.classification import mnist_convnet
    from keras_vision.datasets import mnist
    from keras_vision.training import BatchData, InferenceRunner, TrainConfig, launch

    def model():
        model = mnist_convnet.build()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(
            keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], steps_per_execution=12
        )
        return model

    train = BatchData(mnist.load("train", root), BATCH)
    test = BatchData(mnist.load("test", root), 256, remainder=True)
    config = TrainConfig(
        model,
        train,
        steps_per_epoch=len(train),
        callbacks=[InferenceRunner(test), *callbacks],
        log_dir=tempfile.mkdtemp(dir=folder),
        seed=seed,
        precision=POLICIES[precision],
    )
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        launch(config)


def train_torch(mode, layout, inputs):
    epoch, _ = torch_run(mode, layout, inputs["root"])
    steps = (step for _ in iter(int, 1) for step in epoch())

    def step():
        for _ in range(STEPS):
            next(steps)

    return step


def torch_run(mode, layout, root, seed=0):
    """(epoch, accuracy): functions that train through one epoch step by step, and evaluate."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(seed)
    torch.set_num_threads(CORES)
    with np.load(root) as arrays:  # not by `mnist.arrays`, which imports TensorFlow
        data = {name: torch.from_numpy(arrays[name]) for name in arrays}
    images, labels = data["x_train"], data["y_train"]

    def convolution(channels):
        return nn.Sequential(nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU())

    net = nn.Sequential(
        *(convolution(1), nn.MaxPool2d(2), convolution(32), convolution(32), nn.MaxPool2d(2)),
        *(convolution(32), nn.Flatten(), nn.Linear(1568, 512), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(512, 10),
    )
    for parameter in net.parameters():  # as ours begins
        nn.init.kaiming_normal_(parameter) if parameter.dim() > 1 else nn.init.zeros_(parameter)
    net = net.to(memory_format=getattr(torch, layout))
    net = net.to(torch.bfloat16) if mode == "bfloat16" else net
    autocast = nullcontext
    if mode == "autocast":
        autocast = partial(torch.autocast, "cpu", torch.bfloat16)
    dtype = torch.bfloat16 if mode == "bfloat16" else torch.float32
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

    def logits(pictures):
        with autocast():
            return net(pictures[:, None].to(dtype) * (2 / 255) - 1).float()

    def epoch():
        net.train()
        right = 0
        for chosen in torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH):
            outputs, truth = logits(images[chosen]), labels[chosen].long()
            loss = functional.cross_entropy(outputs, truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += (outputs.argmax(1) == truth).sum().item()
            yield right

    def accuracy():
        net.eval()
        with torch.inference_mode():
            found = torch.cat([logits(batch).argmax(1) for batch in data["x_test"].split(256)])
        return float((found == data["y_test"]).float().mean())

    return epoch, accuracy


def race_ours(precision, inputs, seed, goal):
    import keras

    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if not seen:
                seen.append(time.time())

        def on_epoch_end(self, epoch, logs=None):
            if logs["validation_accuracy"] >= goal:
                seen.extend([time.time(), epoch + 1])
                self.model.stop_training = True

    run_ours(precision=precision, callbacks=[Watch()], seed=seed, **inputs)
    return seen


def race_torch(mode, inputs, seed, goal):
    epoch, accuracy = torch_run(mode, "channels_last", inputs["root"], seed)
    first = None
    for number in count(1):
        for _ in epoch():
            first = first or time.time()
        if accuracy() >= goal:
            return first, time.time(), number


RACERS = {
    "ours, float32": partial(race_ours, "float32"),
    "ours, bfloat16": partial(race_ours, "bfloat16"),
    "PyTorch float32, channels_last": partial(race_torch, "float32"),
    "PyTorch autocast, channels_last": partial(race_torch, "autocast"),
}


RACES = {  # precision: (ours, peer)
    "float32": ("ours, float32", "PyTorch float32, channels_last"),
    "bfloat16": ("ours, bfloat16", "PyTorch autocast, channels_last"),
}


def race(inputs, seeds, goal):
    """The table's rows of seconds from a process' start to its first step and to the goal.

    Medians over seeds.
    """
    rows = []
    for seed, (name, racer) in product(range(seeds), RACERS.items()):
        start = time.time()
        first, end, epochs = bench.alone(racer, inputs, seed, goal)
        rows.append((name, first - start, end - start, epochs))
    table = pd.DataFrame(rows, columns=["run", "first step", "goal", "epochs"])
    table = table.groupby("run", sort=False).median()
    print(table.to_string(float_format="{:.1f}".format))
    works = {"goal": f"start to {goal} validation accuracy", "first step": "start to first step"}
    for (column, work), (precision, (ours, peer)) in product(works.items(), RACES.items()):
        mine, theirs = table[column][ours], table[column][peer]
        yield {
            **{"work": work, "precision": precision, "ours ms": 1e3 * mine},
            **{"peer ms": 1e3 * theirs, "ratio": theirs / mine, "peer": peer},
        }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="mnist.npz; without it the built-in tenth")
    parser.add_argument("--out", type=Path, help="a .csv to write")
    parser.add_argument("--quick", action="store_true", help="2 short rounds, one race to 95 %%")
    args = parser.parse_args()
    from keras_vision.datasets import mnist

    bench.warn_if_busy()
    rounds, seconds, seeds, goal = (2, 1.0, 1, 0.95) if args.quick else (3, 3.0, 3, 0.99)
    with tempfile.TemporaryDirectory() as folder:
        inputs = {"root": args.data or mnist.SUBSET, "folder": folder}
        rows = chain(bench.rows(works(), inputs, rounds, seconds), race(inputs, seeds, goal))
        bench.report(rows, args.out, rounds=rounds, races=seeds)


if __name__ == "__main__":
    main()
