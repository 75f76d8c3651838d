"""FCN: Long, Shelhamer, Darrell 2015, "Fully Convolutional Networks for Semantic Segmentation"."""

from functools import partial

import keras
import numpy as np
from keras import Input, Model, layers

from keras_vision import torch_weights
from keras_vision import weights as files
from keras_vision.classification import published, resnet, vgg
from keras_vision.layers import (
    CroppedLike,
    PaddedToMultiple,
    ResizedLike,
    SeenAt,
    convolution,
    normalization,
)

PUBLISHED = {"coco_voc": published.torchvision("fcn_resnet50_coco-1167a1af")}

SHORT = {"coco_voc": 520}  # pixels of the photos' short side that they know
FULLY = 4096  # filters of what was fully connected in VGG
VOC = 21  # classes of Pascal VOC, the background counted in
HEAD = "classifier.4"
PROBE = 256  # pixels a side of a picture by which a backbone's strides are found


def build(classes=None, weights=None, backbone=None, skips=None, side_head=False, short=None):
    """Maps photos (B, H, W, 3), sRGB in 0..255 and of any size, to logits (B, H, W, classes).

    classes: by default those of the weights, or VOC's 21.
    weights: None; "coco_voc", torchvision's, of COCO's photos with the classes of
        `datasets.voc.class_names`, fetched once into Keras' cache; or a path: `.keras`,
        `.weights.h5`, or a `.pth` as torchvision's.
    skips: None is the network of torchvision: a ResNet-50 that dilates, so that c5 has a stride
        of 8, one 3x3 convolution, and bilinear interpolation; 35,322,218 parameters with the side
        head and 21 classes. 0, 1 and 2 are the paper's FCN-32s, 16s and 8s (figure 3), on VGG-16:
        what c5 says is doubled and added to what c4 says, and c3; see `upsampled`.
    backbone: a model of photos -> {..., "c3": ..., "c4": ..., "c5": ...} in place of those, such
        as `classification.resnet.backbone(18)`. With skips it has torchvision's head on c5 in
        place of VGG's, which was fully connected.
    side_head: whether there is a second answer, from c4, which helped to train torchvision's. Then
        the outputs are {"logits", "aux"}; its loss was weighed 0.5 there.
    short: the short side, in pixels, of photos as `segment` shows them to it; by default what
        "coco_voc" knows, or else the photos' own.

    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found or cannot be fetched.
    """
    published.check({"skips": skips, "classes": classes}, "skips", (None, 0, 1, 2))
    if side_head and skips is not None:
        raise ValueError(f"side_head goes with skips=None, torchvision's network, not {skips}")
    path = weights and files.find(weights, {}, PUBLISHED)
    classes = classes or published.classes_of(path, HEAD, VOC)
    inputs = Input((None, None, 3), name="image")
    x = SeenAt(short or SHORT.get(weights))(inputs)
    if skips is None:
        maps = (backbone or resnet.backbone(50, stride=8))(x)
        heads = {"logits": ("classifier", "c5")}
        heads |= {"aux": ("aux_classifier", "c4")} if side_head else {}
        outputs = {
            name: ResizedLike(name=name)([head(maps[at], classes, prefix), inputs])
            for name, (prefix, at) in heads.items()
        }
        outputs = outputs if side_head else outputs["logits"]
    else:
        answer = (
            partial(head, classes=classes, name="classifier")
            if backbone
            else partial(fully, classes=classes)
        )
        outputs = upsampled(x, backbone or vgg.backbone(16), answer, skips)
    model = Model(inputs, outputs, name="fcn")
    if path:
        ignore = "$" if side_head else "aux_classifier"
        files.load(model, path, {".pth": lambda *given: load_torch(*given, ignore)})
    return model


def head(x, classes, name):
    """torchvision's: a convolution to a quarter of the channels, and one to the classes."""
    channels = x.shape[-1] // 4
    x = convolution(
        *(x, channels), use_bias=False, kernel_initializer="he_normal", name=f"{name}.0"
    )
    x = layers.ReLU()(normalization(x, name=f"{name}.1"))
    x = layers.Dropout(0.1)(x)
    return layers.Conv2D(classes, 1, dtype="float32", name=f"{name}.4")(x)


def fully(x, classes):
    """VGG's: what was fully connected, as convolutions."""
    for name, size in (("fc6", 7), ("fc7", 1)):
        x = convolution(
            x, FULLY, size, activation="relu", kernel_initializer="he_normal", name=name
        )
        x = layers.Dropout(0.5)(x)
    return layers.Conv2D(classes, 1, name="score")(x)


def upsampled(x, backbone, answer, skips):
    """FCN-32s, 16s or 8s: logits (B, H, W, classes) of photos.

    Upsampling begins as bilinear interpolation; the last one stays that.
    """
    strides = strides_of(backbone)
    photos = PaddedToMultiple(strides["c5"])(x)  # for the paper's 100 pixels around
    maps = backbone(photos)
    y, stride = answer(maps["c5"]), strides["c5"]
    for name in ("c4", "c3")[:skips]:
        y = interpolated(y, stride // strides[name], name=f"up_{name}")
        # At first what is coarse speaks alone (section 4.2).
        finer = layers.Conv2D(y.shape[-1], 1, kernel_initializer="zeros", name=f"score_{name}")(
            maps[name]
        )
        y, stride = layers.Add()([y, finer]), strides[name]
    y = interpolated(y, stride, name="up", trainable=False, dtype="float32")
    return CroppedLike(dtype="float32", name="logits")([y, x])


def strides_of(backbone):
    """{"c3": 8, ...}: pixels from a place of each of a backbone's maps to the next."""
    shapes = backbone.compute_output_shape((1, PROBE, PROBE, 3))
    return {name: PROBE // shape[1] for name, shape in shapes.items()}


def interpolated(x, factor, **settings):
    """Maps (B, h, w, C) -> (B, factor h, factor w, C), bilinear until it learns better."""
    if factor == 1:
        return x
    return layers.Conv2DTranspose(
        *(x.shape[-1], 2 * factor, factor, "same"),
        use_bias=False,
        kernel_initializer=BilinearKernel(),
        **settings,
    )(x)


@keras.saving.register_keras_serializable("keras_vision")
class BilinearKernel(keras.initializers.Initializer):
    """Kernels (2 f, 2 f, C, C) of a transposed convolution of stride f, channel by channel."""

    def __call__(self, shape, dtype=None):
        size = shape[0]
        slope = 1 - np.abs((np.arange(size) + 0.5) / (size / 2) - 1)
        kernel = np.outer(slope, slope)[..., None, None] * np.eye(shape[2])
        return keras.ops.convert_to_tensor(kernel, dtype)


def load_torch(model, path, ignore):
    torch_weights.load(model, path, ignore, prepare=without_prefix)


def without_prefix(state):
    return {name.removeprefix("backbone."): array for name, array in state.items()}
