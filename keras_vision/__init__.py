"""Vision networks as plain Keras 3 models: `keras_vision.<task>.build(...)`.

A task is imported when it is first named, so that `import keras_vision` stays quick.
"""

from keras_vision._lazy import lazily
from keras_vision._saveable import register_with_keras

__version__ = "0.1.0"
__getattr__, __dir__ = lazily(__name__, __path__)
register_with_keras()
