"""Trains a network that maps pictures to unit vectors; run again, it goes on where it was.

python scripts/train_embedder.py omniglot omniglot/ --out runs/characters
python scripts/train_embedder.py omniglot omniglot/ --loss triplet --mining hard --out runs/hard
python scripts/train_embedder.py orl orl/att_faces --pretrained --short 64 --loss triplet \\
    --ids 20 --steps 60 --epochs 6 --rate 5e-4 --out runs/faces

At the end it says what the pictures' own pixels and a random network would have reached.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import Input, Sequential, layers

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
    "nt_xent": partial(losses.NTXent, 0.05),
    "info_nce": partial(losses.InfoNCE, 0.05),
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


def network(pretrained, width, dim, short):
    form = {"weights": "tiny_imagenet"} if pretrained else {"depth": 18, "width": width}
    return embedder.build(resnet.backbone(**form, small=True), dim, short=short, at="c4")


def compiled(build, rate, steps, loss):
    model = build()
    rate, ends = warmup_cosine(rate, steps), ["^conv1/", "embedding"]
    optimizer = Muon(rate, weight_decay=0.02, adam_weight_decay=0.02, exclude_layers=ends)
    model.compile(optimizer, loss)
    return model


def of_pixels(rows):
    """What there is to beat: pictures, all of one size, as vectors themselves, less their mean."""
    fitted = layers.Resizing(*rows.columns["image"].shape[1:3])  # those of one size as they are
    centred = layers.LayerNormalization(center=False, scale=False)
    model = [Input((None, None, 3)), fitted, layers.Flatten(), centred, layers.UnitNormalization()]
    return Sequential(model)


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
    pretrained = "begin as the small classifier of Tiny ImageNet, which has a width of its own"
    parser.add_argument("--pretrained", action="store_true", help=pretrained)
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
    form = partial(network, width=args.width, dim=args.dim, short=args.short)
    measure = partial(scores, rows=test, dataset=args.dataset)
    keras.utils.set_random_seed(args.seed)
    table = {"pixels": measure(of_pixels(test)), "random network": measure(form(False))}
    build = partial(form, args.pretrained)
    model = launch(
        TrainConfig(
            model=partial(compiled, build, args.rate, args.steps, loss),
            dataflow=data.by_id(train, args.ids, args.pictures, mix=mix),
            steps_per_epoch=args.steps // args.epochs,
            max_epoch=args.epochs,
            callbacks=[Evaluator(measure)],
            log_dir=args.out,
            seed=args.seed,
            precision=args.precision,
        )
    )
    table["trained"] = measure(model)
    print(pd.DataFrame(table).to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
