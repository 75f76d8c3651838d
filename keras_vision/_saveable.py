"""Keras learns of our layers, losses and metrics, so that it finds them when it loads a model.

It looks for classes that have been registered, which ours are when their modules are imported.
But `import keras_vision` alone must not import Keras. So they are imported right after it.
"""

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec

MODULES = ("colorization.dilated", "colorization.loss", "colorization.metrics")


def register():
    for module in MODULES:
        importlib.import_module(f"keras_vision.{module}")


def register_with_keras():
    """Now if Keras has been imported, otherwise when it will have been."""
    if "keras" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, AfterKeras())


class AfterKeras(MetaPathFinder):
    """Stands first among those that find modules, until it is asked for Keras."""

    def find_spec(self, name, path, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                register()

            spec.loader.exec_module = exec_module
        return spec
