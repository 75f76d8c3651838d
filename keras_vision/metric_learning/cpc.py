"""Contrastive predictive coding: van den Oord, Li, Vinyals 2018, "Representation Learning with
Contrastive Predictive Coding" (section 3.2). What is seen of a picture from above down to some row
has to tell what comes rows below, among what comes anywhere in the batch.
"""

import keras
from keras import Input, Model, layers, ops

from keras_vision.classification import published

# Windows of convolutions: a cell sees 16x16 pixels, and the next one is 8 farther, half over it.
WINDOWS = ((4, 2), (3, 2), (3, 2))
GAP = 2  # rows to the first that is predicted: nearer ones share pixels with what was seen


def build(filters=64, dim=64, steps=3):
    """Maps photos (B, H, W, 3) in 0..255 to (B, G, G', 1 + steps, dim): what stands in each
    cell of the grid, and what is predicted to stand 2, 3 ... rows below it.

    G = (H - 8) // 8, so 7 for 64 pixels. ValueError for no step.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps}")
    patches = encoder(filters, dim)
    z = x = patches.output
    for _ in range(3):
        x = layers.Add()([x, above(layers.ReLU()(x), dim)])
    predicted = [layers.Conv2D(dim, 1, dtype="float32")(x) for _ in range(steps)]
    cells = ops.stack([z, *predicted], axis=3)
    return Model(patches.input, cells, name="cpc")


def encoder(filters=64, dim=64):
    """Maps photos (B, H, W, 3) to what is in patches of 16x16 pixels, every 8, (B, G, G', dim)."""
    inputs = Input((None, None, 3), name="image")
    x = published.standardized(inputs)
    for size, stride in WINDOWS:
        x = layers.Conv2D(filters, size, stride, use_bias=False)(x)
        x = layers.ReLU()(normalized(x))
        x = layers.ReLU()(normalized(layers.Conv2D(filters, 1, use_bias=False)(x)))
    x = layers.Conv2D(dim, 1, dtype="float32", name="embedding")(x)
    return Model(inputs, x, name="patches")


def above(x, filters):
    """A masked convolution: a cell sees itself, its row, and the row above, and none below."""
    x = layers.ZeroPadding2D(((1, 0), (1, 1)))(x)
    return normalized(layers.Conv2D(filters, (2, 3))(x))


def normalized(x):
    """Each place on its own. BatchNorm would tell a prediction, by the means of a batch, of what
    it is to foretell.
    """
    return layers.LayerNormalization()(x)


def info_nce(queries, keys):
    """-log(exp(q_i k_i) / sum_j exp(q_i k_j)) of each query (N, D) with its own key (N, D): (N,).

    log N minus its mean is at most the mutual information of the two (section 2.3), where the
    other keys are drawn without regard to the query.
    """
    logits = ops.matmul(queries, ops.transpose(keys))
    return ops.logsumexp(logits, axis=1) - ops.sum(queries * keys, axis=1)


@keras.saving.register_keras_serializable("keras_vision")
class Predictive(keras.losses.Loss):
    """`info_nce` of predictions (B, G, G', 1 + steps, D) with what stands there, and with all
    cells of the batch that could; the mean over steps. What is called y_true is not looked at.

    Raises ValueError where pictures are too low for the last step to find a row; of pictures whose
    size is not known before they come, the loss is NaN then.
    """

    def __init__(self, name="predictive", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, _, cells):
        z, dim = cells[:, :, :, 0], cells.shape[-1]
        steps, height = cells.shape[3] - 1, cells.shape[1]
        if height is not None and height < GAP + steps:
            raise ValueError(
                f"{steps} steps look {GAP + steps - 1} rows down, and the pictures have {height}: "
                f"use pictures of {8 * (GAP + steps + 1)} or more pixels, or fewer steps"
            )
        losses = []
        for step in range(1, steps + 1):
            rows = GAP + step - 1
            queries = ops.reshape(cells[:, :-rows, :, step], (-1, dim))
            keys = ops.reshape(z[:, rows:], (-1, dim))
            losses.append(ops.mean(info_nce(queries, keys)))
        return sum(losses) / len(losses)
