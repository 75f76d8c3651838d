"""PyTorch's arrays into the layers of a Keras network that are named as its modules are."""

import re

from keras import layers

from keras_vision import torch_file

# A layer's variable -> its module's array.
ARRAYS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
COUNTERS = r".*\.num_batches_tracked$"  # of BatchNorm, which older files lack
TOLD = 5  # mismatches that an error tells


def load(model, path, ignore="$", prepare=dict):
    """Copies a checkpoint: the layer "layer1.0.conv1" takes the arrays `layer1.0.conv1.weight`
    and the like, whatever their order in the file.

    ignore: a pattern of the arrays that the network does without.
    prepare: maps the checkpoint, {name: array}, to one with the names and shapes of the network.

    Raises ValueError, which says of each layer what does not fit, before any is changed.
    """
    unused = re.compile(f"{COUNTERS}|{ignore}")
    state = prepare(torch_file.state_dict(path))
    state = {name: array for name, array in state.items() if not unused.match(name)}
    plan, problems = [], []
    for layer, variable in variables(model):
        name = f"{layer.name}.{ARRAYS[variable.name]}"
        if name not in state:
            problems.append(f"it has no {name}")
            continue
        array = state.pop(name)
        ours = as_keras(array, layer)
        if ours.shape != tuple(variable.shape):
            problems.append(
                f"{name} {array.shape} becomes {ours.shape}, but the network has "
                f"{tuple(variable.shape)}"
            )
        plan.append((variable, ours))
    problems += [f"the network has no {name} {array.shape}" for name, array in state.items()]
    if problems:
        more = f"; and {len(problems) - TOLD} more" if len(problems) > TOLD else ""
        raise ValueError(f"{path}: {'; '.join(problems[:TOLD])}{more}.")
    for variable, ours in plan:
        variable.assign(ours)


def variables(model):
    """(layer, variable) of all that has weights, those of nested models, too."""
    for layer in model._flatten_layers(include_self=False):
        if not layer._layers:
            yield from ((layer, variable) for variable in layer.weights)


def as_keras(array, layer):
    """(out, in, ..., h, w) -> (..., h, w, in, out), and (out, in) -> (in, out).

    That holds for transposed convolutions, too, which have in and out swapped on both sides.
    """
    if isinstance(layer, layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1)
    return array.transpose(*range(2, array.ndim), 1, 0) if array.ndim > 1 else array
