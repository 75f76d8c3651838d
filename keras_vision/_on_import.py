"""What is to happen around the first import of a module, whoever imports it."""

import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec


def around_import(name, context):
    """Executes the module `name`, once it is imported, inside `context()`, a context manager."""
    sys.meta_path.insert(0, Around(name, context))


class Around(MetaPathFinder):
    """Stands first among those that find modules, until it is asked for its own."""

    def __init__(self, name, context):
        self.name, self.context = name, context

    def find_spec(self, name, path, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec:
            execute = spec.loader.exec_module

            def exec_module(module):
                with self.context():
                    execute(module)

            spec.loader.exec_module = exec_module
        return spec
