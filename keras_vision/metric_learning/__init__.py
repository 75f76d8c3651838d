"""Metric learning: photos -> vectors whose distances mean something.

model = metric_learning.embedder.build(backbone)
model.compile("adam", metric_learning.TripletLoss(mining="semi_hard"))
vectors = metric_learning.embed(model, photos)
index = metric_learning.Index(vectors, names)
index.search(metric_learning.embed(model, "query.jpg"))
"""

from keras_vision.metric_learning import data, embedder, siamese
from keras_vision.metric_learning.embed import embed
from keras_vision.metric_learning.index import Index
from keras_vision.metric_learning.losses import (
    ContrastiveLoss,
    InfoNCE,
    MarginLoss,
    NPairs,
    NTXent,
    TripletLoss,
)

__all__ = [
    "ContrastiveLoss",
    "Index",
    "InfoNCE",
    "MarginLoss",
    "NPairs",
    "NTXent",
    "TripletLoss",
    "data",
    "embed",
    "embedder",
    "siamese",
]
