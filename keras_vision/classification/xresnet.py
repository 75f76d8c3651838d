"""ResNet-D: He et al. 2019, "Bag of Tricks for Image Classification"; fastai's "xresnet".

Three changes to ResNet (section 4 and 3.1 there): three 3x3 convolutions in place of the 7x7,
shortcuts that average four places where they would drop three, and blocks that begin as the
identity, as the scale of their last BatchNorm is 0 at first.
"""

from keras import Input, Model, layers

from keras_vision.classification import published, resnet
from keras_vision.classification.resnet import DEPTHS, HEAD, linear, unit
from keras_vision.layers import pooling
from keras_vision.weights import find


def build(depth=50, classes=None, weights=None, small=False, width=1.0):
    """Maps photos (B, H, W, 3), sRGB in 0..255 and of any size, to logits (B, classes).

    depth: as for `resnet.build`; 50 has 25,576,264 trainable parameters with 1000 classes.
    classes: by default those of the weights, or 1000.
    weights: None, or the path of a `.keras` or `.weights.h5` file. Nobody published any whose
        licence and layout could be checked.
    small: a stem without stride or pooling, for pictures of 32 to 64 pixels.
    width: scales the number of filters.

    Raises ValueError where arguments make no network, or another than that of the weights, and
    FileNotFoundError where weights are not found.
    """
    model, _ = network(depth, classes, weights, small, width)
    return model


def backbone(depth=50, weights=None, small=False, width=1.0):
    """Maps photos to {"c1": ..., ..., "c5": ...}, as `resnet.backbone` does."""
    model, maps = network(depth, None, weights, small, width)
    return Model(model.input, maps, name=f"{model.name}_backbone")


def network(depth, classes, weights, small, width):
    """The model of `build`, and the maps of `backbone` in it."""
    published.check({"depth": depth, "width": width, "classes": classes}, "depth", DEPTHS)
    path = weights and find(weights, {})
    inputs = Input((None, None, 3), name="image")
    maps = features(inputs, depth, small, int(64 * width))
    x = layers.GlobalAveragePooling2D(name="avgpool")(maps["c5"])
    x = layers.Dense(classes or published.classes_of(path, HEAD), dtype="float32", name=HEAD)(x)
    model = Model(inputs, x, name=f"xresnet{depth}")
    if path:
        published.load(model, path)
    return model, maps


def features(x, depth, small, filters):
    x = published.standardized(x)
    for number, channels in enumerate((filters // 2, filters // 2, filters)):
        stride = 1 if small or number else 2
        x = unit(x, (channels, 3, stride, 1), f"stem{number}.conv", f"stem{number}.bn")
    c1 = x
    x = x if small else pooling(x)
    return {"c1": c1, **resnet.stages(x, filters, depth, averaged, last_scale="zeros")}


def averaged(x, filters, stride, name):
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same")(x)  # of what is there, at the border
    return linear(x, (filters, 1, 1, 1), f"{name}.0", f"{name}.1")
