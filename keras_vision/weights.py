"""Weights of any network: shipped and published ones by name, and files."""

import errno
import os
import warnings
import zipfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path

import h5py
import keras

from keras_vision import downloads


def find(weights, shipped, published=None):
    """The path of a file that exists: `weights` is a path or the name of some.

    shipped: {name: path}.
    published: {name: (address, digest)}; their files are fetched once. A digest is "sha256:" or
        "md5:" and the sum of the file, or the start of it.

    Raises FileNotFoundError for a name that is none, and what `fetched` does.
    """
    published = published or {}
    if weights in published:
        return fetched(weights, *published[weights], shipped)
    path = Path(shipped.get(weights, weights))
    if not path.is_file():
        more = f", nor a published one, {sorted(published)}" if published else ""
        raise FileNotFoundError(
            f"weights={str(weights)!r} is neither a file nor one of the shipped weights, "
            f"{sorted(shipped)}{more}."
        )
    return path


def fetched(name, url, digest, shipped=()):
    """The path of a published file in Keras' cache: fetched if it is not there, always checked.

    Raises OSError where it cannot be fetched, ValueError where it is not the published file: then
    it has been deleted.
    """
    path = cached(url)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with downloads.only_download(path, wait=True):
                if not path.exists():  # by now another process may have done it
                    downloads.download(url, path)
        problem = downloads.wrong_sum(path, digest)
    except (OSError, HTTPException) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            path.with_name(f"{path.name}.part").unlink(missing_ok=True)
        offline = f" {sorted(shipped)} come with this package." if shipped else ""
        raise OSError(
            f"weights={name!r} cannot be fetched from {url}: {error}. A file got by other means "
            f"is taken from {path}; KERAS_HOME names another folder.{offline}"
        ) from error
    if problem:
        page = " (a web page: does a proxy want a login?)" if downloads.is_page(path) else ""
        path.unlink(missing_ok=True)
        raise ValueError(
            f"{path} was cut short or is another file than {url}{page}: {problem}. It has been "
            "deleted: run again to fetch it."
        )
    return path


def cached(url):
    """Where the file of an address lies once it has been fetched: among Keras' own."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    return home / "models" / url.rpartition("/")[2]


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


def saved_model(path):
    """The model in a `.keras` file, uncompiled. Raises FileNotFoundError where there is none, and
    ValueError where it is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is missing")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no whole .keras file")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # a damaged file raises whatever its bytes happen to mean
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is no whole .keras file: {reason}") from error


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
