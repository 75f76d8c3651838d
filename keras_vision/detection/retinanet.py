"""RetinaNet: Lin, Goyal, Girshick, He, Dollar 2017, "Focal Loss for Dense Object Detection"."""

import math
import re
from functools import partial
from pathlib import Path

from keras import Input, Model, initializers, layers

from keras_vision import torch_weights
from keras_vision import weights as files
from keras_vision.classification import published, resnet
from keras_vision.detection import anchors
from keras_vision.detection.pyramid import pyramid
from keras_vision.layers import convolution

PUBLISHED = {"coco": published.torchvision("retinanet_resnet50_fpn_coco-eeacb38b")}
SHIPPED = {"shapes": Path(__file__).parent / "shipped" / "shapes.weights.h5"}
FORMS = {"shapes": {"depth": 18, "width": 1 / 4, "filters": 64, "size": (256, 256)}}
CLASSES = "head.classification_head.cls_logits"  # the layer that tells them apart
COCO, IDS = 80, 91  # COCO's classes, and the outputs where its ids 1 to 90 stand for them
CONVOLUTIONS = 4  # of a head, before the one that answers
EPSILON = 1e-5  # of BatchNorm


def build(backbone=None, classes=None, weights=None, filters=None, size=None, prior=0.01):
    """Maps photos (B, H, W, 3), sRGB in 0..255, to what it says of each of A anchors:
    {"classes": logits (B, A, classes), "boxes": (B, A, 4) as `boxes.encode` has them}.

    backbone: a model of photos -> {"c3": ..., "c4": ..., "c5": ...}, such as
        `classification.resnet.backbone(18)`.
    classes: with 91, ResNet-50 makes 34,014,999 parameters besides those of its BatchNorm.
    weights: None; "coco", torchvision's, fetched once into Keras' cache; "shapes", of
        `datasets.shapes`, which come with this package; or a path: `.keras`, `.weights.h5`, or a
        `.pth` as torchvision's. The ids 1 to 90 of COCO's categories that a `.pth` speaks of
        become labels 0 to 79, unless 91 classes are asked for.
    filters: of the pyramid and the heads.
    size: (H, W) if photos of that size only shall come in; `detect` then sees them so.
    prior: what the probability of each class is at first (section 4.1), so that the loss of all
        the background does not drown the rest.

    None is what the weights have, or else ResNet-50, COCO's 80 classes, 256 filters, any size.
    BatchNorm that comes from a `.pth` is frozen: batches of detectors are too small for it.
    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found or cannot be fetched.
    """
    path = weights and files.find(weights, SHIPPED, PUBLISHED)
    form = {"depth": 50, "width": 1, "filters": 256, "size": None, **FORMS.get(weights, {})}
    filters, size = filters or form["filters"], size or form["size"]
    backbone = backbone or resnet.backbone(form["depth"], width=form["width"])
    inputs = Input((*(size or (None, None)), 3), name="image")
    maps = pyramid(backbone(inputs), filters)
    classes = classes or classes_of(path)
    heads = {
        "classes": head("classification_head", "cls_logits", filters, classes, prior),
        "boxes": head("regression_head", "bbox_reg", filters, 4),
    }
    outputs = {
        name: layers.Concatenate(axis=1, dtype="float32", name=name)([of(x) for x in maps])
        for name, of in heads.items()
    }
    model = Model(inputs, outputs, name="retinanet")
    if path:
        files.load(model, path, {".pth": partial(load_torch, classes=classes)})
    return model


def head(name, last, filters, outputs, prior=0.5):
    """Maps a map (B, h, w, filters) of any level to (B, h w 9, outputs): figure 3 c or d.

    prior: what the sigmoid of an output is at first.
    """
    small = initializers.RandomNormal(stddev=0.01)
    x = inputs = Input((None, None, filters))
    for number in range(CONVOLUTIONS):
        x = convolution(
            *(x, filters),
            activation="relu",
            kernel_initializer=small,
            name=f"head.{name}.conv.{number}.0",
        )
    x = convolution(
        *(x, anchors.PER_PLACE * outputs),
        kernel_initializer=small,
        bias_initializer=initializers.Constant(math.log(prior / (1 - prior))),
        name=f"head.{name}.{last}",
    )
    return Model(inputs, layers.Reshape((-1, outputs))(x), name=name)


def classes_of(path):
    """The number of classes that a file tells apart; COCO's 80 where there is none."""
    if path is None:
        return COCO
    classes = published.classes_of(path, CLASSES, COCO * anchors.PER_PLACE) // anchors.PER_PLACE
    return COCO if path.suffix == ".pth" and classes == IDS else classes


def load_torch(model, path, classes):
    torch_weights.load(model, path, prepare=partial(prepared, classes=classes))
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def prepared(state, classes):
    """Torchvision's arrays as this network has them, under the names of its layers."""
    from keras_vision.datasets.coco import (
        category_ids,  # which needs TensorFlow, a network does not
    )

    state = {named(name): array for name, array in state.items()}
    for name, array in state.items():
        if name.endswith("running_var"):  # trained with epsilon 0, where ours is 1e-5
            state[name] = array - EPSILON
        by_id = name.startswith(CLASSES) and len(array) == IDS * anchors.PER_PLACE
        if by_id and classes == COCO:
            array = array.reshape(anchors.PER_PLACE, IDS, *array.shape[1:])
            array = array[:, list(category_ids)]
            state[name] = array.reshape(-1, *array.shape[2:])
    return state


def named(name):
    """The name of today for an array, as files from before torchvision 0.13 have others."""
    name = name.removeprefix("backbone.").removeprefix("body.")
    name = re.sub(r"(_blocks\.\d)\.(\w+)$", r"\1.0.\2", name)
    return re.sub(r"conv\.(\d)\.(\w+)$", lambda m: f"conv.{int(m[1]) // 2}.0.{m[2]}", name)
