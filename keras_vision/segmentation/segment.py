"""Photos in, label maps out."""

import numpy as np
from keras import ops
from PIL import Image

from keras_vision import images
from keras_vision.layers.seen import short_side
from keras_vision.tiles import Tiled
from keras_vision.verbs import answers, like

BATCH = 4
STRIP = 2**18  # pixels answered at a time, so that a photo of any size fits into memory


def segment(model, photos, short=None, probabilities=False):
    """Says of each pixel what it most probably shows.

    model: of this room, such as `fcn.build(weights="coco_voc")`; maps pictures (B, H, W, C) in
        0..255 to logits (B, H, W, classes). One of a single channel sees photos in grey.
    photos: a path, PIL image or array (H, W, 3), a batch (B, H, W, 3), or an iterable of photos
        of mixed kinds and sizes, which is read as it goes.
    short: the photo's short side as the model sees it, in pixels; by default what the model says,
        or else the photo's own.
    probabilities: of all classes, instead of the most probable one.

    Returns, in the photo's own size, int32 (H, W), or with probabilities float32 (H, W, classes):
    an array for one photo or a batch, a list for a list, and for a generator one that reads each
    photo when its turn comes.
    Raises ValueError where the model is no segmenter, or a photo none, with its name, or `short`
    is no whole number above 0.
    """
    check(model)
    short = short_side(model, short)
    decode = probabilities_of if probabilities else most_probable
    grey = model.input_shape[-1] == 1

    def prepare(rgb):
        own = rgb.shape[:2]
        seen = images.scaled(rgb, short)
        return luminance(seen) if grey else seen, own

    def finish(own, outputs):
        return outputs if short is None else in_strips(outputs, own, decode)

    # What is not resized is decoded piece by piece, before it takes too much memory.
    network = Tiled(model, np.asarray if short else decode)
    return like(photos, answers(network, photos, prepare, finish, BATCH, "segment"))


def check(model):
    """Raises ValueError unless the model is a segmenter of this room."""
    taken, made = shapes_of(model)
    if not is_of_pictures(taken) or not isinstance(made, tuple) or len(made) != 4:
        raise ValueError(
            "expected a segmenter, such as fcn.build(), that maps pictures (B, H, W, 3 or 1) of "
            f"any size to logits (B, H, W, classes); got {model.name}, from {taken} to {made}"
        )


def shapes_of(model):
    """Those of its inputs and outputs, None where it does not say."""
    return tuple(getattr(model, name, None) for name in ("input_shape", "output_shape"))


def is_of_pictures(shape):
    """Whether it is one of pictures (B, H, W, C) of any size, in colour or grey."""
    return shape in [(None, None, None, channels) for channels in (1, 3)]


def luminance(rgb):
    """uint8 (H, W, 3) -> (H, W, 1)."""
    return np.asarray(Image.fromarray(rgb).convert("L"))[..., None]


def most_probable(logits):
    return logits.argmax(-1).astype("int32")


def probabilities_of(logits):
    return ops.convert_to_numpy(ops.softmax(logits))


def in_strips(logits, size, decode):
    """Logits (h, w, C), resized to (H, W, C) as one strip of rows after the other is decoded."""
    (height, width), rows = size, max(1, STRIP // size[1])

    def strip(top):
        narrow = between(logits, np.arange(top, min(top + rows, height)), height)
        return decode(between(narrow.swapaxes(0, 1), np.arange(width), width).swapaxes(0, 1))

    return np.concatenate([strip(top) for top in range(0, height, rows)])


def between(maps, places, size):
    """Maps (h, ...) -> (N, ...), what there would be at N of `size` places, bilinear."""
    place = np.clip((places + 0.5) * len(maps) / size - 0.5, 0, len(maps) - 1)
    above = place.astype(int)
    below = np.minimum(above + 1, len(maps) - 1)
    share = (place - above).astype("float32").reshape(-1, *[1] * (maps.ndim - 1))
    return maps[above] * (1 - share) + maps[below] * share
