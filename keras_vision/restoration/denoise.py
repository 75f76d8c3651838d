"""Noisy photos in, clean photos out."""

import numpy as np

from keras_vision.segmentation.segment import is_of_pictures, luminance, shapes_of
from keras_vision.tiles import Tiled
from keras_vision.verbs import answers, like

BATCH = 4


def denoise(model, photos):
    """Takes the noise from photos; how strong it is need not be told.

    model: of this room, such as `denoiser.build(weights="photos")`; maps pictures (B, H, W, C) in
        0..255 to pictures of the same shape. One of a single channel makes grey photos, and grey
        photos stay grey.
    photos: a path, PIL image or array (H, W, 3), a batch (B, H, W, 3), or an iterable of photos
        of mixed kinds and sizes, which is read as it goes.

    Returns uint8 sRGB of the photos' own sizes: an array for one photo or a batch, a list for a
    list, and for a generator one that reads each photo when its turn comes.
    Raises ValueError where the model makes no pictures, or a photo is none, with its name.
    """
    check(model)
    grey = model.input_shape[-1] == 1

    def prepare(rgb):
        return luminance(rgb) if grey else rgb, bool((rgb == rgb[..., :1]).all())

    def finish(was_grey, clean):
        if was_grey and not grey:
            clean = np.rint(clean.mean(-1, keepdims=True)).astype("uint8")
        return np.broadcast_to(clean, (*clean.shape[:2], 3)).copy()

    return like(
        photos, answers(Tiled(model, whole_numbers), photos, prepare, finish, BATCH, "denoise")
    )


def check(model):
    """Raises ValueError unless the model maps pictures to pictures."""
    taken, made = shapes_of(model)
    if taken != made or not is_of_pictures(taken):
        raise ValueError(
            "expected a denoiser, such as denoiser.build(), that maps pictures (B, H, W, 3 or 1) "
            f"of any size to pictures; got {model.name}, from {taken} to {made}"
        )


def whole_numbers(pictures):
    return np.clip(np.rint(pictures), 0, 255).astype("uint8")
