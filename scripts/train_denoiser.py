"""Trains a denoiser on a folder of photos; run again, it goes on where it was.

python scripts/train_denoiser.py photos/ --out runs/denoiser
python scripts/train_denoiser.py photos/ --network dncnn --out runs/dncnn
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

from keras_vision.classification.data import in_turn
from keras_vision.datasets import folder
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.restoration import data, denoiser
from keras_vision.training import BatchData, TrainConfig, launch

NETWORKS = {
    "unet": denoiser.build,
    "no_skips": partial(denoiser.build, skips=False),
    "dncnn": denoiser.dncnn,
}


def compiled(build, rate, steps):
    model = build()
    optimizer = Muon(warmup_cosine(rate, steps), exclude_layers=["^conv2d/", "^noise/"])
    model.compile(optimizer, "mean_absolute_error")
    return model


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="a folder, with folders in it or not")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--network", choices=NETWORKS, default="unet")
    parser.add_argument("--size", type=int, default=64, help="pixels a side of a crop")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument(
        "--epochs", type=int, default=20, help="of which each ends with a checkpoint"
    )
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    photos = folder.unlabelled(args.photos, decode=False)
    crop = partial(data.crop, size=args.size)
    flow = BatchData(
        photos,
        args.batch_size,
        example=data.example,
        augment=in_turn(crop, data.turn, data.grey),
        mix=data.noisy,
    )
    launch(
        TrainConfig(
            model=partial(compiled, NETWORKS[args.network], args.rate, args.steps),
            dataflow=flow,
            steps_per_epoch=args.steps // args.epochs,
            max_epoch=args.epochs,
            log_dir=args.out,
            seed=args.seed,
            precision=args.precision,
        )
    )


if __name__ == "__main__":
    main()
