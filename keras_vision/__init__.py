"""Vision networks as plain Keras 3 models: `keras_vision.<task>.build(...)`.

A task is imported when it is first named, so that `import keras_vision` stays quick.
"""

import importlib

__version__ = "0.1.0"
_ROOMS = (
    "classification",
    "colorization",
    "datasets",
    "images",
    "pipeline",
    "plots",
    "training",
)


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *_ROOMS]
