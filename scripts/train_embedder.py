"""Trains a network that maps pictures to unit vectors; run again, it goes on where it was.

python scripts/train_embedder.py omniglot omniglot/ --out runs/characters
python scripts/train_embedder.py omniglot omniglot/ --loss triplet --mining hard --out runs/hard
python scripts/train_embedder.py orl orl/att_faces --ids 20 --out runs/faces
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from keras_vision import images
from keras_vision.classification import resnet
from keras_vision.datasets import folder, omniglot
from keras_vision.metric_learning import data, embedder, losses, metrics
from keras_vision.metric_learning.evaluate import retrieval, vectors_of, verification
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.rows import Rows
from keras_vision.training import Evaluator, TrainConfig, launch

LOSSES = {
    "contrastive": losses.ContrastiveLoss,
    "triplet": losses.TripletLoss,
    "margin": losses.MarginLoss,
    "nt_xent": partial(losses.NTXent, 0.1),
    "info_nce": partial(losses.InfoNCE, 0.1),
}
MININGS = "all", "hard", "semi_hard", "distance_weighted"
SEEN = 20  # people of ORL to learn from; the others are never seen


def loaded(dataset, root, short):
    """`Rows` to train on and to test on, whose pictures are in memory, small."""
    if dataset == "orl":
        people = held(folder.load(root), short)
        seen = np.asarray(people.columns["label"]) < SEEN
        return people.select(seen), people.select(~seen)
    train, test = (held(omniglot.load(split, root), short) for split in omniglot.splits)
    return data.turned(train), test


def held(rows, short):
    """The same, read once: photos of one size, scaled to this short side."""
    found = list(rows.as_numpy_iterator())
    pictures = [images.scaled(images.read(raw["image"]), short) for raw in found]
    columns = {
        name: np.array([raw[name] for raw in found]) for name in found[0] if name != "image"
    }
    return Rows({**columns, "image": np.stack(pictures)}, class_names=rows.class_names)


def compiled(width, dim, short, rate, steps, loss):
    backbone = resnet.backbone(18, small=True, width=width)
    model = embedder.build(backbone, dim, short=short, at="c4")
    ends = ["^conv1/", "embedding"]
    model.compile(
        Muon(
            warmup_cosine(rate, steps),
            weight_decay=0.02,
            adam_weight_decay=0.02,
            exclude_layers=ends,
        ),
        loss,
    )
    return model


def scores(model, rows, dataset):
    """{name: number} of pictures of ids that were never seen."""
    if dataset == "orl":
        return {**verification(model, rows), **retrieval(model, rows)}
    vectors, ids = vectors_of(model, rows)
    alphabets = np.asarray(rows.columns["alphabet"])
    return {
        "one_shot": metrics.one_shot(vectors, ids)[0],
        "one_shot_within_alphabet": metrics.one_shot(vectors, ids, groups=alphabets)[0],
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dataset", choices=["omniglot", "orl"])
    parser.add_argument("root", type=Path, help="of the dataset's official layout")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--loss", choices=LOSSES, default="nt_xent")
    parser.add_argument("--mining", choices=MININGS, default="semi_hard", help="of triplets")
    parser.add_argument("--width", type=float, default=0.25, help="of a ResNet-18")
    parser.add_argument("--dim", type=int, default=128, help="of the vectors")
    parser.add_argument("--short", type=int, default=32, help="pixels of pictures' short side")
    parser.add_argument("--ids", type=int, default=64, help="of a batch")
    parser.add_argument("--pictures", type=int, default=4, help="of an id in a batch")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=10, help="each ends with an evaluation")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    train, test = loaded(args.dataset, args.root, args.short)
    mining = {"mining": args.mining} if args.loss == "triplet" else {}
    loss = LOSSES[args.loss](**mining)
    mix = data.warped if args.dataset == "omniglot" else partial(data.warped, paper=0)
    form = (args.width, args.dim, args.short, args.rate, args.steps, loss)
    measure = partial(scores, rows=test, dataset=args.dataset)
    launch(
        TrainConfig(
            model=partial(compiled, *form),
            dataflow=data.by_id(train, args.ids, args.pictures, mix=mix),
            steps_per_epoch=args.steps // args.epochs,
            max_epoch=args.epochs,
            callbacks=[Evaluator(measure)],
            log_dir=args.out,
            seed=args.seed,
            precision=args.precision,
        )
    )


if __name__ == "__main__":
    main()
