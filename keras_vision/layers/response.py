"""The normalisation of the time before BatchNorm."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("keras_vision")
class LocalResponseNormalization(layers.Layer):
    """Divides (B, H, W, C) by (bias + alpha * s) ** beta, s being the sum of the squares of the
    same place in `size` neighbouring channels.

    Krizhevsky et al. 2012, section 3.3, with its constants. Caffe and PyTorch divide alpha by
    `size`.
    """

    pointwise = True  # for `arithmetic`: a cell sees no other place

    def __init__(self, size=5, bias=2.0, alpha=1e-4, beta=0.75, **settings):
        super().__init__(**settings)
        self.size, self.bias, self.alpha, self.beta = size, bias, alpha, beta

    def call(self, x):
        channels = x.shape[-1]
        squares = ops.pad(ops.square(x), [[0, 0]] * 3 + [[self.size // 2, (self.size - 1) // 2]])
        total = sum(squares[..., i : i + channels] for i in range(self.size))
        return x * ops.power(self.bias + self.alpha * total, -self.beta)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        constants = {name: getattr(self, name) for name in ("size", "bias", "alpha", "beta")}
        return {**super().get_config(), **constants}
