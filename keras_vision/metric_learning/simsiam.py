"""Invariance without negatives. That two views shall be alike is easily met by a network that
says the same of all pictures. SimSiam (Chen, He 2021, "Exploring Simple Siamese Representation
Learning", algorithm 1) does not fall for it: one view is predicted from the other, which stands
still meanwhile.
"""

import keras
from keras import Model, layers, ops

from keras_vision.metric_learning.losses import EmbeddingLoss, mean, pairs, unit
from keras_vision.metric_learning.simclr import projection


def build(backbone, dim=128, predictor=True):
    """Maps photos (B, H, W, 3) in 0..255 to (B, 2, dim): a prediction, and what is predicted.

    backbone: a model of photos -> {..., "c5": maps}.
    predictor: False leaves out what predicts; then both are the same.
    """
    x = layers.GlobalAveragePooling2D(name="pooled")(backbone.output["c5"])
    z = projection(x, x.shape[-1], dim)
    p = projection(z, max(dim // 4, 1), dim, "predictor") if predictor else z
    pair = [layers.Reshape((1, dim), dtype="float32")(vectors) for vectors in (p, z)]
    both = layers.Concatenate(axis=1, dtype="float32")(pair)
    return Model(backbone.input, both, name="simsiam")


@keras.saving.register_keras_serializable("keras_vision")
class Invariance(EmbeddingLoss):
    """-cos(p_i, z_j), the mean over all pairs with the same id; called (ids (B,), (B, 2, D)).

    stop_gradient: whether what is predicted stands still, as in the paper. Otherwise nothing keeps
        all embeddings from becoming equal.
    """

    rank = 3

    def __init__(self, stop_gradient=True, **kwargs):
        super().__init__(**kwargs)
        self.stop_gradient = stop_gradient

    def call(self, ids, embeddings):
        p, z = unit(embeddings[:, 0]), unit(embeddings[:, 1])
        z = ops.stop_gradient(z) if self.stop_gradient else z
        positive, _ = pairs(ids)
        return mean(-ops.matmul(p, ops.transpose(z)), positive)

    def get_config(self):
        return {**super().get_config(), "stop_gradient": self.stop_gradient}
