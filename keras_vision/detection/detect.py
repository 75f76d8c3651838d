"""Photos in, objects out."""

from collections.abc import Iterator

import numpy as np
from keras import ops
from PIL import Image

from keras_vision import images
from keras_vision.classification.published import MEAN
from keras_vision.detection import decode
from keras_vision.verbs import answers

BATCH = 4
# Padding of the mean colour, which the standardised photo sees as zero.
PADDING = 255 * np.array(MEAN, "float32")
MULTIPLE = 32  # pixels of a canvas: few sizes for many photos, and all maps but two are whole


def detect(model, photos, score=0.5, short=800, long=1333, most=300):
    """Finds the objects in photos.

    model: of this room, such as `retinanet.build(weights="coco")`.
    photos: a path, PIL image or array (H, W, 3), a batch (B, H, W, 3), or an iterable of photos
        of mixed kinds and sizes, which is read as it goes.
    score: what is more probable is told.
    short, long: the photo's short side as the model sees it, in pixels, unless its long side
        would exceed `long`. A model of one size sees what fits into that.
    most: objects of a photo, at most.

    Returns for each photo a dict, best first: `boxes` float32 (N, 4), corners in pixels of the
    photo, `labels` int32 (N,), and `scores` float32 (N,), 0..1. It is a dict for one photo, a
    generator for a generator, else a list.
    Raises ValueError where the model is no detector, or a photo none, with its name.
    """
    check(model)
    fixed = model.input_shape[1:3]

    def prepare(rgb):
        own = rgb.shape[:2]
        seen, canvas = of_any_size(own, short, long) if None in fixed else within(own, fixed)
        return on_canvas(resized(rgb, seen), canvas), (own, seen, canvas)

    def finish(sizes, outputs):
        own, seen, canvas = sizes
        boxes, scores, labels = decode.detections(outputs, canvas, seen, score, most)
        stretch = np.array([own[1] / seen[1], own[0] / seen[0]] * 2, "float32")
        return {"boxes": boxes * stretch, "labels": labels, "scores": scores}

    found = answers(model, photos, prepare, finish, BATCH, "detect")
    if not images.holds_several(photos):
        return next(found)
    return found if isinstance(photos, Iterator) else list(found)


def check(model):
    """Raises ValueError unless the model is a detector of this room."""
    outputs = model.output
    if not isinstance(outputs, dict) or set(outputs) != {"boxes", "classes"}:
        raise ValueError(
            f"expected a detector, such as retinanet.build(), whose outputs are a dict of boxes "
            f"and classes; got {model.name}, whose output is {model.output_shape}"
        )


def of_any_size(own, short, long):
    """The sizes (height, width) of a photo as the model sees it, and of its canvas, as torchvision
    has them; `own` is the photo's.
    """
    seen = scaled(own, min(short / min(own), long / max(own)))
    return seen, tuple(-(-side // MULTIPLE) * MULTIPLE for side in seen)


def within(own, canvas):
    """The same for a canvas that is given: the photo just fits."""
    return scaled(own, min(canvas[0] / own[0], canvas[1] / own[1])), canvas


def scaled(size, scale):
    # Rounded down, in float32, where 800 / 333 * 333 is 800.
    return tuple(max(int(np.float32(side) * np.float32(scale)), 1) for side in size)


def resized(rgb, size):
    """uint8 (H, W, 3) -> float32 (*size, 3), bilinear as in torchvision.

    What shrinks to less than half is averaged first, for else most of its pixels went unseen.
    """
    height, width = size
    factor = int(min(rgb.shape[0] / height, rgb.shape[1] / width))
    if factor > 1:
        rgb = np.asarray(Image.fromarray(rgb).reduce(factor))
    image = ops.image.resize(rgb.astype("float32"), (height, width), "bilinear")
    return ops.convert_to_numpy(image)


def on_canvas(image, size):
    """The photo in the upper left corner of (*size, 3)."""
    canvas = np.broadcast_to(PADDING, (*size, 3)).copy()
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas
