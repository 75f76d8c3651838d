"""Detection: one module a network, `detect`, and COCO's measures.

model = detection.retinanet.build(weights="coco")
found = detection.detect(model, "street.jpg", score=0.5)
"""

from keras_vision.detection import retinanet
from keras_vision.detection.detect import detect
from keras_vision.detection.evaluate import evaluate

__all__ = ["detect", "evaluate", "retinanet"]
