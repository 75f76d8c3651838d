"""Training as tensorpack phrased it, over `model.fit`: a TrainConfig, and `launch`."""

from keras_vision.pipeline import BatchData
from keras_vision.training.callbacks import InferenceRunner, ModelSaver, PictureWriter
from keras_vision.training.config import TrainConfig
from keras_vision.training.launch import launch

__all__ = [
    "BatchData",
    "InferenceRunner",
    "ModelSaver",
    "PictureWriter",
    "TrainConfig",
    "launch",
]
