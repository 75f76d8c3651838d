"""Photos in, unit vectors out."""

from collections.abc import Iterator

import numpy as np

from keras_vision import images
from keras_vision.layers.seen import short_side
from keras_vision.verbs import answers, like

BATCH = 32


def embed(model, photos, short=None):
    """The vectors of photos: how near they are says how alike the photos are.

    model: of this room, such as `embedder.build(backbone)`; maps pictures (B, H, W, 3) in 0..255
        to vectors (B, D).
    photos: a path, PIL image or array (H, W, 3), a batch (B, H, W, 3), or an iterable of photos
        of mixed kinds and sizes, which is read as it goes.
    short: the photo's short side as the model sees it, in pixels; by default what the model says,
        or else the photo's own.

    Returns float32 (D,) for one photo, (N, D) for several, and for a generator one that reads each
    photo when its turn comes.
    Raises ValueError where the model is no embedder, `short` no whole number above 0, or a photo
    none, with its name.
    """
    check(model)
    short = short_side(model, short)
    vectors = answers(
        *(model, photos, lambda rgb: (images.scaled(rgb, short), None)),
        lambda _, vector: np.asarray(vector, "float32"),
        *(BATCH, "embed"),
    )
    if not images.holds_several(photos) or isinstance(photos, Iterator):
        return like(photos, vectors)
    return np.array(list(vectors), "float32").reshape(-1, model.output_shape[-1])


def check(model):
    """Raises ValueError unless the model makes vectors of photos."""
    taken, made = model.input_shape, model.output_shape
    if not isinstance(made, tuple) or len(made) != 2 or taken[1:] != (None, None, 3):
        raise ValueError(
            "expected an embedder, such as embedder.build(backbone), that maps photos "
            f"(B, H, W, 3) of any size to vectors (B, D); got {model.name}, from {taken} to {made}"
        )
