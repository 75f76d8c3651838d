"""ResNet: He, Zhang, Ren, Sun 2016, "Deep Residual Learning for Image Recognition" (table 1)."""

from pathlib import Path

from keras import Input, Model, layers

from keras_vision.classification import published
from keras_vision.classification.published import torchvision
from keras_vision.layers import convolution, normalization, pooling
from keras_vision.weights import find

# Blocks of the four stages, and whether they are bottlenecks (figure 5).
DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}
PUBLISHED = {
    18: {"imagenet": torchvision("resnet18-f37072fd")},
    34: {"imagenet": torchvision("resnet34-b627a593")},
    50: {
        "imagenet": torchvision("resnet50-0676ba61"),
        "imagenet_v2": torchvision("resnet50-11ad3fa6"),
    },
    101: {
        "imagenet": torchvision("resnet101-63fe2227"),
        "imagenet_v2": torchvision("resnet101-cd907fc2"),
    },
    152: {
        "imagenet": torchvision("resnet152-394f9c45"),
        "imagenet_v2": torchvision("resnet152-f82ba261"),
    },
}
SHIPPED = {"tiny_imagenet": Path(__file__).parent / "shipped" / "tiny_imagenet.weights.h5"}
FORMS = {"tiny_imagenet": {"depth": 18, "small": True, "width": 0.5}}
SIDES = {"tiny_imagenet": 64}  # of the pictures that they know
HEAD = "fc"


def build(depth=None, classes=None, weights=None, residual=True, small=None, width=None):
    """Maps photos (B, H, W, 3), sRGB in 0..255, to logits (B, classes).

    They may have any size; with weights="tiny_imagenet" they have 64x64 pixels.

    depth: 18, 34, 50, 101 or 152. With 1000 classes they have 11,689,512, 21,797,672,
        25,557,032, 44,549,160 and 60,192,808 trainable parameters.
    weights: None; "imagenet", of the paper's recipe, or from depth 50 on "imagenet_v2", of a
        better one, both torchvision's and fetched once into Keras' cache; "tiny_imagenet", which
        come with this package; or a path: `.keras`, `.weights.h5`, or a `.pth` as torchvision's.
    residual: False leaves out what makes it residual: the paper's plain networks, 18 and 34.
    small: the stem for pictures of 32 to 64 pixels, as the paper's for CIFAR: 3x3 and stride 1,
        and no pooling.
    width: scales the number of filters.

    None is what the weights have, or else depth 50, 1000 classes, the large stem and width 1.
    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found or cannot be fetched.
    """
    side = SIDES.get(weights)
    form = {"depth": depth, "small": small, "width": width}
    model, _ = network(form, side, classes, weights, residual)
    return model


def backbone(depth=None, weights=None, residual=True, small=None, width=None, stride=32):
    """Maps photos to {"c1": (B, H/2, W/2, 64), "c2": (B, H/4, W/4, .), ..., "c5": (B, H/32, ...)}.

    With the small stem c1 and c2 are as large as the photo, and c5 is H/8.

    stride: of c5, 16 or 8 where it shall be finer. The last stages then dilate their convolutions
        in place of strides, and see as much as before (Yu, Koltun, Funkhouser 2017, "Dilated
        Residual Networks"), as torchvision's segmenters. With the small stem it is a quarter.

    For the other arguments, and what it raises, see `build`.
    """
    form = {"depth": depth, "small": small, "width": width}
    model, maps = network(form, None, None, weights, residual, stride)
    return Model(model.input, maps, name=f"{model.name}_backbone")


