"""Keras learns of our layers, losses and the like, so that it finds them in a saved model.

It looks for classes that have been registered, which ours are when their modules are imported.
But `import keras_vision` alone must not import Keras. So they are imported right after it.
"""

import importlib
import sys
from contextlib import contextmanager

from keras_vision._on_import import around_import

MODULES = (
    "colorization.dilated",
    "colorization.loss",
    "colorization.metrics",
    "colorization.remembered",
    "detection.losses",
    "detection.pyramid",
    "layers.adaptive",
    "layers.normalization",
    "layers.response",
    "optimizers",
)


def register():
    for module in MODULES:
        importlib.import_module(f"keras_vision.{module}")


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
