"""Feature pyramid: maps of all strides, each of which knows what the coarser ones have seen."""

import keras
from keras import layers, ops

from keras_vision.layers import convolution

NAMES = ("c3", "c4", "c5")  # of the maps that it is made from
# Without a ReLU behind them, so that what comes out varies as much as what goes in.
FROM = {"kernel_initializer": "lecun_uniform"}


def pyramid(maps, filters=256):
    """{"c3": ..., "c4": ..., "c5": ...} -> the maps P3 to P7, a list, all with `filters` channels.

    Raises ValueError where a map is missing.

    Lin et al. 2017, "Feature Pyramid Networks", figure 3; P6 and P7 as in "Focal Loss for Dense
    Object Detection", footnote 2, but from P5, as torchvision has it.
    """
    if not isinstance(maps, dict) or not set(NAMES) <= maps.keys():
        came = ", ".join(maps) if isinstance(maps, dict) else type(maps).__name__
        raise ValueError(f"expected a backbone with the maps {', '.join(NAMES)}, got {came}")
    lateral = [
        layers.Conv2D(filters, 1, name=f"fpn.inner_blocks.{number}.0", **FROM)(maps[name])
        for number, name in enumerate(NAMES)
    ]
    merged = [lateral[-1]]
    for finer in reversed(lateral[:-1]):
        merged.insert(0, TopDown()([merged[0], finer]))
    found = [
        convolution(x, filters, name=f"fpn.layer_blocks.{number}.0", **FROM)
        for number, x in enumerate(merged)
    ]
    p6 = convolution(found[-1], filters, 3, 2, name="fpn.extra_blocks.p6", **FROM)
    p7 = convolution(layers.ReLU()(p6), filters, 3, 2, name="fpn.extra_blocks.p7", **FROM)
    return [*found, p6, p7]


@keras.saving.register_keras_serializable("keras_vision")
class TopDown(layers.Layer):
    """Adds a coarse map, doubled to its nearest neighbours, to one of twice its size.

    [(B, ceil(H / 2), ceil(W / 2), C), (B, H, W, C)] -> (B, H, W, C)
    """

    def call(self, inputs):
        coarse, fine = inputs
        _, height, width, _ = ops.shape(fine)
        doubled = ops.repeat(ops.repeat(coarse, 2, axis=1), 2, axis=2)
        return fine + doubled[:, :height, :width]

    def compute_output_shape(self, shapes):
        return shapes[1]
