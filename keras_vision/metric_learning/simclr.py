"""SimCLR: Chen, Kornblith, Norouzi, Hinton 2020, "A Simple Framework for Contrastive Learning of
Visual Representations" (algorithm 1). Two views of a picture shall be near, all others far.

backbone = resnet.backbone(18, small=True)
model = simclr.build(backbone)
model.compile("adamw", NTXent(0.5))                     # batches of `views.two`
vectors = embed(embedder.build(backbone, dim=None), photos)  # the head is thrown away
"""

from keras import Model, layers

from keras_vision.layers import normalization


def build(backbone, dim=128, hidden=None):
    """Maps photos (B, H, W, 3) in 0..255 to unit vectors (B, dim), to train the backbone by.

    backbone: a model of photos -> {..., "c5": maps}; what it learns is in its means of c5.
    hidden: numbers between the two layers of the head; by default as many as the means.
    """
    x = layers.GlobalAveragePooling2D(name="pooled")(backbone.output["c5"])
    x = projection(x, hidden or x.shape[-1], dim)
    return Model(backbone.input, layers.UnitNormalization(dtype="float32")(x), name="simclr")


def projection(x, hidden, dim, name="projection"):
    """A head of two layers (section 4.2): (B, C) -> (B, dim)."""
    x = layers.Dense(hidden, use_bias=False, name=f"{name}.0")(x)
    x = layers.ReLU()(normalization(x, name=f"{name}.1"))
    return layers.Dense(dim, dtype="float32", name=f"{name}.2")(x)
