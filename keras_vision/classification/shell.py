"""`python -m keras_vision classify`: see `keras_vision.__main__`."""

from keras_vision import classification

WRITES = False


def arguments(parser):
    parser.add_argument("--weights", default="mnist", help="a shipped name, or a file")


def start(args):
    model = classification.mnist_convnet.build(weights=args.weights)

    def answer(photo):
        (row,) = classification.classify(model, photo).itertuples()
        return f"{row.name} ({row.probability:.1%})"

    return answer
