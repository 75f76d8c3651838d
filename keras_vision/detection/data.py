"""Photos of objects as a detector learns from them.

A raw dict has an "image" uint8 (H, W, 3), its "boxes" float32 (N, 4) with "labels" int32 (N,),
and perhaps "crowd" bool (N,).
"""

import tensorflow as tf

from keras_vision import boxes as box
from keras_vision import resizing
from keras_vision.classification.published import MEAN
from keras_vision.detection import anchors, targets

PADDING = [float(round(255 * mean)) for mean in MEAN]
VISIBLE = 0.25  # share of a box below which its object is cut off


def example(raw, size, classes):
    """A raw dict -> (image uint8 (*size, 3), y, weight), the latter two as `targets.assign`.

    size: (height, width). The photo keeps its aspect: it is resized so that it
        just fits, and padded with the mean colour on the right or below.
    classes: how many there are. Raises InvalidArgumentError for other labels, and for boxes that
        are no numbers or have no area.
    """
    raw = fitted(checked(raw, classes), size)
    crowd = raw.get("crowd", tf.zeros_like(raw["labels"], tf.bool))
    objects = raw["boxes"], raw["labels"], crowd
    return raw["image"], *targets.assign(anchors.grid(*size), *objects, raw["extent"])


def checked(raw, classes):
    boxes, labels = raw["boxes"], raw["labels"]
    wrong = (labels < 0) | (labels >= classes)
    tf.debugging.Assert(~tf.reduce_any(wrong), [f"labels are not in 0..{classes - 1}:", labels])
    flat = ~(tf.reduce_all(tf.math.is_finite(boxes), -1) & (box.area(boxes) > 0))
    tf.debugging.Assert(~tf.reduce_any(flat), ["boxes without an area:", boxes])
    return raw


def fitted(raw, size):
    """The raw dict with its photo on a canvas, and its "extent" there, (height, width)."""
    if "extent" in raw:
        return raw
    if raw["image"].shape[:2] == tuple(size):
        return {**raw, "extent": tf.constant(size)}
    height, width = tf.unstack(tf.cast(tf.shape(raw["image"])[:2], tf.float32))
    return on_canvas(raw, size, tf.minimum(size[0] / height, size[1] / width))


def jitter(raw, seed, size, scales=(0.5, 2.0)):
    """Resizes the photo to a random share of what would fit, and cuts out what is too much.

    Objects of which less than a quarter is left go. What mirrors the photo comes before it, for
    the padding must stay on the right and below.
    """
    draw = tf.random.stateless_uniform((3,), seed)
    height, width = tf.unstack(tf.cast(tf.shape(raw["image"])[:2], tf.float32))
    share = scales[0] * (scales[1] / scales[0]) ** draw[0]
    scale = share * tf.minimum(size[0] / height, size[1] / width)
    return on_canvas(raw, size, scale, draw[1:])


def on_canvas(raw, size, scale, place=(0.0, 0.0)):
    """The raw dict with a resized photo in the corner of a canvas.

    place: which part of a photo that is larger than the canvas is seen, 0..1 down and right.
    """
    shape = tf.shape(raw["image"])[:2]
    resized = tf.maximum(tf.cast(tf.cast(shape, tf.float32) * scale, tf.int32), 1)
    extent = tf.minimum(resized, size)
    first = tf.cast(tf.cast(resized - extent + 1, tf.float32) * place, tf.int32)
    first = tf.minimum(first, resized - extent)

    def on(padding, part):  # (h, w, C)
        beyond = [[0, size[0] - extent[0]], [0, size[1] - extent[1]], [0, 0]]
        return tf.pad(part - padding, beyond) + padding

    image = on(PADDING, resizing.bilinear(raw["image"], extent, resized, first))
    image = tf.ensure_shape(tf.saturate_cast(tf.round(image), tf.uint8), (*size, 3))
    raw = {**raw, "image": image, "extent": extent}
    if "masks" in raw:
        masks = tf.cast(tf.transpose(raw["masks"], (1, 2, 0)), tf.uint8)
        masks = on(tf.constant(0, tf.uint8), resizing.nearest(masks, extent, resized, first))
        raw["masks"] = tf.transpose(masks, (2, 0, 1)) > 0
    stretch = tf.cast(resized / shape, tf.float32)
    corner = tf.cast(first, tf.float32)
    whole = raw["boxes"] * tf.tile(stretch[::-1], [2]) - tf.tile(corner[::-1], [2])
    boxes = box.clip(whole, extent[0], extent[1])
    kept = box.area(boxes) > VISIBLE * box.area(whole)
    return {**raw, "boxes": boxes, **without(raw | {"boxes": boxes}, kept)}


def without(raw, kept):
    """What the raw dict knows of each object, of those that are `kept` (N,) only."""
    names = {"boxes", "labels", "crowd", "area", "masks"} & raw.keys()
    return {name: tf.boolean_mask(raw[name], kept) for name in names}


def boxed(raw, size, classes, most=100):
    """A raw dict -> (image uint8 (*size, 3), boxes (most, 5)) for `mosaic`: the fifth number of a
    box is its label, or -1 where there is no object. Crowds, and objects beyond `most`, go.
    """
    raw = fitted(checked(raw, classes), size)
    crowd = raw.get("crowd", tf.zeros_like(raw["labels"], tf.bool))
    labels = tf.cast(raw["labels"], tf.float32)[:, None]
    objects = tf.boolean_mask(tf.concat([raw["boxes"], labels], axis=1), ~crowd)[:most]
    beyond = [[0, most - tf.shape(objects)[0]], [0, 0]]
    objects = tf.pad(objects, beyond, constant_values=-1)
    return raw["image"], tf.ensure_shape(objects, (most, 5))


def mosaic(size):
    """A `mix` for batches of `boxed`: each photo meets three others at a random corner, and of all
    four a part of the photo's size is learned from (Bochkovskiy et al. 2020, "YOLOv4").

    By keras-cv: pip install "keras_vision[keras-cv]". It draws from TensorFlow's own state, not
    from the batch's seed: a resumed run sees others.
    """
    try:
        from keras_cv.layers import Mosaic
    except ImportError as error:
        fix = 'pip install "keras_vision[keras-cv]"'
        raise ImportError(f"Mosaic needs keras-cv: {fix} ({error})") from error
    layer, grid = Mosaic(bounding_box_format="xyxy"), anchors.grid(*size)

    def assigned(objects):
        is_object = (objects[:, 4] >= 0) & (box.area(objects[:, :4]) > 0)
        objects = tf.boolean_mask(objects, is_object)
        boxes, labels = objects[:, :4], tf.cast(objects[:, 4], tf.int32)
        return targets.assign(grid, boxes, labels, tf.zeros_like(labels, tf.bool), size)

    def mixed(batch, seed):
        del seed
        images, objects = batch
        boxes = {"boxes": objects[..., :4], "classes": objects[..., 4]}
        found = layer({"images": images, "bounding_boxes": boxes}, training=True)
        boxes, labels = (found["bounding_boxes"][name] for name in ("boxes", "classes"))
        objects = tf.concat([boxes, labels[..., None]], axis=-1)
        kind = (
            {"classes": tf.int32, "boxes": tf.float32},
            dict.fromkeys(("classes", "boxes"), tf.float32),
        )
        y, weight = tf.map_fn(assigned, objects, fn_output_signature=kind)
        return tf.saturate_cast(tf.round(found["images"]), tf.uint8), y, weight

    return mixed
