"""A dilated convolution that goes straight to TensorFlow's kernel, where that can be trained."""

from functools import lru_cache

import keras
from keras import layers


@keras.saving.register_keras_serializable("keras_vision")
class DilatedConv2D(layers.Conv2D):
    """`keras.layers.Conv2D` with the same weights and results, and quicker on a CPU.

    Under TensorFlow, Keras cuts the maps into interleaved ones and joins them again around every
    dilated convolution, which makes a training step of the colouriser up to 1.26 times as long.
    """

    def convolution_op(self, inputs, kernel):
        if keras.backend.backend() != "tensorflow" or not trains_dilated_kernels():
            return super().convolution_op(inputs, kernel)
        import tensorflow as tf

        return tf.nn.conv2d(
            inputs, kernel, self.strides, self.padding.upper(), dilations=self.dilation_rate
        )


@lru_cache
def trains_dilated_kernels():
    """Whether this TensorFlow has gradients of dilated convolutions: on CPUs only with oneDNN."""
    import tensorflow as tf

    with tf.init_scope():  # run now, even while a graph is being built
        kernel = tf.ones((3, 3, 1, 1))
        try:
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                y = tf.nn.conv2d(tf.ones((1, 5, 5, 1)), kernel, 1, "SAME", dilations=2)
            tape.gradient(y, kernel)
        except tf.errors.OpError:
            return False
    return True
