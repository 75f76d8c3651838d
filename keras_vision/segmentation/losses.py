"""Losses of label maps: `y_true` (B, H, W) whole numbers; `y_pred` logits (B, H, W, C).

Pixels that are void, 255, or of another number that is no class, cost nothing. Losses of pixels
give a value for each, (B, H, W), so that their mean is over all pixels, the void ones counted;
those of areas give one for each picture, (B,). Weights, `sample_weight`, are of the same shape.
Raise ValueError for labels of another shape than the logits', and class weights of other classes.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_vision")
class CrossEntropy(keras.losses.Loss):
    """-w_c log(p_c) of a pixel whose class is c.

    class_weights: w (C,), such as `data.median_frequency` counts them; None counts all as 1.
    """

    def __init__(self, class_weights=None, name="cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]

    def call(self, labels, logits):
        labels = label_maps(labels, logits)
        return weighted(-log_probability(labels, logits), labels, logits, self.class_weights)

    def get_config(self):
        return {**super().get_config(), "class_weights": self.class_weights}


@keras.saving.register_keras_serializable("keras_vision")
class Focal(keras.losses.Loss):
    """-w_c (1 - p_c)^gamma log(p_c): pixels that are easy count less (Lin et al. 2017, eq. 4)."""

    def __init__(self, gamma=2.0, class_weights=None, name="focal", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gamma = gamma
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]

    def call(self, labels, logits):
        labels = label_maps(labels, logits)
        log_p = log_probability(labels, logits)
        # 1 - p by expm1, which is exact where p is near 1; a floor keeps the gradient finite.
        missing = ops.maximum(-ops.expm1(log_p), 1e-7)
        return weighted(-(missing**self.gamma) * log_p, labels, logits, self.class_weights)

    def get_config(self):
        constants = {"gamma": self.gamma, "class_weights": self.class_weights}
        return {**super().get_config(), **constants}


@keras.saving.register_keras_serializable("keras_vision")
class Dice(keras.losses.Loss):
    """1 - 2 sum(p t) / (sum(p) + sum(t)) over a picture's pixels, the mean over its classes.

    p are probabilities and t is 1 for a pixel's class (Milletari et al. 2016, with sums in place
    of those of squares). Classes that the picture does not show are left out.
    """

    def __init__(self, name="dice", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, labels, logits):
        p, t = shares(label_maps(labels, logits), logits)
        # Row by row, for a single sum of float32 stops to grow at 16.7 million pixels.
        shared, both = (ops.sum(ops.sum(x, axis=2), axis=1) for x in (p * t, p + t))  # (B, C)
        present = ops.cast(ops.any(t > 0, axis=(1, 2)), "float32")
        loss = 1 - 2 * shared / ops.maximum(both, 1e-7)
        return ops.sum(present * loss, axis=-1) / ops.maximum(ops.sum(present, axis=-1), 1)


@keras.saving.register_keras_serializable("keras_vision")
class LovaszSoftmax(keras.losses.Loss):
    """The Jaccard loss, 1 - IoU, of probabilities, the mean over classes.

    Berman, Triki, Blaschko 2018, "The Lovasz-Softmax loss", eq. 8 and 9: errors |t - p| of a class
    are sorted, and each is weighed by what the loss grows when its pixel is wrong, too. On
    probabilities of 0 and 1 it is 1 - mIoU.

    classes: "present", those that are there, or "all"; a class that is not there then costs the
        greatest error.
    per_image: a value for each picture, (B,); otherwise one for the batch as a whole, which all
        replicas then have to see, as `launch` makes them, and which has no weights of examples:
        ValueError.
    """

    def __init__(self, classes="present", per_image=False, name="lovasz_softmax", **kwargs):
        super().__init__(name=name, **kwargs)
        if classes not in ("present", "all"):
            raise ValueError(f'classes must be "present" or "all", not {classes!r}')
        self.classes, self.per_image = classes, per_image

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None and not self.per_image:
            raise ValueError("LovaszSoftmax takes sample_weight with per_image=True only")
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, labels, logits):
        labels = label_maps(labels, logits)
        p, t = shares(labels, logits)
        pictures = ops.shape(logits)[0] if self.per_image else 1
        valid = ops.cast(labels < logits.shape[-1], "float32")
        valid = ops.reshape(valid, (pictures, 1, -1))
        p, t = (
            ops.transpose(ops.reshape(x, (pictures, -1, logits.shape[-1])), (0, 2, 1))
            for x in (p, t)
        )  # (pictures, C, pixels)
        # Void pixels have no error, and come last.
        errors = ops.abs(t - p)
        order = ops.argsort(ops.stop_gradient(1 - valid - errors * valid), axis=-1)
        errors, t, valid = (
            ops.take_along_axis(ops.broadcast_to(x, ops.shape(errors)), order, axis=-1)
            for x in (errors, t, valid)
        )
        losses = ops.sum(errors * ops.stop_gradient(steps(t, valid)), axis=-1)
        counted = ops.ones_like(losses)
        if self.classes == "present":
            counted = ops.cast(ops.any(t > 0, axis=-1), "float32")
        loss = ops.sum(counted * losses, axis=-1) / ops.maximum(ops.sum(counted, axis=-1), 1)
        return loss if self.per_image else loss[0]

    def get_config(self):
        settings = {"classes": self.classes, "per_image": self.per_image}
        return {**super().get_config(), **settings}


def steps(t, valid):
    """What the Jaccard loss grows with each error more, of t (..., pixels) as they are sorted:
    algorithm 1 of the paper.
    """
    # As whole numbers: sums of float32 stop to grow at 16.7 million pixels.
    t, others = (ops.cast(x, "int32") for x in (t, (1 - t) * valid))
    total = ops.sum(t, axis=-1, keepdims=True)
    still_shared = ops.cast(total - ops.cumsum(t, axis=-1), "float32")
    union = ops.cast(total + ops.cumsum(others, axis=-1), "float32")
    jaccard = 1 - still_shared / ops.maximum(union, 1)
    before = ops.concatenate([ops.zeros_like(jaccard[..., :1]), jaccard[..., :-1]], axis=-1)
    return jaccard - before


def label_maps(labels, logits):
    """Labels (B, H, W), or (B, H, W, 1), as int32 (B, H, W) in 0..C, where C is void."""
    taken, expected = tuple(labels.shape), tuple(logits.shape[:-1])
    if len(taken) == len(expected) + 1 and taken[-1] == 1:
        labels, taken = labels[..., 0], taken[:-1]
    if len(taken) != len(expected) or any(
        None not in sides and sides[0] != sides[1] for sides in zip(taken, expected, strict=True)
    ):
        shape = tuple(logits.shape)
        raise ValueError(f"expected labels {expected} of logits {shape}, got the shape {taken}")
    labels, classes = ops.cast(labels, "int32"), logits.shape[-1]
    return ops.where((labels >= 0) & (labels < classes), labels, classes)


def log_probability(labels, logits):
    """Of the class of each pixel, (B, H, W); 0 where void."""
    is_class = ops.one_hot(labels, logits.shape[-1], dtype="float32")
    return ops.sum(ops.log_softmax(ops.cast(logits, "float32")) * is_class, axis=-1)


def weighted(losses, labels, logits, class_weights):
    """Losses (B, H, W) by the weights of their classes, if there are any."""
    if class_weights is None:
        return losses
    if len(class_weights) != logits.shape[-1]:
        raise ValueError(
            f"expected weights of {logits.shape[-1]} classes, got {len(class_weights)}"
        )
    return losses * ops.take(ops.convert_to_tensor([*class_weights, 0.0], "float32"), labels)


def shares(labels, logits):
    """Probabilities p and truth t, (B, H, W, C), both 0 where void."""
    valid = ops.cast(labels < logits.shape[-1], "float32")[..., None]
    p = ops.softmax(ops.cast(logits, "float32")) * valid
    return p, ops.one_hot(labels, logits.shape[-1], dtype="float32")
