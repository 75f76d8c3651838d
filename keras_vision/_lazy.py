"""Modules that are imported when they are first named, so that `import keras_vision` is quick."""

import importlib
import pkgutil


def lazily(package, path):
    """The functions `__getattr__` and `__dir__` of a package whose modules lie in `path`."""
    names = (module.name for module in pkgutil.iter_modules(path))
    modules = sorted(name for name in names if not name.startswith("_"))

    def module(name):
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return module, lambda: modules
