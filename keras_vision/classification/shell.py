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
}


def arguments(parser):
    parser.add_argument(
        "--model",
        help="resnet50, mobilenet ...: knows ImageNet's 1,000 classes and is fetched once; or "
        "mnist_convnet, for digits; or a .keras file. By default a small network that comes with "
        "the package and knows the 200 classes of Tiny ImageNet",
    )
    parser.add_argument("--weights", help="of the model: a name, or a file")
    parser.add_argument("--top", type=int, default=3, help="answers a photo (%(default)s)")
    parser.add_argument("--csv", type=Path, help="a new file for a table of the answers")


def start(args):
    model, names = chosen(args.model, args.weights)
    if args.csv:
        args.csv.open("x").close()  # told now, and not after the work

    def answer(photo):
        table = classify(model, photo, names, min(args.top, model.output_shape[-1]))
        if args.csv:  # at once: a kill loses nothing
            table.to_csv(args.csv, mode="a", header=args.csv.stat().st_size == 0, index=False)
        return ", ".join(
            f"{row.name.partition(',')[0]} ({row.probability:.1%})"
            for row in table.itertuples(index=False)
        )

    return answer


def chosen(name, weights):
    """(model, names of its classes or None) of what the shell was told."""
    if name is None:
        if weights:
            raise ValueError("--weights are of a network: which one, --model?")
        return resnet.build(weights="tiny_imagenet"), tiny_imagenet.class_names
    if name.endswith(".keras"):
        return networks.build(name), None
    weights = weights or OWN.get(name, "imagenet")
    return networks.build(name, weights=weights), NAMES.get(weights)
