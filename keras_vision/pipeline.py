"""The one tf.data chain: raw dicts of a dataset -> batches that `model.fit` eats."""

import tensorflow as tf


def batches(dataset, example, batch_size):
    """One pass in the dataset's own order: for validation, tests and `model.predict`.

    example: maps a raw dict to `(x, y)`, or to `(x, y, weight)`.
    """
    dataset = dataset.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def epochs(dataset, example, batch_size, shuffle=0, augment=None, seed=0):
    """Endless training batches, as a function `stream(first_epoch=0) -> tf.data.Dataset`.

    An epoch's order and its augmentation depend on nothing but `seed` and the epoch's number, so
    that a run resumed at epoch 7 sees what an uninterrupted one would have seen. Batches are
    always full (what does not fill one sits out that epoch): replicas that average their losses
    need equal shares.

    shuffle: size of the shuffle buffer; 0 keeps the dataset's order.
    augment: `(raw, seed) -> raw` with a seed (2,) of its own for each picture of each epoch, to
        be used with `tf.image.stateless_random_*`.
    """

    def epoch_of(number):
        # The seed of this function's graph, whatever the program's is. Never 0: then TensorFlow
        # would have to know the number while it builds the graph.
        tf.random.set_seed(seed + 1)
        data = dataset
        if shuffle:
            data = data.shuffle(shuffle, seed=number, reshuffle_each_iteration=False)
        if augment:
            seeds = tf.data.Dataset.random(seed=number).batch(2)
            data = tf.data.Dataset.zip(data, seeds).map(augment, tf.data.AUTOTUNE)
        data = data.map(example, num_parallel_calls=tf.data.AUTOTUNE)
        return data.batch(batch_size, drop_remainder=True)

    def stream(first_epoch=0):
        numbers = tf.data.Dataset.counter(first_epoch)
        return numbers.flat_map(epoch_of).prefetch(tf.data.AUTOTUNE)

    return stream
