"""Measures the shipped colourisers on Tiny ImageNet's validation photos.

    python scripts/evaluate_colorization.py tiny-imagenet-200 [--prior prior_probs.npy]

AuC is the area under the share of pixels within an ab error of 0 ... 150; the rebalanced AuC
weighs pixels by the rarity of their true colour under `--prior` (the authors' file; without it
the prior is estimated on the training photos).
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from keras import ops
from tqdm import tqdm

from keras_vision import colorization, pipeline
from keras_vision.colorization import bins, data, grid
from keras_vision.colorization.color import lab_to_rgb
from keras_vision.colorization.remembered import remembered
from keras_vision.datasets import tiny_imagenet


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("--prior", type=Path, help="frequencies of the 313 bins, a .npy file")
    parser.add_argument("--l2", default="tiny_imagenet", help="weights of the L2 twin")
    parser.add_argument("--rebalanced", default="tiny_imagenet", help="weights of the other one")
    args = parser.parse_args()
    if args.prior:
        prior = np.load(args.prior)
    else:
        train = tiny_imagenet.load("train", args.data)
        prior = bins.estimate_prior(pipeline.batches(train, data.pair, 256))
    photos = pipeline.batches(tiny_imagenet.load("val", args.data), data.pair, 50)
    rebalanced = colorization.build(weights=args.rebalanced)
    _, temperature = remembered(rebalanced)
    networks = {
        "all grey": lambda lightness: np.zeros((*lightness.shape[:3], 2), "float32")[:, ::4, ::4],
        "L2": colorization.build(bins=None, weights=args.l2).predict_on_batch,
        "rebalanced": rebalanced.predict_on_batch,
    }
    table = {
        name: scores(network, photos, prior, temperature) for name, network in networks.items()
    }
    print(pd.DataFrame(table).T.to_string(float_format="{:.2f}".format))


def scores(network, photos, prior, temperature):
    """A row of the table: `network` maps L (B, H, W, 1) to its outputs (B, h, w, ...)."""
    metrics = {
        "AuC": colorization.AuC(temperature=temperature),
        "rebalanced AuC": colorization.AuC(prior, temperature),
        "chroma ratio": colorization.ChromaRatio(temperature),
    }
    psnr = colorization.PSNR()
    for lightness, ab in tqdm(photos, leave=False):
        outputs = network(lightness)
        for metric in metrics.values():
            metric.update_state(ab, outputs)
        predicted = grid.to_pixels(
            ops.convert_to_tensor(outputs), *lightness.shape[1:3], temperature
        )
        photo, coloured = (
            np.rint(lab_to_rgb(ops.concatenate([lightness, colours], axis=-1)))
            for colours in (ab, predicted)
        )
        psnr.update_state(photo, coloured)
    return {name: float(m.result()) for name, m in {**metrics, "PSNR, dB": psnr}.items()}


if __name__ == "__main__":
    main()
