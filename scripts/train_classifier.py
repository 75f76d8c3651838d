"""Trains a small ResNet on photos in folders; run again, it goes on where it was.

python scripts/train_classifier.py tiny_imagenet tiny-imagenet-200 --out runs/tiny \\
    --width 0.5 --sizes 32:8,48:2 --seen 64
python scripts/train_classifier.py cifar10 CIFAR-10-images --out runs/plain34 --depth 34 --plain
python scripts/train_classifier.py folder my_photos --out runs/mine --sizes 64:20 --large

Pictures may grow while it learns: most epochs see small ones, which take less time.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import keras
import numpy as np

from keras_vision.classification import data, resnet
from keras_vision.datasets import cifar10, folder, imagenet, imagenette, tiny_imagenet
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.training import BatchData, InferenceRunner, ModelSaver, TrainConfig, launch

DATASETS = {  # and the split to validate on
    "cifar10": (cifar10, "test"),
    "imagenet": (imagenet, "val"),
    "imagenette": (imagenette, "val"),
    "tiny_imagenet": (tiny_imagenet, "val"),
}


def loaded(dataset, root):
    """`Rows` to train and to validate on; of a folder every fifth picture is for the latter."""
    if dataset in DATASETS:
        module, validation = DATASETS[dataset]
        return module.load("train", root), module.load(validation, root)
    rows = folder.load(root)
    fifth = np.arange(len(rows)) % 5 == 0
    return rows.select(~fifth), rows.select(fifth)


def compiled(form, classes, rate, decay, steps):
    model = resnet.build(classes=classes, **form)
    rate, ends = warmup_cosine(rate, steps), ["^conv1/", "^fc/"]
    model.compile(
        Muon(rate, weight_decay=decay, adam_weight_decay=decay, exclude_layers=ends),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(5, name="top5")],
    )
    return model


def growing(flows):
    """A dataflow of [(dataflow, steps)], one after the other; the last has no end."""

    def dataflow(first_step, seed):
        start, whole = 0, None
        for flow, steps in flows:
            done, last = max(first_step - start, 0), flow is flows[-1][0]
            start += steps
            if last or done < steps:
                rest = flow(done, seed)
                rest = rest if last else rest.take(steps - done)
                whole = whole.concatenate(rest) if whole else rest
        return whole

    return dataflow


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dataset", choices=[*DATASETS, "folder"])
    parser.add_argument("root", type=Path, help="of the dataset, in its official layout")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--depth", type=int, default=18)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--plain", action="store_true", help="without shortcuts")
    parser.add_argument("--large", action="store_true", help="the stem for pictures of 128 pixels")
    parser.add_argument("--sizes", default="32:10", help="pixels a side:epochs, ... (%(default)s)")
    parser.add_argument("--seen", type=int, help="pixels a side in validation: the last size")
    parser.add_argument("--smallest", type=float, default=0.25, help="share of a photo in a crop")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--decay", type=float, default=0.05, help="of weights")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    photos, unseen = loaded(args.dataset, args.root)
    classes = len(photos.class_names)
    example = partial(data.one_hot, classes)
    flows, sizes = [], [tuple(map(int, part.split(":"))) for part in args.sizes.split(",")]
    for size, epochs in sizes:
        crop = partial(data.crop, size=size, area=(args.smallest, 1))
        augment = data.in_turn(crop, data.flip)
        train = BatchData(photos, args.batch_size, example=example, augment=augment)
        flows.append((train, len(train) * epochs))
    steps = sum(steps for _, steps in flows)
    form = {"depth": args.depth, "residual": not args.plain, "small": not args.large}
    form["width"] = args.width

    def seen(raw):
        return example(data.central(raw, args.seen or size, share=1.0))

    launch(
        TrainConfig(
            model=partial(compiled, form, classes, args.rate, args.decay, steps),
            dataflow=growing(flows),
            steps_per_epoch=len(train),
            max_epoch=steps // len(train),
            callbacks=[ModelSaver(), InferenceRunner(BatchData(unseen, 100, True, seen))],
            log_dir=args.out,
            seed=args.seed,
            precision=args.precision,
        )
    )


if __name__ == "__main__":
    main()
