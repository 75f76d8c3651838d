"""Trains one of the two colourisers on Tiny ImageNet; run again, it goes on where it was.

python scripts/train_colorization.py tiny-imagenet-200 --out runs/rebalanced
python scripts/train_colorization.py tiny-imagenet-200 --out runs/l2 --twin l2
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from keras_vision import colorization, pipeline
from keras_vision.colorization import bins, data, loss
from keras_vision.datasets import tiny_imagenet
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.training import (
    BatchData,
    InferenceRunner,
    ModelSaver,
    PictureWriter,
    TrainConfig,
    launch,
)


def compiled(twin, prior, width, rate, steps):
    """The model with its loss: all that tells the twins apart is head and loss."""
    model = colorization.build(bins=None if twin == "l2" else len(prior), width=width)
    rate, ends = warmup_cosine(rate, steps), ["conv1_1", "logits", "scaled_ab"]
    model.compile(
        Muon(rate, weight_decay=0.01, adam_weight_decay=0.01, exclude_layers=ends),
        loss.L2() if twin == "l2" else loss.RebalancedCrossEntropy(prior),
    )
    return model


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--twin", choices=["rebalanced", "l2"], default="rebalanced")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--epochs", type=int, default=11)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()

    photos = tiny_imagenet.load("train", args.data)
    prior = bins.estimate_prior(pipeline.batches(photos, data.pair, 256))
    args.out.mkdir(parents=True, exist_ok=True)
    np.save(args.out / "prior.npy", prior)
    validation = tiny_imagenet.load("val", args.data)
    shown = np.stack([raw["image"] for raw in validation.shuffle(2000, 0).take(12)])
    train = BatchData(photos, args.batch_size, example=data.pair, augment=data.zoom)
    launch(
        TrainConfig(
            model=partial(
                compiled, args.twin, prior, args.width, args.rate, len(train) * args.epochs
            ),
            dataflow=train,
            steps_per_epoch=len(train),
            max_epoch=args.epochs,
            callbacks=[
                ModelSaver(),
                InferenceRunner(BatchData(validation, args.batch_size, True, data.pair)),
                PictureWriter(partial(colorization.comparison, photos=shown)),
            ],
            log_dir=args.out,
            precision=args.precision,
        )
    )


if __name__ == "__main__":
    main()
