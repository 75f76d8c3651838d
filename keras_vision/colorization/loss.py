"""Losses of the colouriser: `y_true` is ab (B, H, W, 2), `y_pred` what the network gives.

The true colours are brought to the network's cells here, and become bins here, so that a
pipeline carries nothing but (L, ab).
"""

import keras
import numpy as np
from keras import ops

from keras_vision.colorization import bins, grid


@keras.saving.register_keras_serializable("keras_vision")
class RebalancedCrossEntropy(keras.losses.Loss):
    """The mean over pixels of rarity x cross-entropy (Zhang et al. 2016, eq. 2-4).

    `y_true` ab (B, H, W, 2), `y_pred` logits (B, h, w, 313). Every pixel's target is a
    distribution over its five nearest bins; its weight is the rarity of the nearest one.

    prior: frequencies of the bins (313,), from `bins.estimate_prior`. None stands for equal
        frequencies, which makes all weights 1: plain cross-entropy.
    mix: share of the uniform distribution that tempers the weights, in 0..1.
    Raises ValueError for what `bins.rarity` refuses, and for other shapes.
    """

    def __init__(self, prior=None, mix=0.5, name="rebalanced_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        count = len(bins.CENTERS)
        self.prior = np.full(count, 1 / count) if prior is None else np.asarray(prior, "float64")
        self.mix = mix
        self.rarity = bins.rarity(self.prior, mix)

    def call(self, ab, logits):
        grid.check_shapes(ab, logits, (len(bins.CENTERS),))
        logits = ops.cast(logits, "float32")
        indices, weights = bins.soft_encode(grid.to_cells(ab, logits))  # both (B, h, w, 5)
        crossentropy = ops.categorical_crossentropy(
            bins.distribution(indices, weights), logits, from_logits=True
        )  # (B, h, w)
        nearest = ops.take_along_axis(
            indices, ops.argmax(weights, axis=-1, keepdims=True), axis=-1
        )
        rarity = ops.take(self.rarity, nearest[..., 0])
        return ops.mean(rarity * crossentropy, axis=(1, 2))

    def get_config(self):
        return {**super().get_config(), "prior": self.prior.tolist(), "mix": self.mix}


@keras.saving.register_keras_serializable("keras_vision")
class L2(keras.losses.Loss):
    """Half the squared distance of colours, the mean over pixels (Zhang et al. 2016, eq. 1).

    `y_true` ab (B, H, W, 2), `y_pred` ab (B, h, w, 2). Where several colours are likely its
    best answer is their mean, which is greyish. Raises ValueError for other shapes.
    """

    def call(self, true_ab, predicted_ab):
        grid.check_shapes(true_ab, predicted_ab, (2,))
        error = grid.to_cells(true_ab, predicted_ab) - ops.cast(predicted_ab, "float32")
        return ops.mean(ops.sum(error**2, axis=-1), axis=(1, 2)) / 2
