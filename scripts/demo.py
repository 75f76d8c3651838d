"""Colours photos with both shipped networks and lays them beside their true colours; then finds
drawn shapes.

./scripts/demo.sh [photo ...]      # without names: the six built-in photos

Where the rebalanced network gains most over grey stands first, where it fails last. The authors'
network has a column once `colorization.build(weights="eccv16")` has fetched it.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from keras_vision import colorization, detection, images, plots, weights
from keras_vision.colorization.color import grey, rgb_to_lab
from keras_vision.colorization.metrics import area
from keras_vision.colorization.weights import PUBLISHED
from keras_vision.datasets import samples, shapes

OUT = Path(__file__).resolve().parent.parent / "out" / "demo"


def main(paths):
    try:
        photos = named(paths) if paths else samples.photos()
        OUT.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        return f"demo: {error}"
    models = networks()
    colorization.colorize(models["rebalanced"], next(iter(photos.values())))  # compiles, untimed
    rows, scores, seconds = {}, {}, []
    for name, rgb in photos.items():
        start = time.perf_counter()
        coloured = {title: colorization.colorize(model, rgb) for title, model in models.items()}
        seconds.append((time.perf_counter() - start) / len(models))
        rows[name] = {"grey": grey(rgb), "true colours": rgb, **coloured}
        scores[name] = {title: auc(rgb, picture) for title, picture in rows[name].items()}
        images.save(OUT / f"{name}_coloured.jpg", coloured["rebalanced"], overwrite=True)
    table = pd.DataFrame(scores).T
    gain = table["rebalanced"] - table["grey"]
    table = table.loc[gain.sort_values(ascending=False).index]
    pictures = [list(rows[name].values()) for name in table.index]
    captions = [[f"AuC {score:.1f}" for score in row] for row in table.to_numpy()]
    save(plots.contact_sheet(pictures, list(table), captions), "contact_sheet.png")
    table = table.drop(columns="true colours")
    table.loc["mean"] = table.mean()
    print("Area under the curve of ab errors against the true colours, % (grey is no answer):\n")
    print(table.round(1).to_string(), "\n")
    print(f"A photo took {np.median(seconds):.2f} s.")
    save(found_shapes(), "shapes.png")
    print(f"Contact sheet: {OUT / 'contact_sheet.png'}\nColoured photos: {OUT}")
    print(f"Shapes that RetinaNet finds: {OUT / 'shapes.png'}")
    return 0


def save(figure, name):
    part = OUT / f"part-{os.getpid()}.png"  # another demo may be writing this one just now
    figure.savefig(part)
    part.replace(OUT / name)


def found_shapes():
    """Four drawn pictures with the boxes that the shipped detector finds in them."""
    model = detection.retinanet.build(weights="shapes")
    drawn = [raw["image"] for raw in shapes.load("val", count=10).as_numpy_iterator()][6:]
    found = detection.detect(model, drawn)
    named = partial(plots.boxes, names=shapes.class_names)
    pictures = [plots.pixels(named(rgb, boxes)) for rgb, boxes in zip(drawn, found, strict=True)]
    return plots.contact_sheet([pictures], [f"{len(one['boxes'])} found" for one in found])


def networks():
    """{title: model}: the shipped twins, and the authors' network where it needs no network."""
    found = {
        "L2": colorization.build(bins=None, weights="tiny_imagenet"),
        "rebalanced": colorization.build(weights="tiny_imagenet"),
    }
    if weights.cached(PUBLISHED["eccv16"][0]).is_file():
        found["eccv16"] = colorization.build(weights="eccv16")
    return found


def named(paths):
    """The photos as {file name without suffix: uint8 (H, W, 3)}."""
    names = [Path(path).stem for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Several photos are named {name}: show them one after the other.")
    return dict(zip(names, map(images.read, paths), strict=True))


def auc(true, coloured):
    """The AuC of one photo, both uint8 (H, W, 3); not a number where the true one is grey."""
    true, coloured = (np.asarray(rgb_to_lab(rgb))[..., 1:] for rgb in (true, coloured))
    is_grey = np.abs(true).max() < 5  # the paper's threshold, section 3.1
    return np.nan if is_grey else float(np.mean(area(np.linalg.norm(true - coloured, axis=-1))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
