"""Trains a RetinaNet on COCO or on the drawn shapes; run again, it goes on where it was.

python scripts/train_detector.py shapes --out runs/shapes
python scripts/train_detector.py coco coco/ --photos 16 --depth 18 --size 320 --out runs/overfit
python scripts/train_detector.py coco coco/ --depth 50 --width 1 --filters 256 --size 640 \\
    --steps 90000 --out runs/coco
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import keras

from keras_vision import augment
from keras_vision.classification import data as pictures
from keras_vision.classification import resnet
from keras_vision.datasets import coco, shapes
from keras_vision.detection import data, losses, retinanet
from keras_vision.detection.evaluate import scores
from keras_vision.optimizers import Muon, warmup_cosine
from keras_vision.training import BatchData, Evaluator, TrainConfig, launch

CLASS_LOSSES = {  # table 1 of Lin et al. 2017: what was best of each kind
    "focal": losses.FocalLoss(0.25, 2),
    "balanced": losses.FocalLoss(0.75, 0),
    "plain": losses.FocalLoss(None, 0),
}
BOX_LOSSES = {"smooth_l1": losses.SmoothL1(), "giou": losses.GIoULoss()}
EPOCHS = 10  # of which each ends with a checkpoint and an evaluation


def loaded(dataset, root, size, photos):
    """`Rows` to train and to validate on: the same, where only some `photos` are to be learned."""
    if dataset == "shapes":
        return shapes.load("train", size), shapes.load("val", size)
    train = coco.load("train", root)
    if photos:
        train = train.select(slice(photos))
        return train, train
    return train, coco.load("val", root)


def compiled(form, model, rate, steps, loss, box_loss):
    backbone = resnet.backbone(form["depth"], width=form["width"])
    model = retinanet.build(backbone, **model)
    rate, ends = warmup_cosine(rate, steps), ["^conv1/", "cls_logits", "bbox_reg"]
    model.compile(
        Muon(rate, weight_decay=0.01, adam_weight_decay=0.01, exclude_layers=ends),
        {"classes": CLASS_LOSSES[loss], "boxes": BOX_LOSSES[box_loss]},
    )
    return model


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dataset", choices=["coco", "shapes"])
    parser.add_argument("root", type=Path, nargs="?", help="of COCO, in its official layout")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--photos", type=int, help="learn these few, and measure on them")
    parser.add_argument("--depth", type=int, default=18)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--filters", type=int, default=64, help="of pyramid and heads")
    parser.add_argument("--size", type=int, default=256, help="pixels a side (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--loss", choices=CLASS_LOSSES, default="focal")
    parser.add_argument("--box-loss", choices=BOX_LOSSES, default="smooth_l1")
    parser.add_argument("--prior", type=float, default=0.01)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    size = (args.size, args.size)
    train, validation = loaded(args.dataset, args.root, args.size, args.photos)
    classes = len(train.class_names)
    model = {"classes": classes, "filters": args.filters, "size": size, "prior": args.prior}
    form = {"depth": args.depth, "width": args.width}
    flow = BatchData(
        train,
        args.batch_size,
        example=partial(data.example, size=size, classes=classes),
        augment=None if args.photos else augmentation(args.dataset, size),
        shuffle=args.dataset == "coco",  # shapes come in no order
    )
    launch(
        TrainConfig(
            model=partial(compiled, form, model, args.rate, args.steps, args.loss, args.box_loss),
            dataflow=flow,
            steps_per_epoch=args.steps // EPOCHS,
            max_epoch=EPOCHS,
            callbacks=[Evaluator(partial(scores, rows=validation))],
            log_dir=args.out,
            seed=args.seed,
            precision=args.precision,
        )
    )


def augmentation(dataset, size):
    """Of photos; shapes are new each time."""
    if dataset == "shapes":
        return None
    flip = augment.by(keras.layers.RandomFlip("horizontal", bounding_box_format="xyxy"))
    colour = augment.by(keras.layers.RandomColorJitter((0, 255), 0.2, 0.2, (0.4, 0.6), 0.05))
    return pictures.in_turn(flip, colour, partial(data.jitter, size=size))


if __name__ == "__main__":
    main()
