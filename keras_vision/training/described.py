"""What a thing is, in JSON: the same in every process that makes the same thing."""

import contextlib
import dataclasses
import functools
import inspect
import json
import math
import types
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_vision.training.source import code, digest


def described(thing):
    """A JSON-able description of anything, without addresses and numbered names.

    Functions are told by their source, numbers they were made with included, Keras' objects by
    their config, datasets by what an element looks like and how many there are, as paths may
    move. Of what cannot be told, there is the type's name.
    """
    with warnings.catch_warnings(action="ignore"):  # Keras' of functions without a name
        return part(thing)


def part(thing, above=()):
    """Describes what has these ids above it."""
    if id(thing) in above or len(above) > 30:
        return type(thing).__name__
    try:
        return tell(thing, functools.partial(part, above=(*above, id(thing))))
    except Exception:  # whatever a stranger's class may raise
        return type(thing).__name__


@functools.singledispatch
def tell(thing, inner):
    if isinstance(thing, type):
        return of_class(thing)
    if dataclasses.is_dataclass(thing):
        fields = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
        return {"class": type(thing).__name__} | inner(fields)
    if hasattr(thing, "get_config"):
        return of_class(type(thing)) | configured(thing.get_config(), inner)
    if hasattr(thing, "python_function"):  # of tf.function
        return inner(thing.python_function)
    return getattr(thing, "__qualname__", type(thing).__name__)


def of_class(kind):
    return {"class": kind.__name__, "code": code(kind)}


@tell.register(types.NoneType)
@tell.register(bool)
@tell.register(int)
@tell.register(str)
def _(thing, inner):
    return thing


@tell.register
def _(thing: float, inner):
    return thing if math.isfinite(thing) else str(thing)


@tell.register
def _(thing: np.generic, inner):
    return inner(thing.item())


@tell.register
def _(thing: bytes, inner):
    return digest(thing)


@tell.register(list)
@tell.register(tuple)
def _(thing, inner):
    return short([inner(value) for value in thing])


@tell.register(set)
@tell.register(frozenset)
def _(thing, inner):
    return short(sorted(map(inner, thing), key=json.dumps))


@tell.register
def _(thing: dict, inner):
    if thing.get("class_name") == "__lambda__":  # serialised, as bytes of one process
        return "<lambda>"
    if "class_name" in thing and isinstance(thing.get("config"), dict):
        return {"class": thing["class_name"]} | configured(thing["config"], inner)
    names = {key: key if isinstance(key, str) else json.dumps(inner(key)) for key in thing}
    return short({names[key]: inner(value) for key, value in thing.items()})


def short(descriptions):
    """What many things are, such as the paths of a dataset, as a digest."""
    if len(descriptions) <= 300:
        return descriptions
    content = digest(json.dumps(descriptions, sort_keys=True).encode())
    return {"class": f"{len(descriptions)} values", "content": content}


def configured(config, inner):
    """A Keras config without the name, unless it is all there is, as of a dtype policy.

    A layer's own seed goes, too: Keras draws one where none was given.
    """
    unsaid = {"name", "seed"} if "trainable" in config else {"name"}
    return inner({k: v for k, v in config.items() if k not in unsaid or len(config) == 1})


@tell.register
def _(thing: keras.Model, inner):
    return of_class(type(thing)) | {"layers": inner(thing.layers)}


@tell.register
def _(thing: keras.random.SeedGenerator, inner):
    return type(thing).__name__


@tell.register
def _(thing: tf.data.Dataset, inner):
    return {"elements": str(thing.element_spec), "cardinality": int(thing.cardinality())}


@tell.register(np.ndarray)
@tell.register(tf.Tensor)
def _(thing, inner):
    array = np.asarray(thing)
    if array.dtype.hasobject:  # such as text
        content = json.dumps(inner(array.tolist())).encode()
    else:
        content = np.ascontiguousarray(array).reshape(-1).view("uint8")  # no copy: it may be large
    return {"array": f"{array.dtype} {list(array.shape)}", "content": digest(content)}


@tell.register
def _(thing: functools.partial, inner):
    return {
        "class": "partial",
        "function": inner(thing.func),
        "values": inner(dict(enumerate(thing.args)) | thing.keywords),
    }


@tell.register
def _(thing: types.MethodType, inner):
    return inner(thing.__func__) | {"of": inner(thing.__self__)}


@tell.register
def _(thing: types.FunctionType, inner):
    parameters = inspect.signature(thing, follow_wrapped=False).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {
        "function": thing.__qualname__,
        "code": code(thing),
        "values": inner(defaults | dict(enclosed(thing))) or None,
    }


def enclosed(function):
    """(name, value) of the variables around a function that it uses."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # it has no value yet
            yield name, cell.cell_contents
