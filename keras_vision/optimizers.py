"""Optimisers that Keras has for less than we need."""

import math
import re

import keras
from keras import ops


def warmup_cosine(rate, steps):
    """A learning rate that rises to `rate` in a tenth of the steps, at most 300, then falls.

    It starts at a twentieth and ends at zero, along a cosine (Loshchilov & Hutter 2017).
    """
    warmup = min(300, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        rate / 20, steps - warmup, warmup_target=rate, warmup_steps=warmup
    )


@keras.saving.register_keras_serializable("keras_vision")
class Muon(keras.optimizers.Muon):
    """Keras' Muon (Jordan et al. 2024), for the kernels of convolutions, too.

    It steps where the gradient points, but with all its singular values made one. A kernel
    (h, w, in, out) counts as the matrix (h w in, out). Biases, scales, and what `exclude_layers`
    names, which should be the first and the last layer, are left to AdamW. A step is scaled (Liu
    et al. 2025) to be as long as AdamW's is at the same learning rate.
    """

    def _should_use_adamw(self, variable):
        if len(variable.shape) != 4:
            return super()._should_use_adamw(variable)
        return any(re.search(name, variable.path) for name in self.exclude_layers)

    def zeropower_via_newtonschulz5(self, x, steps):
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        matrix = matrix / (ops.norm(matrix) + 1e-7)
        # As coarse as the network's own products: the iteration corrects itself.
        matrix = ops.cast(matrix, keras.config.dtype_policy().compute_dtype)
        return ops.reshape(
            ops.cast(super().zeropower_via_newtonschulz5(matrix, steps), x.dtype), x.shape
        )

    def lr_adjust(self, x):
        rows = math.prod(x.shape[:-1])
        return x * math.sqrt(max(rows, x.shape[-1])) * self.rms_rate
