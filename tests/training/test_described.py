import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.training.described import described

SCRIPT = Path(__file__).with_name("describe.py")


def loaded(path):
    """The module in a file, which is none of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def printed():
    """What another process says, with another order of sets."""
    environment = {**os.environ, "PYTHONHASHSEED": "5"}
    return subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=120
    ).stdout


@pytest.mark.slow
def test_two_processes_say_the_same(printed):
    """This one has counted Keras' names up before."""
    module = loaded(SCRIPT)
    module.things()
    assert json.loads(printed) == described(module.things())


def test_no_addresses_and_no_numbered_names(printed):
    assert "0x" not in printed
    assert not re.findall(r'"[a-z_0-9]*_\d+"(?!:)', printed)  # keys may be Adam's beta_1
    assert "dropout" not in printed  # a name; the class is Dropout


def made(rate, function=len):
    """A function with two values from around it."""

    def inner(x, power=2):
        return function(x) * rate**power

    return inner


def test_a_function_is_its_source_and_its_values():
    assert described(made(1)) == described(made(1))
    assert described(made(1)) != described(made(2))
    assert described(made(1)) != described(made(1, function=max))
    changed = described(made(1, function=made(2)))
    assert changed["function"] == "made.<locals>.inner"
    assert changed["values"]["power"] == 2
    assert changed["values"]["function"]["values"]["rate"] == 2


def test_lambdas_on_one_line_are_told_apart():
    first, second, nested = lambda x: x + 1, lambda x: x + 2, lambda x: lambda y: x
    found = [described(function)["code"] for function in (first, second, nested, nested(1))]
    assert len({*found, None}) == 5
    again = lambda x: x + 1  # noqa: E731
    assert described(again)["code"] == found[0]


SOURCE = '''
import keras
{comment}
def augment(raw, seed):
    """{docstring}"""
    def inner(x):
        return x * {factor}  # {comment}
    return inner(raw)

class Loss(keras.losses.Loss):
    {comment}
    def call(self, y, prediction):
        return (y - prediction{space}) * {factor}
'''


def from_file(path, **words):
    path.write_text(SOURCE.format(**{"comment": "#", "docstring": "", "space": ""} | words))
    module = loaded(path)
    return described([module.augment, module.Loss()])


def test_looks_are_no_part_of_the_source(tmp_path):
    plain = from_file(tmp_path / "a.py", factor=2)
    looks = {"comment": "# why", "docstring": "What it does.", "space": " "}
    assert from_file(tmp_path / "b.py", factor=2, **looks) == plain
    changed = from_file(tmp_path / "c.py", factor=3)
    for one, other in zip(plain, changed, strict=True):
        assert one.keys() == other.keys()
        assert one["code"] != other["code"]


def test_without_a_source_there_is_the_name():
    namespace = {}
    exec("def bare(x): return x", namespace)
    assert described(namespace["bare"]) == {"function": "bare", "code": None, "values": None}
    assert described(print) == "print"


def test_what_contains_itself_ends():
    loop = [1]
    loop.append(loop)
    assert described(loop) == [1, "list"]

    def recursive():
        return recursive

    assert described(recursive)["values"] == {"recursive": "function"}


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (float("inf"), "inf"),
        ((1, [2.5, None]), [1, [2.5, None]]),
        ({1: "a", "b": {"c"}}, {"1": "a", "b": ["c"]}),
        (Path("/data"), type(Path()).__name__),
        (object(), "object"),
        (
            tf.data.Dataset.range(4),
            {"elements": "TensorSpec(shape=(), dtype=tf.int64, name=None)", "cardinality": 4},
        ),
        (
            keras.DTypePolicy("mixed_float16"),
            {"class": "DTypePolicy", "code": None, "name": "mixed_float16"},
        ),
    ],
)
def test_plain_things(thing, expected):
    assert described(thing) == expected


def test_arrays_are_told_apart_by_their_content():
    zeros, ones = described(np.zeros((2, 3))), described(np.ones((2, 3)))
    assert zeros["array"] == ones["array"] == "float64 [2, 3]"
    assert zeros["content"] != ones["content"]
    assert described(tf.zeros((2, 3), tf.float64)) == zeros
    assert described(np.zeros((3, 2)).T) == zeros
    assert described(np.array(["a"])) != described(np.array(["b"]))


def test_keras_objects_are_their_config():
    adam = keras.optimizers.Adam
    assert described(adam(0.1)) == described(adam(0.1))
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
    rate = described(adam(schedule))["learning_rate"]
    assert rate["class"] == "ExponentialDecay"
    assert rate["decay_steps"] == 3
    layer = keras.layers.Dense
    assert described(layer(3, "relu")) == described(layer(3, "relu"))
    assert described(layer(3, "relu")) != described(layer(3, "elu"))


def test_partials_are_their_function_and_arguments():
    partial = functools.partial
    assert described(partial(made, 1)) == described(partial(made, 1))
    assert described(partial(made, 1)) != described(partial(made, 2))
    assert described(partial(made, rate=1))["values"] == {"rate": 1}


def test_what_is_many_is_short():
    many = [f"/data/{number}.jpg" for number in range(1000)]
    assert described(many)["class"] == "1000 values"
    assert described(many) == described(list(many)) != described(many[::-1])
    assert described(dict.fromkeys(many, 1)) == described(dict.fromkeys(many[::-1], 1))
