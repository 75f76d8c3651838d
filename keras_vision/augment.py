"""Augmentation by Keras' own layers, without their memory: the seed alone says what they draw."""

import keras
import tensorflow as tf

from keras_vision.images import VOID

# Their boxes were seen up to ten pixels beside what they hold, in Keras 3.15.
MISPLACE_BOXES = (keras.layers.RandomCrop, keras.layers.RandAugment)


def by(*layers):
    """Keras' preprocessing layers -> a function for `BatchData`: its `augment`, or its `mix`.

    As `augment` it maps a raw dict, and what it has of these goes along with its `image`:
    `boxes` (N, 4) with their `labels` (N,), `label_map` (H, W), or `masks` (N, H, W) of
    instances. Boxes that have left the picture are dropped, with their labels and masks, and with
    what else is known of them, `crowd` and `area` (which stays as it was); layers need
    `bounding_box_format="xyxy"` for them. All else stays as it is, a single `box` too.

    As `mix` it maps a batch (images, y), where y is one-hot (B, classes), or label maps (B, H, W).
    What comes into a label map from beyond its edges, as layers with a constant fill have it, is
    void, 255.

    Each keeps its dtype, but for one-hot labels, which are float32. Raises ValueError for layers
    that do not transform images, for AugMix, which cannot be told what to draw, and for boxes in
    RandomCrop and RandAugment, where Keras misplaces them.
    """
    for layer in layers:
        if not hasattr(layer, "transform_images"):
            raise ValueError(
                "augment.by takes Keras' layers that transform images, such as "
                f"keras.layers.RandomFlip(); got a {type(layer).__name__}"
            )
        if isinstance(layer, keras.layers.AugMix):
            raise ValueError(
                "AugMix draws its chain once for all pictures of a pipeline, by Python's own "
                "random numbers, which no seed can repeat: use RandAugment."
            )

    def augmented(example, seed):
        given = GivenSeed(seed)
        data = for_keras(example)
        for layer in layers:
            if "bounding_boxes" in data and isinstance(layer, MISPLACE_BOXES):
                raise ValueError(
                    f"{type(layer).__name__} would misplace the boxes: use RandomFlip, "
                    "RandomTranslation, RandomZoom, RandomRotation or RandomShear."
                )
            for part in layer._flatten_layers():
                part._get_seed_generator = lambda backend=None: given
            data = layer(data, training=True)
        return restored(example, data)

    return augmented


class GivenSeed(keras.random.SeedGenerator):
    """Draws from the seed (2,) of one picture, where Keras' own goes on from the last picture."""

    def __init__(self, seed):
        self.seed, self.draws = seed, 0

    def next(self, ordered=True):
        self.draws += 1
        return tf.cast(tf.random.fold_in(self.seed, self.draws), "int32")


def for_keras(example):
    """A raw dict or a batch (images, y) -> what Keras' layers take."""
    if isinstance(example, dict):
        data = {"images": example["image"]}
        if "boxes" in example:
            data["bounding_boxes"] = {"boxes": example["boxes"], "labels": example["labels"]}
        if "label_map" in example:
            data["segmentation_masks"] = void_at_zero(example["label_map"])
        elif "masks" in example:
            data["segmentation_masks"] = tf.transpose(example["masks"], (1, 2, 0))
        return data
    images, y = example
    if len(y.shape) == 3:
        return {"images": images, "segmentation_masks": void_at_zero(y)}
    if len(y.shape) != 2:
        raise ValueError(
            "expected one-hot labels (B, classes) or label maps (B, H, W), got the shape "
            f"{y.shape}: let `example` return tf.one_hot(label, classes)"
        )
    return {"images": images, "labels": y}


def restored(example, data):
    """What Keras' layers made of `example`, in the form and the dtypes that it had."""
    masks = data.get("segmentation_masks")
    if not isinstance(example, dict):
        images, y = example
        y = data["labels"] if masks is None else void_again(masks, y)
        return like(data["images"], images), y
    found = {"image": like(data["images"], example["image"])}
    if "label_map" in example:
        found["label_map"] = void_again(masks, example["label_map"])
    elif "masks" in example:
        found["masks"] = like(tf.transpose(masks, (2, 0, 1)), example["masks"])
    if "boxes" in example:
        boxes, labels = (data["bounding_boxes"][name] for name in ("boxes", "labels"))
        inside = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1) & (labels >= 0)
        found |= {"boxes": boxes, "labels": like(labels, example["labels"])}
        found = {**example, **found}
        for name in {"boxes", "labels", "masks", "crowd", "area"} & found.keys():
            found[name] = tf.boolean_mask(found[name], inside)
    return {**example, **found}


def void_at_zero(label_maps):
    """Label maps (..., H, W) -> masks (..., H, W, 1): void is 0, with which layers fill, and a
    label l is -1 - l, so that no fill is one.
    """
    labels = tf.cast(label_maps, tf.int32)
    return tf.where(labels == VOID, 0, -1 - labels)[..., None]


def void_again(masks, label_maps):
    masks = tf.cast(tf.round(masks[..., 0]), tf.int32)
    return like(tf.where(masks >= 0, VOID, -1 - masks), label_maps)


def like(values, original):
    """Floats -> the dtype of `original`, whole numbers rounded and kept in its range."""
    dtype = tf.as_dtype(original.dtype)
    if dtype == tf.bool:
        return values > 0.5
    return tf.saturate_cast(values if dtype.is_floating else tf.round(values), dtype)
