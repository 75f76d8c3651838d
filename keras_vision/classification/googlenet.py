"""GoogLeNet: Szegedy et al. 2015, "Going Deeper with Convolutions" (table 1)."""

from functools import partial

from keras import Input, Model, layers

from keras_vision.classification import published
from keras_vision.classification.published import torchvision
from keras_vision.layers import (
    AdaptivePooling,
    LocalResponseNormalization,
    convolution,
    normalization,
)
from keras_vision.weights import find

# Filters of a module: 1x1; 1x1 and 3x3; 1x1 and 5x5; and the 1x1 behind its pooling.
MODULES = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
SIDE_HEADS = {"inception4a": "aux1", "inception4d": "aux2"}  # and what they look at
PUBLISHED = {"imagenet": torchvision("googlenet-1378be20")}
HEAD = "fc"


def build(classes=None, weights=None, norm=True, side_heads=False, small=False, width=1.0):
    """Maps photos (B, H, W, 3), sRGB in 0..255 and of any size, to logits (B, classes).

    classes: by default those of the weights, or 1000.
    weights: None; "imagenet", torchvision's, fetched once into Keras' cache; or a path: `.keras`,
        `.weights.h5`, or a `.pth` as torchvision's.
    norm: True is the network of torchvision: BatchNorm behind each convolution, and 3x3 where the
        paper has 5x5; 6,624,904 parameters with 1000 classes. False is the paper's, with local
        response normalisation and biases: 6,998,552.
    side_heads: whether there are the two classifiers half-way up, which helped to train it. Then
        the outputs are {"logits", "aux1", "aux2"}; the paper weighs the losses of the latter 0.3.
    small: a stem of one 3x3 convolution, for pictures of 32 to 64 pixels.
    width: scales the number of filters.

    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found or cannot be fetched.
    """
    model, _ = network(classes, weights, norm, side_heads, small, width)
    return model


def backbone(weights=None, norm=True, small=False, width=1.0):
    """Maps photos to {"c1": (B, H/2, W/2, 64), ..., "c5": (B, H/32, W/32, 1024)}.

    With the small stem c1 and c2 are as large as the photo, and c5 is H/8. For the arguments, and
    what it raises, see `build`.
    """
    model, maps = network(None, weights, norm, False, small, width)
    return Model(model.input, maps, name=f"{model.name}_backbone")


def network(classes, weights, norm, side_heads, small, width):
    """The model of `build`, and the maps of `backbone` in it."""
    published.check({"norm": norm, "width": width, "classes": classes}, "norm", (True, False))
    path = weights and find(weights, {}, PUBLISHED if norm else {})
    classes = classes or published.classes_of(path, HEAD)
    inputs = Input((None, None, 3), name="image")
    conv = partial(unit, norm=norm, width=width)
    maps, sides = features(inputs, conv, norm, small)
    x = layers.GlobalAveragePooling2D(name="avgpool")(maps["c5"])
    x = layers.Dropout(0.2 if norm else 0.4)(x)
    outputs = {"logits": layers.Dense(classes, dtype="float32", name=HEAD)(x)}
    if side_heads:
        outputs |= {name: side_head(x, conv, classes, width, name) for name, x in sides.items()}
    model = Model(inputs, outputs if side_heads else outputs["logits"], name="googlenet")
    if path:
        published.load(model, path, "$" if side_heads else "aux[12]")
    return model, maps


def features(x, conv, norm, small):
    """({"c1": ..., "c5": ...}, what the side heads see)."""
    x = published.balanced(x)
    if small:
        x = c1 = c2 = conv(x, 192, 3, 1, "conv1")
    else:
        x = c1 = conv(x, 64, 7, 2, "conv1")
        x = pooled(x, 3)
        x = x if norm else LocalResponseNormalization()(x)
        x = conv(conv(x, 64, 1, 1, "conv2"), 192, 3, 1, "conv3")
        x = c2 = x if norm else LocalResponseNormalization()(x)
    x = pooled(x, 3)
    maps, sides = {"c1": c1, "c2": c2}, {}
    for name, filters in MODULES.items():
        x = maps[f"c{name[-2]}"] = module(x, conv, filters, 3 if norm else 5, name)
        if name in SIDE_HEADS:
            sides[SIDE_HEADS[name]] = x
        if name in ("inception3b", "inception4e"):
            x = pooled(x, 3 if name == "inception3b" or not norm else 2)
    return maps, sides


def module(x, conv, filters, large, name):
    """Figure 2b: four branches, of four sizes, side by side."""
    ones, before_3, threes, before_5, fives, behind = filters
    pool = layers.MaxPooling2D(3, 1, padding="same")(x)
    return layers.Concatenate()(
        [
            conv(x, ones, 1, 1, f"{name}.branch1"),
            conv(conv(x, before_3, 1, 1, f"{name}.branch2.0"), threes, 3, 1, f"{name}.branch2.1"),
            conv(
                conv(x, before_5, 1, 1, f"{name}.branch3.0"), fives, large, 1, f"{name}.branch3.1"
            ),
            conv(pool, behind, 1, 1, f"{name}.branch4.1"),
        ]
    )


def side_head(x, conv, classes, width, name):
    x = conv(AdaptivePooling(4)(x), 128, 1, 1, f"{name}.conv")
    x = layers.Flatten()(layers.Permute((3, 1, 2))(x))  # channels first, as the published one
    x = layers.Dense(int(1024 * width), activation="relu", name=f"{name}.fc1")(x)
    return layers.Dense(classes, dtype="float32", name=f"{name}.fc2")(layers.Dropout(0.7)(x))


def pooled(x, size):
    """Halves the picture, and gives what is left over at its right and bottom a cell, too."""
    return layers.MaxPooling2D(size, 2)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))


def unit(x, filters, size, stride, name, norm, width):
    """A convolution and its ReLU, with BatchNorm between them or a bias."""
    settings = {"use_bias": not norm, "kernel_initializer": "he_normal", "name": f"{name}.conv"}
    x = convolution(x, int(filters * width), size, stride, **settings)
    if norm:
        x = normalization(x, epsilon=1e-3, name=f"{name}.bn")
    return layers.ReLU()(x)
