"""VGG: Simonyan, Zisserman 2015, "Very Deep Convolutional Networks" (table 1)."""

from keras import Input, Model, layers

from keras_vision.classification import published
from keras_vision.classification.published import torchvision
from keras_vision.layers import AdaptivePooling, normalization
from keras_vision.weights import find

# 3x3 convolutions of the five stages (configurations A, B, D, E), each closed by a 2x2 pooling.
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
PUBLISHED = {  # by depth and by whether there is BatchNorm
    (11, False): torchvision("vgg11-8a719046"),
    (13, False): torchvision("vgg13-19584684"),
    (16, False): torchvision("vgg16-397923af"),
    (19, False): torchvision("vgg19-dcbb9e9d"),
    (11, True): torchvision("vgg11_bn-6002323d"),
    (13, True): torchvision("vgg13_bn-abd245e5"),
    (16, True): torchvision("vgg16_bn-6c64b313"),
    (19, True): torchvision("vgg19_bn-c79401a0"),
}
HEAD = "classifier.6"


def build(depth=16, classes=None, weights=None, norm=False, width=1.0):
    """Maps photos (B, H, W, 3), sRGB in 0..255 and of any size, to logits (B, classes).

    depth: 11, 13, 16 or 19. With 1000 classes 16 has 138,357,544 parameters and 19 has
        143,667,240, nine of ten in the first fully connected layers.
    classes: by default those of the weights, or 1000.
    weights: None; "imagenet", torchvision's, fetched once into Keras' cache; or a path: `.keras`,
        `.weights.h5`, or a `.pth` as torchvision's.
    norm: whether a BatchNorm follows each convolution, as in neither paper.
    width: scales the number of filters, in the fully connected layers, too.

    What is not 224x224 is averaged to the 7x7 cells that these layers want, as torchvision does.
    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found or cannot be fetched.
    """
    model, _ = network(depth, classes, weights, norm, width)
    return model


def backbone(depth=16, weights=None, norm=False, width=1.0):
    """Maps photos to {"c1": (B, H/2, W/2, 64), ..., "c5": (B, H/32, W/32, 512)}: the poolings'.

    For the arguments, and what it raises, see `build`.
    """
    model, maps = network(depth, None, weights, norm, width)
    return Model(model.input, maps, name=f"{model.name}_backbone")


def network(depth, classes, weights, norm, width):
    """The model of `build`, and the maps of `backbone` in it."""
    published.check({"depth": depth, "width": width, "classes": classes}, "depth", DEPTHS)
    path = weights and find(weights, {}, {"imagenet": PUBLISHED[depth, norm]})
    inputs = Input((None, None, 3), name="image")
    maps = features(inputs, depth, norm, width)
    x = AdaptivePooling(7, name="avgpool")(maps["c5"])
    x = layers.Flatten()(layers.Permute((3, 1, 2))(x))  # channels first, as the published ones
    for name in ("classifier.0", "classifier.3"):
        x = layers.Dense(int(4096 * width), activation="relu", name=name)(x)
        x = layers.Dropout(0.5)(x)
    x = layers.Dense(classes or published.classes_of(path, HEAD), dtype="float32", name=HEAD)(x)
    model = Model(inputs, x, name=f"vgg{depth}{'_bn' if norm else ''}")
    if path:
        published.load(model, path)
    return model, maps


def features(x, depth, norm, width):
    x = published.standardized(x)
    maps, place = {}, 0  # torchvision counts convolutions, norms, ReLUs and poolings
    for stage, (count, filters) in enumerate(zip(DEPTHS[depth], FILTERS, strict=True), 1):
        for _ in range(count):
            x = layers.Conv2D(
                int(filters * width),
                3,
                padding="same",
                kernel_initializer="he_normal",
                name=f"features.{place}",
            )(x)
            x = normalization(x, name=f"features.{place + 1}") if norm else x
            x = layers.ReLU()(x)
            place += 3 if norm else 2
        x = maps[f"c{stage}"] = layers.MaxPooling2D(2)(x)
        place += 1
    return maps
