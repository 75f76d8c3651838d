"""Trains a network that labels pixels; run again, it goes on where it was.

python scripts/train_segmenter.py camvid CamVid/ --network fcn --start tuned --out runs/fcn
python scripts/train_segmenter.py camvid CamVid/ --network segnet --out runs/segnet
python scripts/train_segmenter.py isbi membrane/ --network unet --short 512 --crop 256,256 \\
    --out runs/membranes
python scripts/train_segmenter.py shapes --network unet --short 128 --out runs/shapes
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import keras
import numpy as np

from keras_vision import augment
from keras_vision.classification import resnet, transfer
from keras_vision.classification.data import in_turn
from keras_vision.datasets import camvid, cityscapes, isbi, shapes
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.rows import Rows
from keras_vision.segmentation import data, fcn, losses, segnet, unet
from keras_vision.segmentation.evaluate import evaluate, scores
from keras_vision.segmentation.upsampling import WAYS
from keras_vision.training import BatchData, Evaluator, TrainConfig, launch

LOSSES = {
    "cross_entropy": losses.CrossEntropy,
    "focal": losses.Focal,
    "dice": losses.Dice,
    "lovasz": losses.LovaszSoftmax,
}
STARTS = "scratch", "frozen", "tuned"  # of FCN's backbone: with Tiny ImageNet's weights or not


def loaded(dataset, root, short):
    """`Rows` to train on, to validate on, and to test on."""
    if dataset == "shapes":
        train, validation = (shapes_rows(split, short) for split in shapes.splits)
        return train, validation.select(slice(100)), validation
    if dataset == "isbi":  # whose labels of "test" were never published: every fifth is kept back
        rows = isbi.load("train", root)
        fifth = np.arange(len(rows)) % 5 == 0
        return rows.select(~fifth), rows.select(fifth), rows.select(fifth)
    if dataset == "cityscapes":  # whose labels of "test" were never published
        validation = cityscapes.load("val", root)
        return cityscapes.load("train", root), validation, validation
    return tuple(camvid.load(split, root) for split in camvid.splits)


def shapes_rows(split, size):
    rows = shapes.load(split, size, count=500 if split == "val" else None)
    read = rows.read
    names = ("background", *rows.class_names)
    return Rows(rows.columns, lambda row: data.from_instances(read(row)), names)


def network(name, classes, width, start, short, upsampling):
    if name == "fcn":
        known = {"weights": "tiny_imagenet"} if start != "scratch" else {"depth": 18, "width": 0.5}
        backbone = resnet.backbone(**known, small=True)
        model = fcn.build(classes, backbone=backbone, skips=2, short=short)
        if start == "frozen":
            transfer.freeze(backbone)
        return model
    if name == "unet":
        return unet.build(classes, filters=int(64 * width), norm=True, short=short)
    return segnet.build(classes, width=width, upsampling=upsampling, short=short)


def compiled(build, rate, steps, loss):
    model = build()
    rate, ends = warmup_cosine(rate, steps), ["^conv1/", "logits", "score", "up", "fc"]
    optimizer = Muon(rate, weight_decay=0.02, adam_weight_decay=0.02, exclude_layers=ends)
    model.compile(optimizer, loss)
    return model


def augmentation(dataset, short, size, bend):
    """Of pictures with labels; shapes are new each time."""
    if dataset == "shapes":
        return None
    mode = "horizontal" if dataset != "isbi" else "horizontal_and_vertical"
    flip = augment.by(keras.layers.RandomFlip(mode))
    colour = augment.by(keras.layers.RandomColorJitter((0, 255), 0.3, 0.3, (0.4, 0.6), 0.05))
    steps = [partial(data.resized, short=short), partial(data.crop, size=size, scales=(0.7, 1.5))]
    steps += [partial(data.elastic, deviation=bend)] if bend else []
    return in_turn(*steps, flip, colour)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dataset", choices=["camvid", "cityscapes", "isbi", "shapes"])
    parser.add_argument("root", type=Path, nargs="?", help="of the dataset's official layout")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--network", choices=["fcn", "segnet", "unet"], default="unet")
    parser.add_argument("--width", type=float, default=0.5, help="of segnet and unet")
    parser.add_argument("--start", choices=STARTS, default="tuned", help="of fcn's backbone")
    parser.add_argument("--upsampling", choices=WAYS, default="indices", help="of segnet")
    parser.add_argument("--short", type=int, default=180, help="pixels of photos' short side")
    parser.add_argument("--crop", default="176,240", help="height,width of what is learned from")
    parser.add_argument("--bend", type=float, default=0, help="pixels of elastic deformation")
    parser.add_argument("--loss", choices=LOSSES, default="cross_entropy")
    balance = "weigh classes by their median frequency to this power: 0 not at all, 1 in full"
    parser.add_argument("--balance", type=float, default=0.0, help=balance)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10, help="each ends with an evaluation")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    size = tuple(map(int, args.crop.split(",")))
    train, validation, test = loaded(args.dataset, args.root, args.short)
    classes = len(train.class_names)
    loss = LOSSES[args.loss]()
    if args.balance:
        weights = data.median_frequency(train.select(slice(2000)), classes) ** args.balance
        loss = LOSSES[args.loss](class_weights=weights)
    form = (args.network, classes, args.width, args.start, args.short, args.upsampling)
    flow = BatchData(
        train,
        args.batch_size,
        example=partial(data.example, classes=classes),
        augment=augmentation(args.dataset, args.short, size, args.bend),
        shuffle=args.dataset != "shapes",  # which come in no order
    )
    model = launch(
        TrainConfig(
            model=partial(compiled, partial(network, *form), args.rate, args.steps, loss),
            dataflow=flow,
            steps_per_epoch=args.steps // args.epochs,
            max_epoch=args.epochs,
            callbacks=[Evaluator(partial(scores, rows=validation))],
            log_dir=args.out,
            seed=args.seed,
            precision=args.precision,
        )
    )
    table = evaluate(model, test)
    print(table.to_string(float_format="{:.3f}".format))
    print(f"{len(test)} pictures, pixel accuracy {table.attrs['pixel_accuracy']:.3f}")


if __name__ == "__main__":
    main()
