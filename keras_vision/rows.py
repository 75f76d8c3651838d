"""A dataset as its rows: what is known of every example, and how one of them is read."""

import re
import warnings

import numpy as np
import tensorflow as tf

GATHERED = 128


class Rows(tf.data.Dataset):
    """A tf.data.Dataset of raw dicts that also gives any of its rows, in any order.

    Shuffling and selecting work on the rows, which are small; what they stand for is read after.

    columns: {name: array (N, ...)}, such as paths, labels and boxes; a tf.RaggedTensor where the
        examples have several values each.
    read: maps a row, {name: tensor (...)}, to its raw dict. By default they are the same.
    class_names: of the labels 0, 1, 2 ...

    A row that cannot be read raises tf.errors.InvalidArgumentError with its name, which is what
    stands in the column "name", or else its number.
    """

    def __init__(self, columns, read=dict, class_names=()):
        self.columns = {name: as_tensor(values) for name, values in columns.items()}
        self.read, self.class_names = read, tuple(class_names)
        lengths = {name: int(column.shape[0]) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"expected columns of one length, got {lengths or 'none at all'}")
        self.count = max(lengths.values())
        order = tf.range(self.count, dtype=tf.int64)
        ones = elements(self, lambda raw, place: raw, order, 1)
        # Not by `unbatch`, which a picture without any boxes makes crash.
        self.in_order = ones.map(lambda raw: tf.nest.map_structure(lambda x: x[0], raw))
        super().__init__(self.in_order._variant_tensor)

    def _inputs(self):
        return [self.in_order]

    @property
    def element_spec(self):
        return self.in_order.element_spec

    def __len__(self):
        return self.count

    def row(self, number):
        """{name: tensor (...)} of one row."""
        return {name: column[number] for name, column in self.columns.items()}

    def name(self, number):
        name = self.row(number).get("name")
        return f"row {number}" if name is None else name.numpy().decode(errors="replace")

    def select(self, numbers):
        """The `Rows` of these numbers, or of a slice, or of a mask (N,)."""
        columns = self.gathered(np.arange(len(self))[numbers])
        return Rows(columns, self.read, self.class_names)

    def gathered(self, numbers):
        """The columns of the rows with these numbers (M,): {name: tensor (M, ...)}."""
        return {name: tf.gather(column, numbers) for name, column in self.columns.items()}

    def whole(self, stacklevel=3):
        """The `Rows` that can be read; a warning names the others. Reads all of them once."""
        numbers = tf.data.Dataset.range(len(self))
        found = numbers.map(lambda n: (n, self.read(self.row(n))), tf.data.AUTOTUNE)
        found = found.ignore_errors().map(lambda n, raw: n).batch(1024).as_numpy_iterator()
        kept = np.concatenate([*found, np.zeros(0, int)])
        lost = [self.name(number) for number in np.setdiff1d(np.arange(len(self)), kept)]
        if lost:
            problem = f"{len(lost)} of {len(self)} rows cannot be read and are left out"
            warnings.warn(f"{problem}: {', '.join(lost)}", stacklevel=stacklevel)
        return self.select(kept)


def as_tensor(values):
    return values if isinstance(values, tf.RaggedTensor) else tf.convert_to_tensor(values)


def elements(rows, make, order, batch_size, remainder=False, first=0):
    """One pass in batches: `make(raw, place)` of the rows numbered in `order` (M,), int64.

    place: int64, counts the rows of the pass, from `first` on.
    remainder: whether the last batch may be smaller; else M must be a multiple of `batch_size`.

    TensorFlow's errors do not say which file was at fault. So rows that fail are left out at
    first; where the places that came then have a gap, its row is read again, to say what failed.
    """
    count = tf.shape(order, tf.int64)[0]
    # Behind the last row comes the first again, so that a last one that fails leaves a gap, too.
    numbers = tf.data.Dataset.from_tensor_slices(tf.concat([order, order[:1]], 0))
    if any(isinstance(column, tf.RaggedTensor) for column in rows.columns.values()):
        table = numbers.map(rows.row)
    else:  # many rows at once, which takes a tenth of the time
        table = numbers.batch(GATHERED).map(rows.gathered).unbatch()
    attempts = table.enumerate(first).map(
        lambda place, row: (place, make(rows.read(row), place)), tf.data.AUTOTUNE
    )

    def checked(step, batch):
        places, made = batch
        start = first + step * batch_size
        end = tf.minimum(start + batch_size, first + count)
        last = places[tf.minimum(end - start, tf.shape(places, tf.int64)[0]) - 1]
        problem = tf.cond(last == end - 1, lambda: "", lambda: explained(places, start))
        tf.debugging.Assert(last == end - 1, [problem])
        if remainder:
            return tf.nest.map_structure(lambda x: x[: end - start], made)
        for x in tf.nest.flatten(made):
            x.set_shape((batch_size, *x.shape[1:]))  # several replicas want to know
        return made

    def explained(places, start):
        came = start + tf.range(tf.shape(places, tf.int64)[0])
        gap = start + tf.math.count_nonzero(places == came)
        row = [order[gap - first], gap]
        return tf.py_function(lambda *row: failure(rows, make, *row), row, tf.string)

    steps = (count + batch_size - 1) // batch_size
    found = attempts.ignore_errors().batch(batch_size).enumerate().map(checked)

    def none_came(number):
        row = [number, tf.cast(first, tf.int64)]
        problem = tf.py_function(lambda *row: failure(rows, make, *row), row, tf.string)
        tf.debugging.Assert(False, [problem])
        return tf.nest.map_structure(blank, found.element_spec)

    # Asked for only where all rows failed, and left no gap.
    found = found.concatenate(tf.data.Dataset.from_tensor_slices(order[:1]).map(none_came)).take(
        steps
    )
    return found.apply(tf.data.experimental.assert_cardinality(steps))


def blank(spec):
    """A tensor that may stand where one of this kind is expected."""
    return tf.zeros([side or 0 for side in spec.shape or ()], spec.dtype)


def failure(rows, make, number, place):
    """What is wrong with a row that failed, in words."""
    name = rows.name(int(number))
    try:
        raw = rows.read(rows.row(number))
    except Exception as error:  # whatever decoders raise
        return f"{name} cannot be read; skip_broken=True leaves it out. {reason(error)}"
    try:
        make(raw, place)
    except Exception as error:  # of a user's function
        return f"{name} was read, but its example or augmentation failed: {reason(error)}"
    return f"{name} could be read only at the second attempt: is the disk failing?"


def reason(error):
    """TensorFlow's message without the names of its kernels, which say nothing to a reader."""
    message = re.sub(r"\{\{.*?\}\}|\[Op:\w+\]", "", getattr(error, "message", str(error)))
    return " ".join(message.split())
