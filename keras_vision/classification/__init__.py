"""Classification: one module a network, and `classify`.

model = classification.mnist_convnet.build(weights="mnist")
table = classification.classify(model, "seven.png")
"""

from keras_vision.classification import mnist_convnet
from keras_vision.classification.classify import classify
from keras_vision.classification.mistakes import mistakes

__all__ = ["classify", "mistakes", "mnist_convnet"]
