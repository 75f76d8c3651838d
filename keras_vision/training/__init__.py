"""Training as tensorpack phrased it, over `model.fit`: a TrainConfig, and `launch`."""

from keras_vision.pipeline import BatchData
from keras_vision.training.config import TrainConfig
from keras_vision.training.evaluation import Evaluator, InferenceRunner
from keras_vision.training.launch import launch
from keras_vision.training.writers import ModelSaver, PictureWriter

__all__ = [
    "BatchData",
    "Evaluator",
    "InferenceRunner",
    "ModelSaver",
    "PictureWriter",
    "TrainConfig",
    "launch",
]
