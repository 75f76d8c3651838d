"""Chooses how vivid a trained colouriser shall be, and writes that into its weights.

python scripts/calibrate_colorization.py runs/rebalanced tiny-imagenet-200 --prior prior_probs.npy

Training with rarity r multiplies the odds of a bin by r. Odds times r^power (power < 0 takes part
of it back) and a temperature are tried on photos of the test split, which need no labels and are
measured nowhere else. Chosen is what has the best rebalanced AuC among those whose AuC is not more
than 0.4 under that of grey. The power goes into the last layer's bias, as if training had
been with r^(1 + power); the temperature becomes the default of runs/rebalanced/calibrated.keras.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from keras import ops
from tqdm import tqdm

from keras_vision import colorization, pipeline
from keras_vision.colorization import bins, data, grid
from keras_vision.colorization.metrics import area
from keras_vision.datasets import tiny_imagenet
from keras_vision.training.checkpoints import checkpoints

BELOW = 0.4
TEMPERATURES = (0.3, 0.38, 0.5, 0.6, 0.7, 0.85, 1.0)
POWERS = (-0.5, -0.4, -0.3, -0.25, -0.2, -0.15, -0.1, 0.0, 0.1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of the run, its log_dir")
    parser.add_argument("data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("--prior", type=Path, required=True, help="frequencies of the 313 bins")
    parser.add_argument("--photos", type=int, default=2000)
    args = parser.parse_args()
    model = colorization.build(weights=list(checkpoints(args.run).values())[-1])
    rarity = bins.rarity(np.load(args.prior))
    photos = tiny_imagenet.load("test", args.data).select(slice(args.photos))
    table = tried(model, pipeline.batches(photos, data.pair, 50), rarity)
    print("Points above grey:\n" + table.round(2).to_string())
    allowed = table[table["AuC"] >= -BELOW]
    temperature, power = allowed["rebalanced AuC"].idxmax()
    print(f"Chosen: temperature {temperature:g}, rarity to the power of {power:g}")
    bias = model.get_layer("logits").bias
    bias.assign(bias + power * np.log(rarity))
    model.get_layer("remembered").temperature.assign(temperature)
    model.save(args.run / "calibrated.keras")
    print(args.run / "calibrated.keras")


def tried(model, batches, rarity):
    """AuC and rebalanced AuC above grey, chroma over the truth's, of each temperature, power."""
    sums, settings = {}, list(product(TEMPERATURES, POWERS))
    for lightness, ab in tqdm(batches, leave=False):
        nearest, _ = bins.soft_encode(ab, neighbors=1)
        weight, logits = ops.take(rarity, nearest[..., 0]), model.predict_on_batch(lightness)
        answers = {"true": ab, "grey": ops.zeros_like(ab)}
        for temperature, power in settings:
            shifted = logits + power * np.log(rarity)
            answers[temperature, power] = grid.to_pixels(shifted, 64, 64, temperature)
        for name, answer in answers.items():
            areas = area(ops.norm(ab - answer, axis=-1))
            found = areas, weight * areas, ops.norm(answer, axis=-1), weight
            sums[name] = sums.get(name, 0) + np.array([float(ops.mean(x)) for x in found])
    true, grey, *found = sums.values()
    plain, rebalanced, chroma, _ = (np.stack(found) - grey).T
    columns = {
        "AuC": plain / len(batches),
        "rebalanced AuC": rebalanced / grey[3],
        "chroma": chroma / true[2],
    }
    return pd.DataFrame(columns, pd.MultiIndex.from_tuples(settings, names=["T", "power"]))


if __name__ == "__main__":
    main()
