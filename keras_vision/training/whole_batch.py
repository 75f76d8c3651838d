"""Losses of replicas: what compares examples, or sums up a batch, needs all of it.

Keras computes each loss of a replica's own share. That is the same where the loss is one value
per example. A scalar, as of `keras.losses.Dice`, would be another, and counted once a replica.
"""

from functools import partial
from types import MethodType

import keras
import numpy as np
import tensorflow as tf

from keras_vision.training.log import say


def see_whole_batch(model, dataset, strategy):
    """Gives the losses that need it the batch of all replicas; says where that is not enough."""
    batch = next(iter(dataset))
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    with strategy.scope():
        prediction = model(x)
        model.compute_loss(x, y, prediction, weight)  # before it, Keras has not looked at them
    for entry in getattr(model._compile_loss, "_flat_losses", None) or []:
        call = MethodType(type(entry.loss).call, entry.loss)  # what an earlier run set is not it
        entry.loss.call = partial(look, entry.loss, call, strategy.num_replicas_in_sync)
    whole = float(model.compute_loss(x, y, prediction, weight))
    shares = float(sum_of_shares(model, (x, y, prediction, weight), strategy))
    if not np.isclose(whole, shares, rtol=0.01, equal_nan=True):
        say(
            f"{strategy.num_replicas_in_sync} replicas will not train as one: the loss of the "
            f"first batch is {whole:.5g} as a whole, {shares:.5g} in shares"
        )


def look(loss, call, replicas, y, prediction):
    """The loss's values; it sees whether a share's depend on the others, which are then needed."""
    values = call(y, prediction)
    examples = len(tf.nest.flatten(prediction)[0])
    each = values.shape[:1] == (examples,)
    share = examples // replicas
    alone = each and np.allclose(
        call(*rows((y, prediction), 0, share)),
        values[:share],
        rtol=1e-3,
        atol=1e-6,
        equal_nan=True,
    )
    sums = loss.reduction in ("sum", "none", None)
    loss.call = call if alone else partial(of_all, call, each, sums)
    return values


def of_all(call, each, sums, y, prediction):
    """A replica's part of the loss of all shares; outside of replicas, that of what is given.

    each: whether there is a value per example, so that a replica has those of its own share.
    sums: whether Keras adds the values up; else it takes their mean, and of that a share.
    """
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return call(y, prediction)

    def gather(x):  # one by one: of several, gradients are mixed up; and the shape is lost
        return tf.ensure_shape(replica.all_gather(x, axis=0), (None, *x.shape[1:]))

    whole, predicted = tf.nest.map_structure(gather, (y, prediction))
    values = call(whole, predicted)
    size = tf.shape(tf.nest.flatten(prediction)[0])[:1]
    if each:
        number = tf.fill(size, tf.cast(replica.replica_id_in_sync_group, "float32"))
        return values[gather(number) == number[:1]]
    if sums:
        return values / replica.num_replicas_in_sync
    return values if values.shape.rank else tf.fill(size, values)  # a scalar Keras leaves alone


def sum_of_shares(model, batch, strategy):
    """The loss that the replicas minimise together."""
    share = len(tf.nest.flatten(batch)[0]) // strategy.num_replicas_in_sync

    def of_share():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return model.compute_loss(*rows(batch, number * share, share))

    return strategy.reduce("SUM", strategy.run(of_share), axis=None)


def rows(batch, start, count):
    """`count` examples of each tensor in `batch`."""
    return tf.nest.map_structure(lambda x: x if x is None else x[start : start + count], batch)
