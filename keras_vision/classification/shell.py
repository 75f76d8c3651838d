"""`python -m keras_vision classify`: see `keras_vision.__main__`."""

from pathlib import Path

from keras_vision.classification import classify, networks, resnet
from keras_vision.datasets import imagenet, tiny_imagenet

WRITES = False
TAKES = "photo", "files of any kind"
OWN = {"mnist_convnet": "mnist"}  # weights that a network has by default; others "imagenet"
NAMES = {
    "imagenet": imagenet.class_names,
    "imagenet_v2": imagenet.class_names,
    "tiny_imagenet": tiny_imagenet.class_names,
}


def arguments(parser):
    parser.add_argument(
        "--model",
        help="resnet50, mobilenet ...: knows ImageNet's 1,000 classes and is fetched once; or "
        "mnist_convnet, for digits. By default a small one that comes with the package and knows "
        "the 200 classes of Tiny ImageNet",
    )
    parser.add_argument("--weights", help="of the model: a name, or a file")
    parser.add_argument("--top", type=int, default=3, help="answers a photo (%(default)s)")
    parser.add_argument("--csv", type=Path, help="a new file for a table of the answers")


def start(args):
    if args.model:
        weights = args.weights or OWN.get(args.model, "imagenet")
        model = networks.build(args.model, weights=weights)
    else:
        weights = args.weights or "tiny_imagenet"
        model = resnet.build(weights=weights)
    if args.csv:
        args.csv.open("x").close()  # told now, and not after the work

    def answer(photo):
        table = classify(model, photo, NAMES.get(weights), min(args.top, model.output_shape[-1]))
        if args.csv:  # at once: a kill loses nothing
            table.to_csv(args.csv, mode="a", header=args.csv.stat().st_size == 0, index=False)
        return ", ".join(
            f"{row.name.partition(',')[0]} ({row.probability:.1%})"
            for row in table.itertuples(index=False)
        )

    return answer
