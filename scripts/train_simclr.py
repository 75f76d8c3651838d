"""Learns of pictures without their labels; run again, it goes on where it was.

python scripts/train_simclr.py CIFAR-10-images/ --out runs/simclr
python scripts/train_simclr.py CIFAR-10-images/ --method simsiam --out runs/simsiam
python scripts/train_simclr.py CIFAR-10-images/ --method collapse --out runs/collapse
python scripts/train_simclr.py CIFAR-10-images/ --method cpc --side 64 --batch-size 64 \\
    --out runs/cpc

At the end a linear probe says how much of the classes can be read off the vectors: those of the
network, and those of the same network as it was before.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import keras
import numpy as np

from keras_vision import images
from keras_vision.classification import resnet
from keras_vision.classification.probe import probe
from keras_vision.datasets import cifar10
from keras_vision.metric_learning import NTXent, cpc, embed, embedder, simclr, simsiam, views
from keras_vision.metric_learning.evaluate import spread_of
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.rows import Rows
from keras_vision.training import BatchData, Evaluator, TrainConfig, launch


def below_a_head(build, **settings):
    """width -> a ResNet-18 with this share of its filters, and a head of `build`."""
    return lambda width: build(resnet.backbone(18, small=True, width=width), **settings)


def patches(width):
    return cpc.build(round(256 * width))


def one(batch, seed, view):
    """`mix` for `BatchData`: one view of each picture."""
    photos, labels = batch
    return view(photos, seed), labels


PAIRS = partial(views.two, view=views.simclr(0.5, window=None))
PART = partial(views.crop, area=(0.3, 1.0))
GREY = partial(views.drop_colour, chance=0.25)  # or colours would tell what is of one picture
SINGLE = partial(one, view=views.in_turn(PART, views.flip, GREY))
UNHELD = partial(simsiam.Invariance, stop_gradient=False)
METHODS = {  # width -> model, its loss, what it sees, and the layer that comes after the features
    "simclr": (below_a_head(simclr.build), partial(NTXent, 0.2), PAIRS, "pooled"),
    "simsiam": (below_a_head(simsiam.build), simsiam.Invariance, PAIRS, "pooled"),
    "collapse": (below_a_head(simsiam.build, predictor=False), UNHELD, PAIRS, "pooled"),
    "cpc": (patches, cpc.Predictive, SINGLE, "embedding"),
}


def compiled(method, width, rate, steps):
    build, loss, _, _ = METHODS[method]
    model = build(width)
    ends = ["^conv1/", "projection", "predictor"]
    optimizer = Muon(
        warmup_cosine(rate, steps), weight_decay=0.01, adam_weight_decay=0.01, exclude_layers=ends
    )
    model.compile(optimizer, loss())
    return model


def spread(model, photos):
    """{"spread"}, as `spread_of` what the head makes of photos."""
    found = model.predict(photos, batch_size=256, verbose=0)
    return {"spread": spread_of(found.reshape(len(photos), -1))}


def probed(model, head, train, test):
    """The linear probe of what lies below the layer `head`."""
    below = keras.Model(model.input, {"c5": model.get_layer(head).input})
    vectors = partial(embed, embedder.build(below, dim=None))
    (photos, labels), (test_photos, test_labels) = train, test
    return probe(vectors(photos), labels, vectors(test_photos), test_labels)


def arrays(rows, side):
    """(photos (N, side, side, 3), labels (N,)) of all rows."""
    raws = list(rows.as_numpy_iterator())
    photos = np.stack([images.scaled(raw["image"], side) for raw in raws])
    return photos, np.array([raw["label"] for raw in raws])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("root", type=Path, help="of CIFAR-10, in any of its layouts")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--method", choices=METHODS, default="simclr")
    parser.add_argument("--width", type=float, default=0.25, help="of a ResNet-18; CPC's 256")
    parser.add_argument("--side", type=int, default=32, help="pixels; CPC needs 48 or more")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    given = [arrays(cifar10.load(split, args.root), args.side) for split in cifar10.splits]
    rows = Rows(dict(zip(("image", "label"), given[0], strict=True)))
    _, _, view, head = METHODS[args.method]
    form = (args.method, args.width, args.rate, args.steps)
    keras.utils.set_random_seed(args.seed)  # as launch does
    before = probed(compiled(*form), head, *given)
    model = launch(
        TrainConfig(
            model=partial(compiled, *form),
            dataflow=BatchData(rows, args.batch_size, mix=view),
            steps_per_epoch=args.steps // args.epochs,
            max_epoch=args.epochs,
            callbacks=[Evaluator(partial(spread, photos=given[1][0][::10]))],
            log_dir=args.out,
            seed=args.seed,
            precision=args.precision,
        )
    )
    print(f"linear probe: {probed(model, head, *given):.3f}, untrained {before:.3f}")


if __name__ == "__main__":
    main()
