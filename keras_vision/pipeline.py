"""The one tf.data chain: raw dicts of a dataset -> batches that `model.fit` eats."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf


def labelled(raw):
    """The example function of classification: (image, label) of a raw dict."""
    return raw["image"], raw["label"]


def batches(dataset, example, batch_size, remainder=True):
    """One pass in the dataset's own order: for validation, tests and `model.predict`.

    example: maps a raw dict to `(x, y)`, or to `(x, y, weight)`.
    remainder: whether what does not fill a batch comes as a smaller one.
    """
    dataset = dataset.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(batch_size, drop_remainder=not remainder).prefetch(tf.data.AUTOTUNE)


@dataclass(frozen=True)
class BatchData:
    """Batches of a dataset: shuffled and endless for `launch`, in order for `InferenceRunner`.

    remainder: whether what does not fill a batch comes as a smaller one. Without it batches are
        always full, as replicas that average their losses need them.
    example: maps a raw dict to `(x, y)`, or to `(x, y, weight)`.
    augment: `(raw, seed) -> raw` with a seed (2,) of its own for each picture of each epoch, to
        be used with `tf.image.stateless_random_*`.
    shuffle: size of the shuffle buffer; 0 keeps the dataset's order.

    Raises ValueError where there is not a single batch.
    """

    dataset: tf.data.Dataset
    batch_size: int
    remainder: bool = False
    example: Callable = labelled
    augment: Callable | None = None
    shuffle: int = 10_000

    def __post_init__(self):
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
        return batches(self.dataset, self.example, self.batch_size, self.remainder)

    def __call__(self, first_step=0, seed=0):
        """Endless batches from step `first_step` on.

        The order and the augmentation of a pass depend on nothing but `seed` and the number of
        the pass, so that a run resumed at step 7 sees what an uninterrupted one would have seen.
        """
        passes, steps = divmod(first_step, len(self))

        def one_pass(number):
            # The seed of this function's graph, whatever the program's is. Never 0: then
            # TensorFlow would have to know the number while it builds the graph.
            tf.random.set_seed(seed + 1)
            data = self.dataset
            if self.shuffle:
                data = data.shuffle(self.shuffle, seed=number, reshuffle_each_iteration=False)
            if self.augment:
                seeds = tf.data.Dataset.random(seed=number).batch(2)
                data = tf.data.Dataset.zip(data, seeds).map(self.augment, tf.data.AUTOTUNE)
            return batches(data, self.example, self.batch_size, self.remainder)

        numbers = tf.data.Dataset.counter(passes)
        return numbers.flat_map(one_pass).skip(steps).prefetch(tf.data.AUTOTUNE)
