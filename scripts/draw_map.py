"""Draws characters that nobody learned from on a plane: near are those whose vectors are near.

    python scripts/draw_map.py omniglot/ --out docs/tsne.jpg

The plane is scikit-learn's t-SNE (van der Maaten, Hinton 2008). Each drawing is a dot in the
colour of its alphabet; of each character the drawing in its midst is shown.
Needs `pip install "keras_vision[search]"`.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.manifold import TSNE

from keras_vision import images
from keras_vision.datasets import omniglot
from keras_vision.metric_learning import embed, embedder
from keras_vision.plots import COLOURS

SIDE, SMALL, BORDER = 880, 40, 30  # pixels: of the map, of a character, and left free around


def drawn(places, ids, groups, pictures):
    """A map, uint8 (SIDE, SIDE, 3), of places (N, 2).

    ids: of the characters, (N,); groups: whose colour they get, (N,); pictures: (N, H, W), dark
        on light.
    """
    low, high = places.min(0), places.max(0)
    inside = SIDE - 2 * BORDER - SMALL
    corners = (BORDER + (places - low) / (high - low) * inside).astype(int)
    ink = np.zeros((SIDE, SIDE, 3))  # what is taken from white paper
    less = 1 - np.array(COLOURS)[groups % len(COLOURS)]
    for (x, y), colour in zip(corners + SMALL // 2, less, strict=True):
        ink[y - 1 : y + 2, x - 1 : x + 2] = 0.5 * colour
    for one in np.unique(ids):
        members = np.flatnonzero(ids == one)
        away = np.linalg.norm(places[members] - np.median(places[members], axis=0), axis=1)
        middle = members[away.argmin()]
        x, y = corners[middle]
        small = Image.fromarray(pictures[middle]).resize((SMALL, SMALL), Image.Resampling.BOX)
        strokes = np.minimum(1.5 * (1 - np.asarray(small)[..., None] / 255), 1)
        part = ink[y : y + SMALL, x : x + SMALL]
        dark = 0.4 + 0.6 * less[middle]
        np.maximum(part, strokes * dark, out=part)
    return (255 * (1 - ink)).round().astype("uint8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="of Omniglot's official layout")
    parser.add_argument("--weights", default="omniglot")
    parser.add_argument("--out", type=Path, required=True, help="a picture to write")
    args = parser.parse_args()
    rows = omniglot.load("evaluation", args.root)
    pictures = np.stack([raw["image"] for raw in rows.as_numpy_iterator()])
    ids, groups = (np.asarray(rows.columns[name]) for name in ("label", "alphabet"))
    vectors = embed(embedder.build(weights=args.weights), pictures)
    places = TSNE(random_state=0).fit_transform(vectors)
    images.save(args.out, drawn(places, ids, groups, pictures[..., 0]), overwrite=True)


if __name__ == "__main__":
    main()
