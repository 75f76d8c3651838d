"""Weights of any task: shipped ones by name, and files."""

import warnings
from pathlib import Path


def find(weights, shipped):
    """The path of an existing file: `weights` is a path, or a name among {name: path}."""
    path = Path(shipped.get(weights, weights))
    if not path.is_file():
        raise FileNotFoundError(
            f"weights={str(weights)!r} is neither a file nor one of the shipped weights, "
            f"{sorted(shipped)}."
        )
    return path


def load(model, path, read=None):
    """Fills `model` by `read(model, path)`, `load_weights` unless given; all must fit."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what goes wrong is told once, below
            (read or type(model).load_weights)(model, path)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path} does not fit this network, {model.name} with {model.output_shape[-1]} "
            f"outputs: {str(error).splitlines()[0]}"
        ) from error
