"""MobileNet: Howard et al. 2017, "MobileNets" (table 1): depthwise separable convolutions."""

from keras import Input, Model, layers

from keras_vision.classification import published
from keras_vision.layers import normalization
from keras_vision.weights import find

# Filters and stride of the separable convolutions.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
PUBLISHED = {  # Keras publishes it without a sum; this one has been seen elsewhere
    "imagenet": (
        "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
        "mobilenet_1_0_224_tf.h5",
        "md5:03394917f9a9ea3362f46332a5b6a215",
    )
}
HEAD = "conv_preds"


def build(classes=None, weights=None, small=False, width=1.0):
    """Maps photos (B, H, W, 3), sRGB in 0..255 and of any size, to logits (B, classes).

    4,231,976 trainable parameters with 1000 classes.

    classes: by default those of the weights, or 1000.
    weights: None; "imagenet", Keras' own of width 1, fetched once into Keras' cache; or a path:
        `.keras`, `.weights.h5`, or an `.h5` of Keras'.
    small: a first convolution without a stride, for pictures of 32 to 64 pixels.
    width: scales the number of filters: the alpha of the paper.

    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found or cannot be fetched.
    """
    model, _ = network(classes, weights, small, width)
    return model


def backbone(weights=None, small=False, width=1.0):
    """Maps photos to {"c1": (B, H/2, W/2, 64), ..., "c5": (B, H/32, W/32, 1024)}.

    With the small stem they are twice as large. For the arguments, and what it raises, see
    `build`.
    """
    model, maps = network(None, weights, small, width)
    return Model(model.input, maps, name=f"{model.name}_backbone")


def network(classes, weights, small, width):
    """The model of `build`, and the maps of `backbone` in it."""
    published.check({"small": small, "width": width, "classes": classes}, "small", (True, False))
    path = weights and find(weights, {}, PUBLISHED)
    inputs = Input((None, None, 3), name="image")
    maps = features(inputs, small, width)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="avgpool")(maps["c5"])
    x = layers.Dropout(1e-3)(x)
    classes = classes or published.classes_of(path, HEAD)
    x = layers.Conv2D(classes, 1, dtype="float32", name=HEAD)(x)  # not Dense, as published
    model = Model(inputs, layers.Flatten(dtype="float32")(x), name="mobilenet")
    if path:
        published.load(model, path)
    return model, maps


def features(x, small, width):
    x = published.balanced(x)
    stride = 1 if small else 2
    x = layers.Conv2D(int(32 * width), 3, stride, padding="same", use_bias=False, name="conv1")(x)
    x = closed(x, "conv1")
    maps, stage = {}, 1
    for number, (filters, stride) in enumerate(BLOCKS, 1):
        stage += stride == 2
        x = maps[f"c{stage}"] = separable(x, int(filters * width), stride, number)
    return maps


def separable(x, filters, stride, number):
    """Figure 3: a 3x3 convolution of each channel by itself, then 1x1 across all of them."""
    if stride > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(
        3,
        stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        name=f"conv_dw_{number}",
    )(x)
    x = closed(x, f"conv_dw_{number}")
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"conv_pw_{number}")(x)
    return closed(x, f"conv_pw_{number}")


def closed(x, name):
    """BatchNorm, and the ReLU that ends at 6."""
    return layers.ReLU(6)(normalization(x, epsilon=1e-3, name=f"{name}_bn"))
