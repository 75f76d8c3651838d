"""Adam's update in one kernel, where Keras takes twelve."""

from types import MethodType

import keras
import tensorflow as tf


def fuse_adam(optimizer):
    """Makes Adam and AdamW update each variable by TensorFlow's own kernel: the same formula.

    Keras computes it operation by operation, each of which reads and writes all of the variable.
    """
    if keras.backend.backend() != "tensorflow":
        return
    plain = type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
    if plain and not optimizer.amsgrad:
        optimizer.update_step = MethodType(update_step, optimizer)


def update_step(self, gradient, variable, learning_rate):
    """As `keras.optimizers.Adam.update_step` (Kingma, Ba 2015, algorithm 1)."""
    if isinstance(gradient, tf.IndexedSlices):  # of an embedding
        return type(self).update_step(self, gradient, variable, learning_rate)
    index = self._get_variable_index(variable)
    step = tf.cast(self.iterations + 1, variable.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=handle(variable),
        m=handle(self._momentums[index]),
        v=handle(self._velocities[index]),
        beta1_power=self.beta_1**step,
        beta2_power=self.beta_2**step,
        lr=tf.cast(learning_rate, variable.dtype),
        beta1=tf.cast(self.beta_1, variable.dtype),
        beta2=tf.cast(self.beta_2, variable.dtype),
        epsilon=tf.cast(self.epsilon, variable.dtype),
        grad=tf.cast(gradient, variable.dtype),
    )


def handle(variable):
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
