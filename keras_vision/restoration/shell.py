"""`python -m keras_vision denoise`: see `keras_vision.__main__`."""

from keras_vision.restoration import denoise, denoiser
from keras_vision.weights import saved_model

WRITES = True
TAKES = "photo", "files of any kind"


def arguments(parser):
    weights = "photos, which the package has, or a file (%(default)s)"
    parser.add_argument("--weights", default="photos", help=weights)


def start(args):
    whole = args.weights.endswith(".keras")
    model = saved_model(args.weights) if whole else denoiser.build(weights=args.weights)
    return lambda photo: denoise(model, photo)
