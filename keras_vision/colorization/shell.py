"""`python -m keras_vision colorize`: see `keras_vision.__main__`."""

from functools import partial

from keras_vision import colorization
from keras_vision.colorization.colorize import check_settings

WRITES = True
TAKES = "photo", "files of any kind"


def arguments(parser):
    parser.add_argument(
        "--weights", default="tiny_imagenet", help="tiny_imagenet, eccv16, or a file"
    )
    parser.add_argument("--temperature", type=float, help="0 vivid ... 1 greyish")
    parser.add_argument("--size", type=int, help="side of what the network sees")


def start(args):
    check_settings(args.temperature, args.size)
    model = colorization.build(weights=args.weights)
    return partial(colorization.colorize, model, temperature=args.temperature, size=args.size)
