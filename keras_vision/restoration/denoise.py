"""Noisy photos in, clean photos out."""

import numpy as np

from keras_vision.segmentation.segment import luminance
from keras_vision.tiles import Tiled
from keras_vision.verbs import answers, like

BATCH = 4


def denoise(model, photos):
    """Takes the noise from photos; how strong it is need not be told.

    model: of this room, such as `denoiser.build(weights="photos")`; maps pictures (B, H, W, C) in
        0..255 to pictures of the same shape. One of a single channel makes grey photos.
    photos: a path, PIL image or array (H, W, 3), a batch (B, H, W, 3), or an iterable of photos
        of mixed kinds and sizes, which is read as it goes.

    Returns uint8 sRGB of the photos' own sizes: an array for one photo or a batch, a list for a
    list, and for a generator one that reads each photo when its turn comes.
    Raises ValueError where the model makes no pictures, or a photo is none, with its name.
    """
    check(model)
    grey = model.input_shape[-1] == 1

    def prepare(rgb):
        return luminance(rgb) if grey else rgb, None

    def finish(_, clean):
        return np.repeat(clean, 3, axis=-1) if grey else clean

    return like(
        photos, answers(Tiled(model, whole_numbers), photos, prepare, finish, BATCH, "denoise")
    )


def check(model):
    """Raises ValueError unless the model maps pictures to pictures."""
    taken, made = model.input_shape, model.output_shape
    if taken != made or taken[1:-1] != (None, None):
        raise ValueError(
            "expected a denoiser, such as denoiser.build(), that maps pictures (B, H, W, C) of "
            f"any size to pictures; got {model.name}, from {taken} to {made}"
        )


def whole_numbers(pictures):
    return np.clip(np.rint(pictures), 0, 255).astype("uint8")
