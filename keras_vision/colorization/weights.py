"""Weights of the colouriser: shipped ones, Keras files, and the published PyTorch checkpoint."""

import io
import zipfile
from itertools import groupby
from pathlib import Path

import h5py

from keras_vision import weights

SHIPPED = Path(__file__).parent / "shipped"


def find(name_or_path, regression):
    """A shipped name, such as "tiny_imagenet", or a path -> the path of an existing file."""
    twin = "tiny_imagenet_l2" if regression else "tiny_imagenet"
    return weights.find(name_or_path, {"tiny_imagenet": SHIPPED / f"{twin}.weights.h5"})


def width_of(path):
    """The width of the network whose weights `path` holds: its widest layer has 512 x width."""
    filters = [count for height, count in kernel_sizes(path) if height == 3]
    return max(filters, default=512) / 512  # a file without any does not fit, as `load` will say


def kernel_sizes(path):
    """(height, filters) of every convolution kernel in the file."""
    if path.suffix == ".pth":
        arrays = [array for group in torch_groups(path) for array in group]
        return [(a.shape[2], a.shape[0]) for a in arrays if a.ndim == 4]
    found = []
    with open_h5(path) as file:
        file["layers"].visititems(lambda _, item: found.append(getattr(item, "shape", ())))
    return [(shape[0], shape[-1]) for shape in found if len(shape) == 4]


def open_h5(path):
    """The weights inside a `.weights.h5`, or inside a `.keras`, which is a zip around one."""
    try:
        if path.suffix != ".keras":
            return h5py.File(path)
        with zipfile.ZipFile(path) as archive:
            return h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no weights file: expected .keras, .weights.h5 or .pth ({error})."
        ) from error


def load(model, path):
    """Fills `model` with the weights of `path`; all of them must fit."""
    weights.load(model, path, load_torch if path.suffix == ".pth" else None)


def load_torch(model, path):
    """Copies the arrays of the published checkpoint, whose layers come in our order."""
    layers = [layer for layer in model.layers if layer.weights]
    groups = torch_groups(path)
    if len(layers) != len(groups):
        raise ValueError(f"it has {len(groups)} layers with weights instead of {len(layers)}.")
    for layer, arrays in zip(layers, groups, strict=True):
        # (out, in, h, w) -> (h, w, in, out); the transposed convolution has in and out swapped
        # on both sides.
        layer.set_weights([a.transpose(2, 3, 1, 0) if a.ndim == 4 else a for a in arrays])


def torch_groups(path):
    """The checkpoint's arrays, a list for every layer: `model1.0.weight`, `model1.0.bias` ...

    Left out are the counters of BatchNorm and `model_out`, a fixed layer that holds the bins'
    colours, which `bins.decode` knows.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"Reading {path} needs PyTorch: pip install torch") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: array.float().numpy() for name, array in state.items()}
    except Exception as error:  # whatever unpickling foreign bytes may raise
        raise ValueError(f"{path} is no PyTorch checkpoint of tensors: {error}") from error
    names = [n for n in state if not n.endswith("num_batches_tracked") and "model_out" not in n]
    grouped = groupby(names, key=lambda name: name.rpartition(".")[0])
    return [[state[name] for name in group] for _, group in grouped]
