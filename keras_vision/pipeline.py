"""The one tf.data chain: the rows of a dataset -> batches that `model.fit` eats."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from keras_vision.rows import Rows, elements


def labelled(raw):
    """The example function of classification: (image, label) of a raw dict."""
    return raw["image"], raw["label"]


def for_batches(example):
    """Marks an example function that takes a raw dict of whole batches as well as of one example.

    It is called on those: one operation on 32 pictures takes less time than 32 on one.
    """
    example.takes_batches = True
    return example


def batches(rows, example, batch_size, remainder=True):
    """One pass over `Rows` in their own order: for validation, tests and `model.predict`.

    example: maps a raw dict to `(x, y)`, or to `(x, y, weight)`.
    remainder: whether what does not fill a batch comes as a smaller one.
    """
    return BatchData(rows, batch_size, remainder, example).in_order()


def ahead(dataset):
    """The dataset, made ahead of those who take from it, by threads of its own.

    They are more than the processors, since most of them wait for one another: 16 threads keep
    two processors a quarter busier than two do.
    """
    options = tf.data.Options()
    options.threading.private_threadpool_size = max(16, 2 * os.cpu_count())
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


@dataclass(frozen=True)
class BatchData:
    """Batches of a dataset: shuffled and endless for `launch`, in order for `InferenceRunner`.

    dataset: `Rows`, as the `load` functions of `keras_vision.datasets` return them.
    remainder: whether what does not fill a batch comes as a smaller one. Without it batches are
        always full, as replicas that average their losses need them.
    example: maps a raw dict to `(x, y)`, or to `(x, y, weight)`.
    augment: `(raw, seed) -> raw` with a seed (2,) of its own for each picture of each epoch, to
        be used with `tf.image.stateless_random_*`; `augment.by` makes one of Keras' layers.
    shuffle: whether each pass has an order of its own, any of all orders of all rows. What the
        rows stand for is read when its turn comes, so that nothing waits in memory. Or a function
        that maps the seed (2,) of a pass to its order, numbers of rows, as many as the batches
        have; such as `metric_learning.data.by_id` makes one.
    mix: `(batch, seed) -> batch`, an augmentation of whole batches of what `example` gives.

    Raises ValueError where there is not a single batch.
    """

    dataset: Rows
    batch_size: int
    remainder: bool = False
    example: Callable = labelled
    augment: Callable | None = None
    shuffle: bool | Callable = True
    mix: Callable | None = None

    def __post_init__(self):
        if not isinstance(self.dataset, Rows):
            raise TypeError(
                "BatchData needs Rows, which a `load` of keras_vision.datasets returns, and "
                f"Rows({{'image': images, 'label': labels}}) makes; got a "
                f"{type(self.dataset).__name__}. Batches of another kind go to launch as a "
                "function (first_step, seed) -> endless tf.data.Dataset."
            )
        if self.batch_size < 1 or not len(self):
            raise ValueError(
                f"{len(self.dataset)} examples make no batch of {self.batch_size}: use another "
                "batch_size, or remainder=True."
            )

    def __len__(self):
        """Batches in a pass over the dataset."""
        extra = self.batch_size - 1 if self.remainder else 0
        return (len(self.dataset) + extra) // self.batch_size

    def in_order(self):
        """One pass in the dataset's own order, not augmented."""

        order = tf.range(self.rows_of_a_pass, dtype=tf.int64)
        return ahead(self.examples(order, lambda raw, place: raw))

    def __call__(self, first_step=0, seed=0):
        """Endless batches from step `first_step` on.

        The order and the augmentation of a pass depend on nothing but `seed` and the number of
        the pass, so that a run resumed at step 7 sees what an uninterrupted one would have seen.
        """
        passes, steps = divmod(first_step, len(self))

        def one_pass(number):
            key = tf.stack([tf.constant(seed, tf.int64), number])
            order = tf.range(len(self.dataset), dtype=tf.int64)
            if callable(self.shuffle):
                order = self.shuffle(key)
            elif self.shuffle:
                order = tf.random.experimental.stateless_shuffle(order, key)
            first = tf.where(number == passes, tf.constant(steps, tf.int64), 0)
            order = order[first * self.batch_size : self.rows_of_a_pass]
            return self.batches(order, first, key)

        numbers = tf.data.Dataset.counter(passes)
        return ahead(numbers.flat_map(one_pass))

    def batches(self, order, first, key):
        """The batches of one pass from number `first` on; `key` is the seed (2,) of the pass."""

        def augmented(raw, place):
            return self.augment(raw, tf.random.fold_in(key, place)) if self.augment else raw

        data = self.examples(order, augmented, first * self.batch_size)
        if not self.mix:
            return data
        return data.enumerate(first).map(
            # Negative numbers, which no picture of the pass has.
            lambda step, batch: self.mix(batch, tf.random.fold_in(key, -1 - step)),
            tf.data.AUTOTUNE,
        )

    def examples(self, order, prepared, first=0):
        """Batches of what `example` makes of `prepared(raw, place)`; see `elements`."""
        size, remainder = self.batch_size, self.remainder
        if getattr(self.example, "takes_batches", False):
            raw = elements(self.dataset, prepared, order, size, remainder, first)
            return raw.map(self.example, tf.data.AUTOTUNE)

        def made(raw, place):
            return self.example(prepared(raw, place))

        return elements(self.dataset, made, order, size, remainder, first)

    @property
    def rows_of_a_pass(self):
        return min(len(self) * self.batch_size, len(self.dataset))
