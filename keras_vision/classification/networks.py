"""The networks by the names they go by in a shell."""

from functools import partial
from pathlib import Path

from keras_vision.classification import (
    alexnet,
    googlenet,
    lenet,
    mnist_convnet,
    mobilenet,
    resnet,
    vgg,
    xresnet,
)
from keras_vision.weights import saved_model

NETWORKS = {
    "lenet": lenet.build,
    "mnist_convnet": mnist_convnet.build,
    "alexnet": alexnet.build,
    "alexnet_2012": partial(alexnet.build, 2012),
    **{f"vgg{depth}": partial(vgg.build, depth) for depth in vgg.DEPTHS},
    **{f"vgg{depth}_bn": partial(vgg.build, depth, norm=True) for depth in vgg.DEPTHS},
    "googlenet": googlenet.build,
    "googlenet_2014": partial(googlenet.build, norm=False),
    **{f"resnet{depth}": partial(resnet.build, depth) for depth in resnet.DEPTHS},
    **{f"plain{depth}": partial(resnet.build, depth, residual=False) for depth in (18, 34)},
    **{f"xresnet{depth}": partial(xresnet.build, depth) for depth in resnet.DEPTHS},
    "mobilenet": mobilenet.build,
}


def build(name, **settings):
    """The network of this name, or of a `.keras` file that has this name.

    Raises ValueError, which lists all names, where there is none.
    """
    if Path(name).suffix == ".keras" and not settings.get("weights"):
        return saved_model(name)
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}, expected one of {', '.join(NETWORKS)}")
    return NETWORKS[name](**settings)