def network(given, side, classes, weights, residual, stride=32):
    """The model of `build`, and the maps of `backbone` in it."""
    given = {name: value for name, value in given.items() if value is not None}
    form = {"depth": 50, "small": False, "width": 1, **FORMS.get(weights, {}), **given}
    published.check({**form, "classes": classes}, "depth", DEPTHS)
    published.check({"stride": stride}, "stride", (32, 16, 8))
    depth = form["depth"]
    path = weights and find(weights, SHIPPED, PUBLISHED[depth])
    if not residual and DEPTHS[depth][1]:
        raise ValueError(f"residual=False is for the depths 18 and 34, not {depth}")
    inputs = Input((side, side, 3), name="image")
    maps = features(inputs, residual=residual, stride=stride, **form)
    x = layers.GlobalAveragePooling2D(name="avgpool")(maps["c5"])
    x = layers.Dense(classes or published.classes_of(path, HEAD), dtype="float32", name=HEAD)(x)
    model = Model(inputs, x, name=f"resnet{depth}" if residual else f"plain{depth}")
    if path:
        published.load(model, path)
    return model, maps


def features(x, depth, small, width, residual, stride=32):
    filters = int(64 * width)
    x = published.standardized(x)
    first = (filters, 3, 1, 1) if small else (filters, 7, 2, 1)
    x = c1 = unit(x, first, "conv1", "bn1")
    x = x if small else pooling(x)
    shortcut = projected if residual else None
    return {"c1": c1, **stages(x, filters, depth, shortcut, stride=stride)}


def stages(x, filters, depth, shortcut, last_scale="ones", stride=32):
    """The four stages of table 1: (B, H, W, .) -> {"c2": (B, H, W, .), ..., "c5": (B, H/8, ...)}.

    shortcut: maps (x, filters, stride, name) to what is added to a block that changes the shape
        of x; None adds nothing in any block.
    last_scale: how the scale of each block's last BatchNorm begins.
    stride: of c5 where that of c2 is 4; beyond it stages dilate.
    """
    blocks, bottleneck = DEPTHS[depth]
    maps, reached, dilation = {}, 4, 1
    for stage, count in enumerate(blocks):
        step, before = 1, dilation
        if stage and reached < stride:
            step, reached = 2, 2 * reached
        elif stage:
            dilation *= 2
        for number in range(count):
            # As torchvision: the first block of a stage is still dilated as those before it.
            form = block_of(filters * 2**stage, step, before, bottleneck)
            step, before = 1, dilation
            x = block(x, form, shortcut, last_scale, f"layer{stage + 1}.{number}")
        maps[f"c{stage + 2}"] = x
    return maps


def block_of(filters, stride, dilation, bottleneck):
    """(filters, size, stride, dilation) of a block's convolutions, as in figure 5.

    A bottleneck has its stride on the 3x3, as torchvision, not on the first 1x1, as the paper.
    """
    if bottleneck:
        middle = (filters, 3, stride, dilation)
        return ((filters, 1, 1, 1), middle, (4 * filters, 1, 1, 1))
    return ((filters, 3, stride, 1 if stride > 1 else dilation), (filters, 3, 1, dilation))


def block(x, form, shortcut, last_scale, name):
    """Convolutions, to whose outcome is added what came in, before the last ReLU."""
    y = x
    for number, part in enumerate(form[:-1], 1):
        y = unit(y, part, f"{name}.conv{number}", f"{name}.bn{number}")
    y = linear(y, form[-1], f"{name}.conv{len(form)}", f"{name}.bn{len(form)}", last_scale)
    if shortcut:
        filters, stride = form[-1][0], max(stride for _, _, stride, _ in form)
        same = stride == 1 and x.shape[-1] == filters
        x = x if same else shortcut(x, filters, stride, f"{name}.downsample")
        y = layers.Add()([x, y])
    return layers.ReLU()(y)


def projected(x, filters, stride, name):
    """Option B of the paper: a 1x1 convolution where the shape changes."""
    return linear(x, (filters, 1, stride, 1), f"{name}.0", f"{name}.1")


def unit(x, form, name, norm):
    return layers.ReLU()(linear(x, form, name, norm))


def linear(x, form, name, norm, scale="ones"):
    """A convolution, of (filters, size, stride, dilation), and its BatchNorm."""
    x = convolution(x, *form, use_bias=False, kernel_initializer="he_normal", name=name)
    return normalization(x, gamma_initializer=scale, name=norm)
