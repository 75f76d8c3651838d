"""A dilated convolution that goes straight to TensorFlow's kernel, where that can be trained."""

from functools import lru_cache

import keras
from keras import layers


@keras.saving.register_keras_serializable("keras_vision")
class DilatedConv2D(layers.Conv2D):
    """`keras.layers.Conv2D` with the same weights and results, and quicker on a CPU.

    Under TensorFlow, Keras cuts the maps into interleaved ones and joins them again around every
    dilated convolution, which makes a training step of the colouriser up to 1.26 times as long.
    Only padding="same" without strides is quicker; the rest is left to Keras.
    """

    def convolution_op(self, inputs, kernel):
        plain = self.padding == "same" and self.strides == (1, 1)
        plain = plain and self.data_format == "channels_last"
        if not (keras.backend.backend() == "tensorflow" and plain and trains(self.compute_dtype)):
            return super().convolution_op(inputs, kernel)
        return convolution(inputs, kernel, self.dilation_rate)


def convolution(maps, kernel, dilation):
    """Maps (B, H, W, C) and a kernel (h, w, C, F) of TensorFlow's -> (B, H, W, F).

    Forwards the padding is written out, for ONNX Runtime has no "SAME" for dilated kernels.
    Backwards it is not, for oneDNN has no other there.
    """
    import tensorflow as tf

    total = [rate * (size - 1) for rate, size in zip(dilation, kernel.shape[:2], strict=True)]
    padding = [[0, 0], *([pixels // 2, pixels - pixels // 2] for pixels in total), [0, 0]]

    @tf.custom_gradient
    def padded(maps, kernel):
        result = tf.nn.conv2d(maps, kernel, 1, padding, dilations=dilation)
        return result, lambda upstream: gradients(maps, kernel, upstream, dilation)

    return padded(*map(tf.convert_to_tensor, (maps, kernel)))


def gradients(maps, kernel, upstream, dilation):
    """Of maps and kernel, given that (B, H, W, F) of what `convolution` makes of them."""
    from tensorflow import raw_ops, shape

    same = {"strides": [1] * 4, "padding": "SAME", "dilations": [1, *dilation, 1]}
    return (
        raw_ops.Conv2DBackpropInput(
            input_sizes=shape(maps), filter=kernel, out_backprop=upstream, **same
        ),
        raw_ops.Conv2DBackpropFilter(
            input=maps, filter_sizes=kernel.shape, out_backprop=upstream, **same
        ),
    )


@lru_cache
def trains(dtype):
    """Whether this TensorFlow has gradients of dilated convolutions: on CPUs only oneDNN's."""
    import tensorflow as tf

    maps, kernel = (1, 5, 5, 1), (3, 3, 1, 1)
    with tf.init_scope():  # run now, even while a graph is being built; no tape records here
        try:
            gradients(*(tf.ones(shape, dtype) for shape in (maps, kernel, maps)), (2, 2))
        except tf.errors.OpError:
            return False
    return True
