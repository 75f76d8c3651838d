"""How near the colours come: the measures of Zhang et al. 2016, section 3.1, as Keras metrics."""

import keras
import numpy as np
from keras import ops

from keras_vision.colorization import bins, grid

LIMIT = 150  # the curve's last ab error


def error_curve(errors):
    """ab distances, of any shape -> the share of them (151,) that is at most 0, 1, ... 150."""
    return (np.ravel(errors)[:, None] <= np.arange(LIMIT + 1)).mean(0)


def area(errors):
    """ab distances, of any shape -> the area under each one's own curve, in percent.

    The curve of a single pixel is a step from 0 to 1 at its distance, rounded up, and this its
    area by the trapezoid rule; the mean over pixels is the area under `error_curve`.
    """
    return 100 * ops.clip((LIMIT + 0.5 - ops.ceil(errors)) / LIMIT, 0, 1)


def in_pixels(ab, outputs, temperature):
    """True ab (B, H, W, 2), and the network's output (B, h, w, 313 or 2) as such ab: float32."""
    grid.check_shapes(ab, outputs, (len(bins.CENTERS), 2))
    ab = ops.cast(ab, "float32")
    return ab, grid.to_pixels(outputs, *ops.shape(ab)[1:3], temperature)


def weighted(values, sample_weight):
    """Values (B,) times the photos' weights, (B,) or (B, 1), where there are any."""
    if sample_weight is None:
        return values
    weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
    return values * ops.broadcast_to(weight, ops.shape(values))


@keras.saving.register_keras_serializable("keras_vision")
class AuC(keras.metrics.Mean):
    """Area under the curve of pixels within an ab error of 0 ... 150, in percent.

    `y_true` ab (B, H, W, 2), `y_pred` the network's output (B, h, w, 313 or 2).

    prior: frequencies of the bins (313,); pixels are then weighted by the rarity of their true
        colour, the "class-rebalanced" AuC. None weighs all pixels alike.
    temperature: of `bins.decode`, 0..1; the L2 twin's colours need none.
    Raises ValueError for what `bins.rarity` and `bins.decode` refuse, and for other shapes.
    """

    def __init__(self, prior=None, temperature=0.38, name="auc", **kwargs):
        super().__init__(name=name, **kwargs)
        bins.check_temperature(temperature)
        self.prior, self.temperature = prior, temperature
        self.rarity = None if prior is None else bins.rarity(prior)

    def update_state(self, ab, outputs, sample_weight=None):
        ab, predicted = in_pixels(ab, outputs, self.temperature)
        error = ops.sqrt(ops.sum((ab - predicted) ** 2, axis=-1))
        weight = self._weights(ab)
        share = ops.mean(weight, axis=(1, 2))  # a picture of many rare colours counts more
        areas = ops.mean(weight * area(error), axis=(1, 2)) / share
        super().update_state(areas, weighted(share, sample_weight))

    def _weights(self, ab):
        if self.rarity is None:
            return ops.ones_like(ab[..., 0])
        nearest, _ = bins.soft_encode(ab, neighbors=1)
        return ops.take(self.rarity, nearest[..., 0])

    def get_config(self):
        prior = None if self.prior is None else np.asarray(self.prior).tolist()
        return {**super().get_config(), "prior": prior, "temperature": self.temperature}


@keras.saving.register_keras_serializable("keras_vision")
class ChromaRatio(keras.metrics.Metric):
    """Mean chroma (the length of ab) of the answer over the truth's: 0 is grey, 1 as colourful.

    `y_true` ab (B, H, W, 2), `y_pred` the network's output (B, h, w, 313 or 2).

    temperature: of `bins.decode`, 0..1; the L2 twin's colours need none.
    """

    def __init__(self, temperature=0.38, name="chroma_ratio", **kwargs):
        super().__init__(name=name, **kwargs)
        bins.check_temperature(temperature)
        self.temperature = temperature
        self.true = self.add_variable((), "zeros", name="true")
        self.predicted = self.add_variable((), "zeros", name="predicted")

    def update_state(self, ab, outputs, sample_weight=None):
        ab, predicted = in_pixels(ab, outputs, self.temperature)
        for total, colours in ((self.true, ab), (self.predicted, predicted)):
            chroma = ops.mean(ops.sqrt(ops.sum(colours**2, axis=-1)), axis=(1, 2))  # (B,)
            total.assign_add(ops.sum(weighted(chroma, sample_weight)))

    def result(self):
        return self.predicted / ops.maximum(self.true, keras.config.epsilon())

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable("keras_vision")
class PSNR(keras.metrics.Mean):
    """Peak signal-to-noise ratio in dB of photos (B, H, W, 3) in 0..255, the mean over photos.

    It rewards caution: grey photos score above vividly coloured ones. Report it beside the AuC.
    """

    def __init__(self, name="psnr", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, true, predicted, sample_weight=None):
        true, predicted = ops.cast(true, "float32"), ops.cast(predicted, "float32")
        shapes = tuple(true.shape), tuple(predicted.shape)
        if len(shapes[0]) != 4 or not grid.agree(*shapes):
            raise ValueError(
                f"Expected photos (B, H, W, 3) twice, got {shapes[0]} and {shapes[1]}."
            )
        error = true - predicted
        mean_square = ops.mean(error**2, axis=(1, 2, 3))
        # A photo that is right in every pixel would score infinity, and so would the mean.
        decibels = 10 * ops.log10(255**2 / ops.maximum(mean_square, 1e-10))
        super().update_state(decibels, sample_weight)
