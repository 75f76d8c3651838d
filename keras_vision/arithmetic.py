"""The arithmetic of convolutions: sizes, receptive fields, parameters, multiply-adds.

After Dumoulin, Visin 2018, "A guide to convolution arithmetic for deep learning", and Araujo,
Norris, Sim 2019, "Computing receptive fields of convolutional neural networks". Works on any
functional model, without running it.
"""

from dataclasses import dataclass
from math import prod
from numbers import Integral

import keras
import numpy as np
import pandas as pd
from keras import layers, tree

from keras_vision import _fields

TOTALS = ["parameters", "macs", "memory"]
# Layers whose weights are no vectors, and yet no kernels.
WITHOUT_PRODUCTS = (
    layers.Embedding,
    layers.LayerNormalization,
    layers.Normalization,
    layers.PReLU,
)


def output_size(size, kernel, stride=1, padding=0, dilation=1):
    """Cells along an axis behind a convolution or pooling of `size` cells.

    padding: cells on each side, or Keras' "valid", "same" or "causal".
    """
    check(size=size, kernel=kernel, stride=stride, dilation=dilation)
    if padding in ("same", "causal"):
        return -(-size // stride)
    padded, reach = size + 2 * cells(padding), dilation * (kernel - 1) + 1
    if reach > padded:
        raise ValueError(f"A kernel that reaches over {reach} cells does not fit into {padded}.")
    return (padded - reach) // stride + 1


def transposed_size(size, kernel, stride=1, padding=0, dilation=1, output_padding=None):
    """The inverse, behind a transposed convolution: cells of which `output_size` makes `size`.

    There are `stride` such sizes, and output_padding, 0 to stride - 1, chooses one. None means
    Keras' choice for "valid" and "same", and 0 where padding is a number.
    """
    check(size=size, kernel=kernel, stride=stride, dilation=dilation)
    reach = dilation * (kernel - 1) + 1
    if output_padding is None:
        spare = {"valid": max(stride - reach, 0), "same": stride - reach % 2}
        output_padding = spare.get(padding, 0)
    elif not (isinstance(output_padding, Integral) and 0 <= output_padding < stride):
        raise ValueError(f"output_padding must be 0 to {stride - 1}, not {output_padding}.")
    cropped = reach - reach % 2 if padding == "same" else 2 * cells(padding)
    result = (size - 1) * stride + reach - cropped + output_padding
    if result < 1:
        raise ValueError(f"{size} cells become {result}: padding={padding} leaves nothing.")
    return result


def check(**numbers):
    for name, number in numbers.items():
        if not (isinstance(number, Integral) and number > 0):
            raise ValueError(f"{name} must be a positive integer, not {number!r}.")


def cells(padding):
    """The number of cells that "valid" or a number stands for."""
    padding = 0 if padding == "valid" else padding
    if not (isinstance(padding, Integral) and padding >= 0):
        raise ValueError(f'padding must be a number of cells, "valid" or "same", not {padding!r}.')
    return padding


def inspect(model, size=None):
    """A table of a functional model, one row a call of a layer, in the order they are run.

    size: of the input, one number or one an axis; needed where the model leaves it open.

    Columns: `kind`; `output`, its shape for one example; `kernel`, `stride`, `dilation`,
    `groups`, empty where a layer has none. Where axes differ, there is one number for each.

    Then, in pixels of the input: `field`, the size of the receptive field of a cell; `jump`, from
    the field of one cell to that of the next; `start`, the centre of the first cell's. Pixel i
    reaches from i to i + 1, so the first one's own centre is 0.5. Fields may overhang the
    picture. Behind upsampling they differ from cell to cell, and the largest counts. What looks
    at a whole map has jump 0 and the field that all cells of the map have together in the picture.

    `parameters` counts weights where they are first used; `macs`, the multiply-adds with kernels
    for one example, as they are published: not those of biases, normalisations, poolings,
    activations, nor of maps with one another, as in attention; `memory`, the bytes of the output.

    <NA> is what is not known: fields from a layer on that is not Keras' own or moves things about
    in ways not treated here, and the macs of one that has matrices of weights. A class of layers
    with `pointwise = True` says that its cells depend on the same cell of the input alone.

    Raises ValueError where the model is not functional, has several inputs, lacks a size or
    cannot take it.
    """
    graph = function(model)
    if len(graph.inputs) > 1:
        raise ValueError(
            f"{model.name} has {len(graph.inputs)} inputs, and receptive fields are of one: "
            "inspect a part that has one, keras.Model(input, output)."
        )
    shape, dtype = sized(graph.inputs[0].shape, size), graph.inputs[0].dtype
    entry = Maps(keras.KerasTensor(shape, dtype), (_fields.Axis(),) * len(shape[1:-1]))
    first, counted = graph.operations[0], set()
    rows = [row(first.name, first, [], [entry], counted)]

    def call(name, layer, inputs, specs):
        axes = _fields.fields(layer, inputs, tree.flatten(specs)[0].shape, shape[1:-1])
        outputs = tree.map_structure(lambda spec: Maps(spec, axes), specs)
        rows.append(row(name, layer, inputs, tree.flatten(outputs), counted))
        return outputs

    walk(graph, [entry], call)
    return pd.DataFrame(rows).set_index("layer").convert_dtypes()


def totals(table):
    """Parameters, multiply-adds and bytes of a whole table; <NA> where a layer's are not known."""
    return table[TOTALS].sum(skipna=False)


@dataclass(frozen=True)
class Maps:
    """Stands for a tensor: its shape and dtype, and what its cells see along each input axis."""

    spec: keras.KerasTensor
    axes: tuple | None

    @property
    def shape(self):
        return self.spec.shape


def function(model):
    """The graph of a model's layers."""
    if isinstance(model, keras.Function):
        return model
    if not isinstance(model, keras.Sequential) or not hasattr(model, "inputs"):
        raise ValueError(
            f"{getattr(model, 'name', model)} has no graph of layers: needed is a functional "
            "model, keras.Model(inputs, outputs), or a keras.Sequential that begins with a "
            "keras.Input."
        )
    return keras.Function(model.inputs, model.outputs)


def sized(shape, size):
    """The shape (None, H, W, C) of an input, with `size` in place of what it leaves open."""
    batch, *sizes, channels = shape
    if size is not None:
        given = [size] * len(sizes) if isinstance(size, Integral) else list(size)
        if len(given) != len(sizes) or not all(isinstance(n, Integral) and n > 0 for n in given):
            raise ValueError(
                f"size must be a positive integer, or {len(sizes)} of them, for an input of "
                f"{shape[1:]}, not {size}."
            )
        sizes = given
    if None in sizes or channels is None:
        raise ValueError(f"The input is of any size, {shape[1:]}: inspect(model, size=...).")
    return (batch, *sizes, channels)


def walk(graph, inputs, call, prefix=""):
    """Runs a graph, and those nested in it, on `Maps` in place of tensors.

    call: (name, layer, inputs, specs of the outputs) -> the outputs' `Maps`.
    """
    for declared, maps in zip(graph.inputs, inputs, strict=True):
        if any(a not in (None, b) for a, b in zip(declared.shape, maps.shape, strict=True)):
            name = prefix.rstrip("/") or "The model"
            raise ValueError(f"{name} takes {declared.shape[1:]} only, not {maps.shape[1:]}.")

    def visit(layer, *args, **kwargs):
        name = prefix + layer.name
        if isinstance(layer, keras.Function | keras.Sequential):
            return walk(function(layer), tree.flatten(args), call, f"{name}/")
        if getattr(layer, "data_format", None) == "channels_first":
            raise ValueError(f"{name} has its channels first; inspect knows channels_last only.")
        given = [x for x in tree.flatten((args, kwargs)) if isinstance(x, Maps)]
        return call(name, layer, given, made(name, layer, args, kwargs))

    # Private, but Keras' own way through nested arguments, shared layers and several outputs.
    return graph._run_through_graph(inputs, call_fn=visit)


def made(name, layer, args, kwargs):
    """The shapes and dtypes of a layer's outputs, as Keras computes them."""
    args, kwargs = tree.map_structure(
        lambda x: x.spec if isinstance(x, Maps) else x, (args, kwargs)
    )
    try:
        return layer.compute_output_spec(*args, **kwargs)
    except ValueError as error:
        raise ValueError(f"{name} cannot take this size. {error}") from error


def row(name, layer, inputs, outputs, counted):
    """What `inspect` says of a layer; weights in `counted` belong to an earlier row."""
    shapes = tuple(maps.shape[1:] for maps in outputs)
    kernel, stride, dilation = _fields.window(layer) or ((), (), ())
    own = {id(weight): prod(weight.shape) for weight in getattr(layer, "weights", ())}
    new = own.keys() - counted
    counted |= new
    return {
        "layer": name,
        "kind": type(layer).__name__,
        "output": shapes[0] if len(shapes) == 1 else shapes,
        "kernel": short(kernel),
        "stride": short(stride),
        "dilation": short(dilation),
        "groups": groups(layer, inputs),
        **{column: field(outputs[0].axes, column) for column in ("field", "jump", "start")},
        "parameters": sum(own[weight] for weight in new),
        "macs": macs(layer, inputs, outputs),
        "memory": sum(count(maps.shape[1:]) * bytes_of(maps.spec.dtype) for maps in outputs),
    }


def field(axes, column):
    if axes is None or any(axis.step is None for axis in axes):
        return pd.NA
    return short([getattr(axis, column) for axis in axes])


def short(values):
    """One number where all axes have the same, and nothing where there are none."""
    values = tuple(value if value % 1 else int(value) for value in values)
    return "" if not values else values[0] if len(set(values)) == 1 else values


def groups(layer, inputs):
    """Parts that the channels are split into, each with kernels of its own."""
    if isinstance(layer, _fields.DEPTHWISE):
        return inputs[0].shape[-1]
    return layer.groups if isinstance(layer, _fields.CONVOLUTIONS) else ""


def macs(layer, inputs, outputs):
    """Each number of a kernel is multiplied once at each place of the output.

    A transposed one is laid down at each place of the input.
    """
    kernels = [w.shape for w in getattr(layer, "weights", ()) if len(w.shape) > 1]
    if isinstance(layer, _fields.CONVOLUTIONS + _fields.TRANSPOSED + (layers.Dense,)):
        (maps,) = inputs if isinstance(layer, _fields.TRANSPOSED) else outputs
        return count(maps.shape[1:-1]) * sum(map(prod, kernels))
    # Vectors of weights only scale and shift, as those of BatchNorm.
    return pd.NA if kernels and not isinstance(layer, WITHOUT_PRODUCTS) else 0


def count(shape):
    return pd.NA if None in shape else prod(shape)


def bytes_of(dtype):
    return np.dtype(dtype).itemsize
