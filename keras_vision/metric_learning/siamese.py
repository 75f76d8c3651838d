"""Siamese networks: do two photos show the same? Yes or no.

Bromley et al. 1993; Koch, Zemel, Salakhutdinov 2015, "Siamese Neural Networks for One-shot Image
Recognition", section 3.1. The two photos go through one network, with one set of weights.
"""

import numpy as np
from keras import Input, Model, layers, ops

from keras_vision import images
from keras_vision.layers.seen import short_side


def build(embedder):
    """Maps two photos, each (B, H, W, 3) in 0..255, to logits (B,): above 0 for the same.

    embedder: a model of photos -> vectors (B, D), such as `embedder.build(backbone)`. How far they
        are apart, dimension by dimension, is what a single layer decides by.
    """
    photos = [Input(embedder.input_shape[1:], name=name) for name in ("first", "second")]
    first, second = (embedder(photo) for photo in photos)
    apart = ops.abs(first - second)
    logit = layers.Reshape((), dtype="float32")(
        layers.Dense(1, dtype="float32", name="same")(apart)
    )
    return Model(photos, logit, name="siamese")


def verify(model, first, second):
    """The probability, 0..1, that two photos show the same.

    model: of this module's `build`. first, second: a path, PIL image or array (H, W, 3) each.
    Raises ValueError where the model is none, or a photo is none, with its name.
    """
    embedders = [layer for layer in model.layers if isinstance(layer, Model)]
    if len(model.inputs) != 2 or len(embedders) != 1 or model.output_shape != (None,):
        raise ValueError(f"expected a network of two photos, siamese.build(); got {model.name}")
    short = short_side(embedders[0])
    pair = [images.scaled(images.read(photo), short)[None] for photo in (first, second)]
    logit = np.asarray(model.predict_on_batch(pair), "float64")
    return float(np.exp(-np.logaddexp(0, -logit[0])))
