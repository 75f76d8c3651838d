"""LeNet-5: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-Based Learning" (figure 2)."""

from keras import Input, Model, layers, ops

from keras_vision.classification import published
from keras_vision.weights import find

# Table I: which of the six maps of S2 each of the sixteen maps of C3 sees.
SEEN = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)
HEAD = "output"


def build(classes=None, weights=None, partial=False):
    """Maps digits (B, 28, 28, 1) in 0..255, light on dark, to logits (B, classes).

    61,706 parameters with 10 classes. The digits get a margin of 2 pixels, to the paper's 32x32.

    classes: by default those of the weights, or 10.
    weights: None, or the path of a `.keras` or `.weights.h5` file.
    partial: whether each map of C3 sees only some of S2's, as in 1998: 60,806 parameters. What
        the paper has besides, a scale and a bias for each average and distances to drawn digits
        in place of logits, is left out.

    Raises ValueError where weights are of another network, FileNotFoundError where there are none.
    """
    path = weights and find(weights, {})
    inputs = Input((28, 28, 1), name="image")
    x = published.balanced(layers.ZeroPadding2D(2)(inputs))
    x = layers.AveragePooling2D(2, name="S2")(tanh(6, "C1")(x))
    x = some(x) if partial else tanh(16, "C3")(x)
    x = layers.AveragePooling2D(2, name="S4")(x)
    x = layers.Flatten()(tanh(120, "C5")(x))
    x = layers.Dense(84, activation="tanh", name="F6")(x)
    classes = classes or (published.classes_of(path, HEAD) if path else 10)
    model = Model(inputs, layers.Dense(classes, dtype="float32", name=HEAD)(x), name="lenet")
    if path:
        published.load(model, path)
    return model


def tanh(filters, name):
    return layers.Conv2D(filters, 5, activation="tanh", name=name)


def some(x):
    """C3 as table I has it."""
    maps = [
        tanh(1, f"C3_{number}")(ops.take(x, seen, axis=-1)) for number, seen in enumerate(SEEN)
    ]
    return layers.Concatenate(name="C3")(maps)
