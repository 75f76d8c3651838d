"""Weights of any network: shipped ones by name, and files."""

import warnings
import zipfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py


def find(weights, shipped):
    """The path of an existing file: `weights` is a path, or a name among {name: path}."""
    path = Path(shipped.get(weights, weights))
    if not path.is_file():
        raise FileNotFoundError(
            f"weights={str(weights)!r} is neither a file nor one of the shipped weights, "
            f"{sorted(shipped)}."
        )
    return path


def load(model, path, importers=None):
    """Fills `model` with the weights of a file, which must have these and no others.

    importers: {suffix: function (model, path)} for files that are not Keras' own, `.keras` and
        `.weights.h5`.

    Raises ValueError, which says what the file lacks or has beyond the network, or that it
    cannot be read.
    """
    read = {".keras": load_keras, ".h5": load_keras, **(importers or {})}
    if path.suffix not in read:
        raise ValueError(f"{path}: expected a file of weights, {' or '.join(read)}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what goes wrong is told once, below
            read[path.suffix](model, path)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # a damaged file raises whatever its bytes happen to mean
        reason = (str(error) or type(error).__name__).splitlines()[0]
        place = "" if str(path) in reason else f"{path}: "
        raise ValueError(f"{model.name} cannot take these weights. {place}{reason}") from error


def load_keras(model, path):
    in_file = Counter(shapes(path).values())
    in_model = Counter(tuple(variable.shape) for variable in model.weights)
    if in_file != in_model:  # Keras would not mind that a file has more
        lacking = named({v.path: tuple(v.shape) for v in model.weights}, in_model - in_file)
        beyond = named(shapes(path), in_file - in_model)
        raise ValueError(f"{path} lacks {lacking}, and has {beyond} beyond the network.")
    model.load_weights(path)


def named(found, surplus):
    """The first names of shapes that are there too often, and how many are left out."""
    names = [f"{name} {shape}" for name, shape in found.items() if shape in surplus]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "nothing"


def shapes(path):
    """{name: shape} of the arrays in a `.keras` or `.weights.h5` file, but not the optimiser's."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            found[name] = item.shape

    with opened(path) as file:
        file.visititems(note)
    return found


@contextmanager
def opened(path):
    """The HDF5 file of weights, which in a `.keras` is one among others."""
    with ExitStack() as stack:
        try:
            inner = path
            if path.suffix == ".keras":
                archive = stack.enter_context(zipfile.ZipFile(path))
                inner = stack.enter_context(archive.open("model.weights.h5"))
            yield stack.enter_context(h5py.File(inner))
        except Exception as error:
            raise ValueError(f"{path} is no whole file of weights: {error}") from error
