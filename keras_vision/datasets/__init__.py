"""One module a dataset, all of one kind.

load(split, root)  `Rows` of raw dicts, read from the official layout under `root`
splits             what `split` may be
class_names        of the labels 0, 1, 2 ... in the official order; those of the `Rows` that
                   `load` returns are in their `class_names`
"""

from keras_vision._lazy import lazily

__getattr__, __dir__ = lazily(__name__, __path__)


def check_split(split, splits):
    if split not in splits:
        raise ValueError(f"no split {split!r}, expected one of {', '.join(splits)}")
