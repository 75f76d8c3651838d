"""Losses of label maps: `y_true` (B, H, W) whole numbers, 255 void; `y_pred` logits (B, H, W, C).

What is void costs nothing. Losses of pixels give a value for each, (B, H, W), so that their mean
is over all pixels, the void ones counted; those of areas give one for each picture, (B,).
"""

import keras
from keras import ops

VOID = 255


@keras.saving.register_keras_serializable("keras_vision")
class CrossEntropy(keras.losses.Loss):
    """-w_c log(p_c) of a pixel whose class is c.

    class_weights: w (C,), such as `data.median_frequency` counts them; None counts all as 1.
    """

    def __init__(self, class_weights=None, name="cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]

    def call(self, labels, logits):
        return weighted(-log_probability(labels, logits), labels, self.class_weights)

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
        log_p = log_probability(labels, logits)
        # 1 - p by expm1, which is exact where p is near 1; a floor keeps the gradient finite.
        missing = ops.maximum(-ops.expm1(log_p), 1e-7)
        return weighted(-(missing**self.gamma) * log_p, labels, self.class_weights)

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
        p, t = shares(labels, logits)
        shared, both = (ops.sum(x, axis=(1, 2)) for x in (p * t, p + t))  # (B, C)
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
        replicas then have to see.
    """

    def __init__(self, classes="present", per_image=False, name="lovasz_softmax", **kwargs):
        super().__init__(name=name, **kwargs)
        if classes not in ("present", "all"):
            raise ValueError(f'classes must be "present" or "all", not {classes!r}')
        self.classes, self.per_image = classes, per_image

    def call(self, labels, logits):
        p, t = shares(labels, logits)
        pictures = ops.shape(logits)[0] if self.per_image else 1
        valid = ops.reshape(ops.cast(labels != VOID, "float32"), (pictures, 1, -1))
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
    total = ops.sum(t, axis=-1, keepdims=True)
    still_shared = total - ops.cumsum(t, axis=-1)
    union = total + ops.cumsum((1 - t) * valid, axis=-1)
    jaccard = 1 - still_shared / ops.maximum(union, 1)
    before = ops.concatenate([ops.zeros_like(jaccard[..., :1]), jaccard[..., :-1]], axis=-1)
    return jaccard - before


def log_probability(labels, logits):
    """Of the class of each pixel, (B, H, W); of void ones, any."""
    log_p = ops.log_softmax(ops.cast(logits, "float32"))
    known = ops.where(labels == VOID, ops.zeros_like(labels), labels)
    is_class = ops.one_hot(ops.cast(known, "int32"), logits.shape[-1], dtype="float32")
    return ops.sum(log_p * is_class, axis=-1)


def weighted(losses, labels, class_weights):
    """Losses (B, H, W) by the weights of their classes; 0 where void."""
    if class_weights is not None:
        # One place more, for all that is void.
        table = ops.convert_to_tensor([*class_weights, 0.0], "float32")
        place = ops.minimum(ops.cast(labels, "int32"), len(class_weights))
        return losses * ops.take(table, place)
    return ops.where(labels == VOID, ops.zeros_like(losses), losses)


def shares(labels, logits):
    """Probabilities p and truth t, (B, H, W, C), both 0 where void."""
    valid = ops.cast(labels != VOID, "float32")[..., None]
    p = ops.softmax(ops.cast(logits, "float32")) * valid
    t = ops.one_hot(ops.cast(labels, "int32"), logits.shape[-1], dtype="float32")
    return p, t * valid
