"""PyTorch is the oracle: scripts/make_unpooling_golden.py wrote what it says."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vision.layers.unpooling import MaxPoolingWithIndices, MaxUnpooling

GOLDEN = Path(__file__).with_name("golden_unpooling.npz")
CASES = (
    *("even", "odd", "single", "threes", "gaps", "padded_gaps"),
    *("overlapping", "padded", "dense", "nan", "least"),
)
UNDER_JAX = ("odd", "padded_gaps", "padded")

JAX = """
import sys
import jax
import keras
import numpy as np
from keras_vision.layers.unpooling import MaxPoolingWithIndices, MaxUnpooling

assert keras.backend.backend() == "jax"
golden, results = np.load(sys.argv[1]), {}
for name in sys.argv[3:]:
    window = golden[f"{name}/window"].tolist()
    x, _, pushed, _ = golden[f"{name}/maps"]
    maxima, places, pulled, _ = golden[f"{name}/maxima"]
    pool, unpool = MaxPoolingWithIndices(*window), MaxUnpooling(*window)

    @jax.jit
    def run(x, maxima):
        found, pooled, where = jax.vjp(pool, x, has_aux=True)
        maps, unpooled = jax.vjp(lambda m: unpool([m, places.astype("int32"), x]), maxima)
        return found, where, maps, pooled(pulled)[0], unpooled(pushed)[0]

    for key, array in zip(("values", "places", "maps", "x", "maxima"), run(x, maxima)):
        results[f"{name}/{key}"] = array
np.savez(sys.argv[2], **results)
"""


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN)


def of_case(golden, name):
    """Its window, the four arrays of its maps, and the four of its maxima."""
    window = golden[f"{name}/window"].tolist()
    return window, golden[f"{name}/maps"], golden[f"{name}/maxima"]


@pytest.mark.parametrize("name", CASES)
def test_pools_as_torch(golden, name):
    window, (x, _, _, gradient), (values, places, pulled, _) = of_case(golden, name)
    with tf.GradientTape() as tape:
        x = tf.constant(x)
        tape.watch(x)
        found, where = MaxPoolingWithIndices(*window)(x)
    assert where.dtype == tf.int32
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(where, places)
    np.testing.assert_array_equal(tape.gradient(found, x, pulled), gradient)


@pytest.mark.parametrize("name", CASES)
def test_unpools_as_torch(golden, name):
    window, (x, maps, pushed, _), (values, places, _, gradient) = of_case(golden, name)
    with tf.GradientTape() as tape:
        values = tf.constant(values)
        tape.watch(values)
        found = MaxUnpooling(*window)([values, tf.cast(places, "int32"), x])
    np.testing.assert_array_equal(found, maps)
    np.testing.assert_array_equal(tape.gradient(found, values, pushed), gradient)


@pytest.mark.slow
def test_the_same_under_jax(golden, tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", JAX, GOLDEN, tmp_path / "jax.npz", *UNDER_JAX]
    subprocess.run(command, env=environment, check=True, timeout=300)
    found = np.load(tmp_path / "jax.npz")
    for name in UNDER_JAX:
        (size, stride, _), (_, maps, _, gradient), maxima = of_case(golden, name)
        np.testing.assert_array_equal(found[f"{name}/values"], maxima[0], name)
        np.testing.assert_array_equal(found[f"{name}/places"], maxima[1], name)
        np.testing.assert_array_equal(found[f"{name}/x"], gradient, name)
        np.testing.assert_array_equal(found[f"{name}/maps"], maps, name)
        if stride >= size:  # of windows that overlap, JAX hears one only
            np.testing.assert_array_equal(found[f"{name}/maxima"], maxima[3], name)


def test_of_equal_values_the_first_is_told_and_learns():
    with tf.GradientTape() as tape:
        x = tf.ones((1, 4, 4, 1))
        tape.watch(x)
        values, places = MaxPoolingWithIndices()(x)
    np.testing.assert_array_equal(places[0, :, :, 0], [[0, 2], [8, 10]])
    expected = [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(tape.gradient(values, x)[0, :, :, 0], expected)


def test_maps_may_have_any_number_of_channels_in_like(golden):
    window, (x, maps, _, _), (values, places, _, _) = of_case(golden, "odd")
    found = MaxUnpooling(*window)([values, places.astype("int32"), x[..., :1]])
    np.testing.assert_array_equal(found, maps)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", ["odd", "padded"])
def test_in_mixed_precision(golden, name, policy):
    """Small whole numbers are exact there. Places are not: 300 and 301 would be the same."""
    window, (x, maps, _, _), (values, places, _, _) = of_case(golden, name)
    pool, unpool = (kind(*window, dtype=policy) for kind in (MaxPoolingWithIndices, MaxUnpooling))
    found, where = pool(x)
    assert (found.dtype, where.dtype) == (policy.removeprefix("mixed_"), tf.int32)
    np.testing.assert_array_equal(tf.cast(found, "float32"), values)
    np.testing.assert_array_equal(where, places)
    back = unpool([found, where, x])
    assert back.dtype == found.dtype
    np.testing.assert_array_equal(tf.cast(back, "float32"), maps)
    wide = np.zeros((1, 2, 602, 1))
    wide[0, 0, 301] = 1
    np.testing.assert_array_equal(np.argmax(unpool([*pool(wide), wide])[0, 0, :, 0]), 301)


@pytest.mark.parametrize("name", ["padded_gaps", "padded"])
def test_of_any_size_compiled_and_saved(golden, tmp_path, name):
    window, (x, maps, _, _), (values, places, _, _) = of_case(golden, name)
    inputs = keras.Input((None, None, 3))
    found = MaxPoolingWithIndices(*window)(inputs)
    model = keras.Model(inputs, [*found, MaxUnpooling(*window)([*found, inputs])])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, again):
        run = tf.function(each, input_signature=[tf.TensorSpec((None, None, None, 3))])
        for share in (x, x[:1]):
            outputs = run(share)
            for a, b in zip(outputs, (values, places, maps), strict=True):
                np.testing.assert_array_equal(a, b[: len(share)])


def test_shapes_are_known_before():
    inputs = keras.Input((7, 8, 3))
    values, places = MaxPoolingWithIndices(3, 2, 1)(inputs)
    assert values.shape == places.shape == (None, 4, 4, 3)
    assert places.dtype == "int32"
    assert MaxUnpooling(3, 2, 1)([values, places, inputs]).shape == (None, 7, 8, 3)
    assert MaxPoolingWithIndices()(keras.Input((None, 8, 3)))[0].shape == (None, None, 4, 3)


@pytest.mark.parametrize("kind", [MaxPoolingWithIndices, MaxUnpooling])
@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"stride": -1}, {"stride": 0}, {"padding": -1}, {"padding": 2}], ids=str
)
def test_wrong_settings(kind, wrong):
    with pytest.raises(ValueError, match="size and stride must be 1 or more"):
        kind(**{"size": 3, **wrong})
