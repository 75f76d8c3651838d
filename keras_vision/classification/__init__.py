"""Classification: one module a network, and `classify`.

model = classification.resnet.build(depth=50, weights="imagenet")
table = classification.classify(model, "photo.jpg", names=imagenet.class_names, top=5)
"""

from keras_vision.classification import (
    alexnet,
    googlenet,
    lenet,
    mnist_convnet,
    mobilenet,
    resnet,
    transfer,
    vgg,
    xresnet,
)
from keras_vision.classification.classify import classify
from keras_vision.classification.mistakes import mistakes

__all__ = [
    "alexnet",
    "classify",
    "googlenet",
    "lenet",
    "mistakes",
    "mnist_convnet",
    "mobilenet",
    "resnet",
    "transfer",
    "vgg",
    "xresnet",
]
