"""Losses of a detector: a value for each anchor, summed over its classes or its four numbers.

What anchors count, and by what the sum over them is divided, is in the sample weights that
`targets.assign` makes.
"""

import keras
from keras import ops

from keras_vision import boxes

UNIT = (0.0, 0.0, 1.0, 1.0)


@keras.saving.register_keras_serializable("keras_vision")
class FocalLoss(keras.losses.Loss):
    """-alpha_t (1 - p_t)^gamma log(p_t), summed over classes (Lin et al. 2017, eq. 5).

    `y_true` (B, A) whole numbers, class 0..C-1 of each anchor or -1 for background; `y_pred`
    logits (B, A, C), each class against the rest. The more certain and right an answer, the less
    it counts, so that a hundred thousand easy anchors do not drown a few hard ones.

    gamma: how much less; at 0 it is the balanced cross-entropy.
    alpha: how much the class of an object counts, against 1 - alpha of a class that it is not;
        None counts both as 1.
    """

    def __init__(self, alpha=0.25, gamma=2.0, name="focal_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.alpha, self.gamma = alpha, gamma

    def call(self, classes, logits):
        logits = ops.cast(logits, "float32")
        is_class = ops.one_hot(ops.cast(classes, "int32"), logits.shape[-1], dtype="float32")
        # By the logit of the right answer all is said: p_t is its sigmoid.
        right = ops.where(is_class > 0, logits, -logits)
        loss = ops.softplus(-right)
        if self.gamma:
            loss = loss * ops.exp(-self.gamma * ops.softplus(right))
        if self.alpha is not None:
            loss = loss * ops.where(is_class > 0, self.alpha, 1 - self.alpha)
        return ops.sum(loss, axis=-1)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


@keras.saving.register_keras_serializable("keras_vision")
class SmoothL1(keras.losses.Loss):
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, summed over (dx, dy, dw, dh).

    `y_true` and `y_pred` (B, A, 4) as `boxes.encode` has them (Girshick 2015, eq. 3). The smaller
    beta, the nearer it comes to L1.
    """

    def __init__(self, beta=1 / 9, name="smooth_l1", **kwargs):
        super().__init__(name=name, **kwargs)
        self.beta = beta

    def call(self, target, deltas):
        distance = ops.abs(ops.cast(target, "float32") - ops.cast(deltas, "float32"))
        near = ops.square(distance) / (2 * self.beta)
        return ops.sum(ops.where(distance < self.beta, near, distance - self.beta / 2), axis=-1)

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}


@keras.saving.register_keras_serializable("keras_vision")
class GIoULoss(keras.losses.Loss):
    """1 - GIoU of the boxes that `y_true` and `y_pred` (B, A, 4) stand for (`boxes.giou`).

    Which anchor they are seen from makes no difference: stretching both boxes changes no share.
    """

    def __init__(self, name="giou_loss", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, target, deltas):
        anchor = ops.convert_to_tensor(UNIT, "float32")
        target, deltas = (ops.cast(x, "float32") for x in (target, deltas))
        return 1 - boxes.giou(boxes.decode(target, anchor), boxes.decode(deltas, anchor))
