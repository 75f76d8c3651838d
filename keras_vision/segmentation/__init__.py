"""Segmentation: one module a network, `segment`, losses, and the confusion of classes.

model = segmentation.fcn.build(weights="coco_voc")
labels = segmentation.segment(model, "street.jpg")
"""

from keras_vision.segmentation import deconvnet, fcn, segnet, unet
from keras_vision.segmentation.evaluate import evaluate
from keras_vision.segmentation.segment import segment

__all__ = ["deconvnet", "evaluate", "fcn", "segment", "segnet", "unet"]
