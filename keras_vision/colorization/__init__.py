"""Colourisation after Zhang, Isola, Efros 2016, "Colorful Image Colorization".

model = colorization.build(weights="tiny_imagenet")
rgb = colorization.colorize(model, "grandmother.png")
"""

from keras_vision.colorization.color import grey
from keras_vision.colorization.colorize import colorize, comparison
from keras_vision.colorization.loss import L2, RebalancedCrossEntropy
from keras_vision.colorization.metrics import PSNR, AuC, ChromaRatio
from keras_vision.colorization.model import build

__all__ = [
    "L2",
    "PSNR",
    "AuC",
    "ChromaRatio",
    "RebalancedCrossEntropy",
    "build",
    "colorize",
    "comparison",
    "grey",
]
