"""Keras finds our layers, losses and the like in a saved model, whatever has been imported.

It looks for classes that have been registered, which ours are when their modules are imported.
But `import keras_vision` alone must not import Keras, nor `import keras` all of our rooms: until
a class has been imported, Keras knows another thing by its name, which imports it when it is used.
"""

import importlib
import sys
from contextlib import contextmanager

from keras_vision._on_import import around_import

MODULES = {
    "AdaptivePooling": "layers.adaptive",
    "AuC": "colorization.metrics",
    "BatchNormalization": "layers.normalization",
    "BilinearKernel": "segmentation.fcn",
    "BatchRecall": "metric_learning.metrics",
    "ChromaRatio": "colorization.metrics",
    "Confusion": "segmentation.metrics",
    "ContrastiveLoss": "metric_learning.losses",
    "CroppedLike": "layers.sizes",
    "CrossEntropy": "segmentation.losses",
    "Dice": "segmentation.losses",
    "DilatedConv2D": "layers.dilated",
    "EqualErrorRate": "metric_learning.metrics",
    "Focal": "segmentation.losses",
    "FocalLoss": "detection.losses",
    "GIoULoss": "detection.losses",
    "InfoNCE": "metric_learning.losses",
    "Invariance": "metric_learning.simsiam",
    "L2": "colorization.loss",
    "LocalResponseNormalization": "layers.response",
    "LovaszSoftmax": "segmentation.losses",
    "MarginLoss": "metric_learning.losses",
    "MaxPoolingWithIndices": "layers.unpooling",
    "MaxUnpooling": "layers.unpooling",
    "Muon": "optimizers",
    "NPairs": "metric_learning.losses",
    "NTXent": "metric_learning.losses",
    "PSNR": "colorization.metrics",
    "PaddedToMultiple": "layers.sizes",
    "PixelTriplets": "metric_learning.pixels",
    "Places": "metric_learning.pixels",
    "Predictive": "metric_learning.cpc",
    "RebalancedCrossEntropy": "colorization.loss",
    "Remembered": "colorization.remembered",
    "ResizedLike": "layers.sizes",
    "SeenAt": "layers.seen",
    "SmoothL1": "detection.losses",
    "TopDown": "detection.pyramid",
    "TripletLoss": "metric_learning.losses",
}


class Later:
    """Stands for a class of the package until an object of it is made."""

    def __init__(self, name):
        self.name = name

    def found(self):
        module = importlib.import_module(f"keras_vision.{MODULES[self.name]}")
        return getattr(module, self.name)

    def from_config(self, config):
        return self.found().from_config(config)


def register():
    known = sys.modules["keras"].saving.get_custom_objects()
    for name in MODULES:
        known.setdefault(f"keras_vision>{name}", Later(name))


def register_with_keras():
    """Now if Keras has been imported, otherwise when it will have been."""
    if "keras" in sys.modules:
        register()
    else:
        around_import("keras", registered_after)


@contextmanager
def registered_after():
    yield
    register()
