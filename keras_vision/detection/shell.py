"""`python -m keras_vision detect`: see `keras_vision.__main__`."""

import json
from pathlib import Path

from keras_vision import images, plots
from keras_vision.datasets import coco, shapes
from keras_vision.detection import detect, retinanet
from keras_vision.weights import saved_model

WRITES = True
TAKES = "photo", "files of any kind"
EMPTY = "[\n]\n"
NAMES = {"coco": coco.class_names, "shapes": shapes.class_names}


def arguments(parser):
    weights = "coco, fetched once; shapes, which the package has; or a file"
    parser.add_argument("--weights", default="coco", help=weights)
    parser.add_argument("--score", type=float, default=0.5, help="least probable (%(default)s)")
    parser.add_argument("--json", type=Path, help="a new file for the boxes, in pixels")


def start(args):
    whole = args.weights.endswith(".keras")
    model = saved_model(args.weights) if whole else retinanet.build(weights=args.weights)
    names = NAMES.get(args.weights)
    if args.json:
        with args.json.open("x") as file:  # what is there already is not lost
            file.write(EMPTY)

    def answer(photo):
        rgb = images.read(photo)
        found = detect(model, rgb, args.score)
        if args.json:
            append(args.json, {"photo": str(photo), **listed(found, names)})
        return plots.pixels(plots.boxes(rgb, found, names))

    return answer


def listed(found, names):
    """What was found, in JSON's types."""
    found = {name: values.tolist() for name, values in found.items()}
    named = {"names": [names[label] for label in found["labels"]]} if names else {}
    return found | named


def append(path, entry):
    """Adds an entry to a file that holds a list. A kill loses none of those before it."""
    with path.open("r+") as file:
        text = file.read()
        first = text == EMPTY
        file.seek(len("[\n") if first else len(text) - len("\n]\n"))
        comma = "" if first else ",\n"
        file.write(f"{comma}{json.dumps(entry)}\n]\n")
