"""AlexNet: Krizhevsky, Sutskever, Hinton 2012, and Krizhevsky 2014, "One weird trick"."""

from keras import Input, Model, layers

from keras_vision.classification import published
from keras_vision.classification.published import torchvision
from keras_vision.layers import AdaptivePooling, LocalResponseNormalization
from keras_vision.weights import find

# Filters, size, groups of each convolution; whether the response is normalised, and pooled. The
# groups of 2012 are its two GPUs, which see each other's maps in the third convolution only.
YEARS = {
    2012: (
        (96, 11, 1, True, True),
        (256, 5, 2, True, True),
        (384, 3, 1, False, False),
        (384, 3, 2, False, False),
        (256, 3, 2, False, True),
    ),
    2014: (
        (64, 11, 1, False, True),
        (192, 5, 1, False, True),
        (384, 3, 1, False, False),
        (256, 3, 1, False, False),
        (256, 3, 1, False, True),
    ),
}
NAMES = ("features.0", "features.3", "features.6", "features.8", "features.10")  # torchvision's
PUBLISHED = {2012: {}, 2014: {"imagenet": torchvision("alexnet-owt-7be5be79")}}
HEAD = "classifier.6"


def build(year=2014, classes=None, weights=None, small=False, width=1.0):
    """Maps photos (B, H, W, 3), sRGB in 0..255, 63 pixels at least, to logits (B, classes).

    year: 2012, the network of the paper, in two groups and with local response normalisation:
        60,965,224 parameters with 1000 classes; or 2014, without either, which torchvision
        publishes: 61,100,840.
    classes: by default those of the weights, or 1000.
    weights: None; "imagenet" for 2014, torchvision's, fetched once into Keras' cache; or a path:
        `.keras`, `.weights.h5`, or a `.pth` as torchvision's.
    small: a first convolution of 5x5 and stride 1 in place of 11x11 and 4, for pictures of 32 to
        64 pixels; 15 is then the least.
    width: scales the number of filters, in the fully connected layers, too.

    What is not 224x224 is averaged to the 6x6 cells that these layers want, as torchvision does.
    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found or cannot be fetched.
    """
    published.check({"year": year, "width": width, "classes": classes}, "year", YEARS)
    path = weights and find(weights, {}, PUBLISHED[year])
    inputs = Input((None, None, 3), name="image")
    x = features(inputs, year, small, width)
    x = AdaptivePooling(6, name="avgpool")(x)
    x = layers.Flatten()(layers.Permute((3, 1, 2))(x))  # channels first, as the published ones
    for name in ("classifier.1", "classifier.4"):
        x = layers.Dropout(0.5)(x)
        x = layers.Dense(int(4096 * width), activation="relu", name=name)(x)
    x = layers.Dense(classes or published.classes_of(path, HEAD), dtype="float32", name=HEAD)(x)
    model = Model(inputs, x, name=f"alexnet_{year}")
    if path:
        published.load(model, path)
    return model


def features(x, year, small, width):
    """Photos -> (B, H/32, W/32, 256)."""
    x = published.standardized(x)
    for name, (filters, size, groups, normalized, pooled) in zip(NAMES, YEARS[year], strict=True):
        size, stride, padding = (size, 1, size // 2) if size < 11 else (11, 4, 2)
        if stride > 1 and small:
            size, stride, padding = 5, 1, 2
        x = layers.ZeroPadding2D(padding)(x)
        x = layers.Conv2D(
            groups * int(filters * width / groups),
            size,
            stride,
            groups=groups,
            activation="relu",
            kernel_initializer="he_normal",
            name=name,
        )(x)
        x = LocalResponseNormalization()(x) if normalized else x
        x = layers.MaxPooling2D(3, 2)(x) if pooled else x
    return x
