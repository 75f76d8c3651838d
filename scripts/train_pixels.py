"""Trains a network that embeds pixels, on drawn shapes that move; run again, it goes on.

python scripts/train_pixels.py --out runs/pixels

At the end it follows the shapes of clips that it has not seen, and prints DAVIS' J.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_vision.datasets import shapes
from keras_vision.metric_learning import pixels
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.training import BatchData, Evaluator, TrainConfig, launch


def compiled(rate, steps):
    model = pixels.build()
    ends = ["^conv1/", "embedding"]
    model.compile(Muon(warmup_cosine(rate, steps), exclude_layers=ends), pixels.PixelTriplets())
    return model


def of_two_frames(raw):
    """The first frame of a clip and the last, (2, S, S, 3), with their label maps."""
    last = raw["video"].shape[0] - 1
    return raw["video"][::last], raw["label_maps"][::last]


def one_after_the_other(batch, seed):
    """Clips (B, 2, ...) -> frames (2B, ...)."""
    return tuple(tf.reshape(x, (-1, *x.shape[2:])) for x in batch)


def scores(model, rows):
    """{"jaccard"}: the mean over clips that show a shape."""
    found = [
        pixels.jaccard(raw["label_maps"], pixels.track(model, raw["video"], raw["label_maps"][0]))
        for raw in rows.as_numpy_iterator()
        if raw["label_maps"][0].any()
    ]
    return {"jaccard": np.mean(found)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--frames", type=int, default=8, help="of a clip")
    parser.add_argument("--batch-size", type=int, default=8, help="clips")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=4, help="each ends with an evaluation")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    train, test = (shapes.clips(split, args.size, args.frames) for split in shapes.splits)
    flow = BatchData(
        train, args.batch_size, example=of_two_frames, shuffle=False, mix=one_after_the_other
    )
    launch(
        TrainConfig(
            model=partial(compiled, args.rate, args.steps),
            dataflow=flow,
            steps_per_epoch=args.steps // args.epochs,
            max_epoch=args.epochs,
            callbacks=[Evaluator(partial(scores, rows=test.select(slice(50))))],
            log_dir=args.out,
            seed=args.seed,
            precision=args.precision,
        )
    )


if __name__ == "__main__":
    main()
