"""Measures what the lightness brings where coarse colours are laid over a photo (`guide`).

    python scripts/evaluate_upsampling.py imagenet_comparison --prior prior_probs.npy

The folder is the authors' of that name: gt/ with photos of 224x224, ours/ with what their network
made of them, whose colours are brought back to cells of 4 pixels here.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from keras_vision import colorization, images
from keras_vision.colorization import bins, grid, guide
from keras_vision.colorization.color import rgb_to_lab
from keras_vision.colorization.colorize import scaled, seen_shape, with_colours
from keras_vision.colorization.metrics import area
from keras_vision.colorization.remembered import remembered


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="imagenet_comparison")
    parser.add_argument("--prior", type=Path, required=True, help="frequencies of the 313 bins")
    parser.add_argument("--weights", default="tiny_imagenet")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 80, 96, 112, 128])
    parser.add_argument("--speed", action="store_true", help="time both ways, too")
    args = parser.parse_args()
    rarity = bins.rarity(np.load(args.prior))
    paths = sorted((args.folder / "gt").iterdir())
    photos = [images.read(path) for path in paths]
    model = colorization.build(weights=args.weights)
    sources = {
        f"{args.weights}, size {size}": partial(cells_of, model, size) for size in args.sizes
    }
    rows = {("all grey", ""): scores(photos, map(colorization.grey, photos), rarity)}
    for name, source in sources.items():
        rows |= both(name, photos, map(source, photos), rarity)
    if (args.folder / "ours").is_dir():
        published = [images.read(args.folder / "ours" / path.name) for path in paths]
        rows |= both("published results", photos, map(cells_of_result, published), rarity)
    print(pd.DataFrame(rows).T.to_string(float_format="{:.2f}".format))
    if args.speed:
        print(f"Seconds for 12 megapixels: {seconds()}")


def cells_of(model, size, photo):
    """ab (h, w, 2) and mean L (h, w, 1) of the cells of a photo, as `colorize` has them."""
    small = scaled(photo, seen_shape(photo.shape, size))
    lightness = np.asarray(rgb_to_lab(small))[..., :1]
    _, temperature = remembered(model)
    ab = grid.to_colours(model.predict_on_batch(lightness[None]), temperature)[0]
    return np.asarray(ab), grid.means_of_cells(lightness)


def cells_of_result(photo):
    lab = grid.means_of_cells(np.asarray(rgb_to_lab(photo)))
    return lab[..., 1:], lab[..., :1]


def both(name, photos, cells, rarity):
    """A row of the table for each of the two ways."""
    cells = list(cells)
    ways = {"bilinear": lambda ab, lightness: flat(ab), "guided": guide.lines}
    return {
        (name, way): scores(
            photos,
            [
                with_colours(photo, np.asarray(lines(*cell)))
                for photo, cell in zip(photos, cells, strict=True)
            ],
            rarity,
        )
        for way, lines in ways.items()
    }


def flat(ab):
    """What `guide.lines` would give if the lightness said nothing."""
    return np.concatenate([np.zeros_like(ab), ab], axis=-1)


def scores(photos, coloured, rarity):
    """Over all pixels of all photos."""
    table = []
    for true, answer in zip(photos, coloured, strict=True):
        true, answer = (np.asarray(rgb_to_lab(rgb))[..., 1:] for rgb in (true, answer))
        weight = rarity[np.asarray(bins.soft_encode(true, neighbors=1)[0])[..., 0]]
        areas = np.asarray(area(np.linalg.norm(true - answer, axis=-1)))
        chroma = (np.linalg.norm(ab, axis=-1).sum() for ab in (answer, true))
        table.append([areas.sum(), areas.size, (weight * areas).sum(), weight.sum(), *chroma])
    plain, count, rebalanced, weights, chroma, true_chroma = np.sum(table, axis=0)
    return {
        "AuC": plain / count,
        "rebalanced AuC": rebalanced / weights,
        "chroma ratio": chroma / true_chroma,
    }


def seconds():
    """Of both ways, the median of five turns each."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (30, 40, 3)).astype("uint8"))
    photo = np.asarray(noise.resize((4000, 3000)))
    ab, lightness = rng.uniform(-50, 50, (48, 64, 2)), rng.uniform(0, 100, (48, 64, 1))
    ways = {"bilinear": lambda: flat(ab), "guided": lambda: np.asarray(guide.lines(ab, lightness))}
    turns = {way: [] for way in ways}
    for _ in range(5):
        for way, lines in ways.items():
            start = time.perf_counter()
            with_colours(photo, lines().astype("float32"))
            turns[way].append(time.perf_counter() - start)
    return ", ".join(f"{way} {np.median(found):.2f}" for way, found in turns.items())


if __name__ == "__main__":
    main()
