"""Recognises characters by one example each: the 20 runs of 20 that Omniglot's authors drew.

python scripts/evaluate_one_shot.py all_runs/
python scripts/evaluate_one_shot.py all_runs/ --weights runs/characters/model-3000.keras

The folder is all_runs.zip, unpacked: github.com/brendenlake/omniglot has it in
python/one-shot-classification. The characters of a run are of one alphabet, which nobody learns
from; its examples are of one hand, its questions of another (Lake, Salakhutdinov, Tenenbaum 2015).
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from pathlib import Path

import numpy as np

from keras_vision.metric_learning import Index, embed
from keras_vision.metric_learning.shell import chosen

LAYOUT = """
Expected is the folder with run01/class_labels.txt, run01/training/, run01/test/ ... run20/."""


def share_right(model, root, run):
    """Of a run's questions, how many have the right example nearest."""
    lines = (root / run / "class_labels.txt").read_text().splitlines()
    questions, answers = zip(*map(str.split, filter(str.strip, lines)), strict=True)
    examples = sorted(set(answers))
    index = Index(embed(model, [root / name for name in examples]), examples)
    found = index.search(embed(model, [root / name for name in questions]), top=1)["name"]
    return (found == np.array(answers)).mean()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder of the runs")
    parser.add_argument("--weights", default="omniglot", help="a shipped name or a .keras file")
    args = parser.parse_args()
    runs = sorted(path.parent.name for path in args.root.glob("*/class_labels.txt"))
    if not runs:
        raise SystemExit(f"evaluate_one_shot: {args.root}: no run in it{LAYOUT}")
    model = chosen(args.weights)
    shares = [share_right(model, args.root, run) for run in runs]
    for run, share in zip(runs, shares, strict=True):
        print(f"{run}  {share:.3f}")
    print(f"mean   {sum(shares) / len(shares):.3f}")


if __name__ == "__main__":
    main()
