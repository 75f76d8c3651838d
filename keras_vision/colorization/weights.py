"""Weights of the colouriser: shipped ones, and the published PyTorch checkpoint."""

from itertools import groupby
from pathlib import Path

from keras_vision import torch_file, weights

SHIPPED = Path(__file__).parent / "shipped"
PUBLISHED = {  # by the authors
    "eccv16": (
        "https://colorizers.s3.us-east-2.amazonaws.com/colorization_release_v2-9b330a0b.pth",
        "sha256:9b330a0b",
    )
}


def shipped(regression):
    """The files {name: path} of the networks, or of their L2 twins."""
    twin = "_l2" if regression else ""
    return {"tiny_imagenet": SHIPPED / f"tiny_imagenet{twin}.weights.h5"}


def width_of(path):
    """The width of the network whose weights `path` holds: its widest layer has 512 x width."""
    if path.suffix == ".pth":
        arrays = [array for group in torch_groups(path) for array in group]
        kernels = [(a.shape[2], a.shape[0]) for a in arrays if a.ndim == 4]
    else:
        kernels = [(s[0], s[-1]) for s in weights.shapes(path).values() if len(s) == 4]
    filters = [count for height, count in kernels if height == 3]
    return max(filters, default=512) / 512  # a file without any does not fit, as `load` will say


def load_torch(model, path):
    """Copies the arrays of the published checkpoint, whose layers come in our order."""
    layers = [layer for layer in model.layers if layer.trainable_weights]
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
    state = torch_file.state_dict(path)
    names = [n for n in state if not n.endswith("num_batches_tracked") and "model_out" not in n]
    grouped = groupby(names, key=lambda name: name.rpartition(".")[0])
    return [[state[name] for name in group] for _, group in grouped]
