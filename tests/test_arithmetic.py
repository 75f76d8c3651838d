import math
import os
import subprocess
import sys
import time
from contextlib import suppress

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_vision import colorization
from keras_vision.arithmetic import inspect, output_size, totals, transposed_size
from keras_vision.layers import (
    CroppedLike,
    DilatedConv2D,
    MaxPoolingWithIndices,
    MaxUnpooling,
    PaddedToMultiple,
    ResizedLike,
)
from keras_vision.segmentation import fcn, segnet, unet

RNG = np.random.default_rng(0)


def functional(shape, *steps):
    x = entry = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(entry, x)


# 1. Sizes


@pytest.mark.parametrize(
    ("size", "geometry", "made"),
    [
        (4, (3,), 2),  # figure 2.1
        (5, (4, 1, 2), 6),  # 2.2
        (5, (3, 1, 1), 5),  # 2.3, half padding
        (5, (3, 1, 2), 7),  # 2.4, full padding
        (5, (3, 2), 2),  # 2.5
        (5, (3, 2, 1), 3),  # 2.6
        (6, (3, 2, 1), 3),  # 2.7, which leaves a cell over
        (7, (3, 1, 0, 2), 3),  # 5.1, dilated
    ],
)
def test_sizes_of_the_guide_to_convolution_arithmetic(size, geometry, made):
    assert output_size(size, *geometry) == made
    left_over = 1 if size == 6 else 0
    assert transposed_size(made, *geometry, output_padding=left_over) == size  # 4.1 to 4.7


def test_a_size_is_the_number_of_places_where_the_kernel_fits():
    for size, kernel, stride, padding, dilation in np.ndindex(9, 5, 4, 3, 3):
        size, kernel, stride, dilation = size + 1, kernel + 1, stride + 1, dilation + 1
        reach = dilation * (kernel - 1) + 1
        places = len(range(0, size + 2 * padding - reach + 1, stride))
        if places:
            assert output_size(size, kernel, stride, padding, dilation) == places
        else:
            with pytest.raises(ValueError, match="does not fit"):
                output_size(size, kernel, stride, padding, dilation)


def test_transposed_sizes_are_the_ones_that_a_convolution_turns_into_the_given_one():
    for size, kernel, stride, padding, dilation in np.ndindex(6, 5, 3, 2, 2):
        size, given = size + 1, (kernel + 1, stride + 1, padding, dilation + 1)
        reach = (dilation + 1) * kernel + 1
        found = set()
        for more in range(stride + 1):
            with suppress(ValueError):  # where nothing is left
                found.add(transposed_size(size, *given, more))
        fits = [n for n in range(1, 60) if n + 2 * padding >= reach]
        assert found == {n for n in fits if output_size(n, *given) == size}


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_sizes_are_keras_own(padding):
    for size, kernel, stride, dilation in np.ndindex(9, 5, 4, 3):
        size, kernel, stride, dilation = size + 1, kernel + 1, stride + 1, dilation + 1
        if stride > 1 and dilation > 1:
            continue
        settings = {"strides": stride, "padding": padding, "dilation_rate": dilation}
        if padding == "same" or size >= dilation * (kernel - 1) + 1:
            shape = layers.Conv1D(1, kernel, **settings).compute_output_shape((1, size, 1))
            assert output_size(size, kernel, stride, padding, dilation) == shape[1]
        for more in (None, *range(stride)):
            layer = layers.Conv1DTranspose(1, kernel, output_padding=more, **settings)
            expected = layer.compute_output_shape((1, size, 1))[1]
            if expected > 0:
                found = transposed_size(size, kernel, stride, padding, dilation, more)
                assert found == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: output_size(4, 5), "A kernel that reaches over 5 cells does not fit into 4"),
        (lambda: output_size(4, 3, 1, 0, 2), "reaches over 5 cells"),
        (lambda: output_size(4, 3, 0), "stride must be a positive integer, not 0"),
        (lambda: output_size(4.0, 3), "size must be a positive integer, not 4.0"),
        (lambda: output_size(4, 3, 1, -1), "padding must be a number of cells"),
        (lambda: output_size(4, 3, 1, "full"), 'padding must be a number of cells, "valid" or'),
        (lambda: transposed_size(1, 3, 1, 2), "1 cells become -1: padding=2 leaves nothing"),
        (lambda: transposed_size(4, 3, 2, 0, 1, 2), "output_padding must be 0 to 1, not 2"),
    ],
)
def test_sizes_that_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# 2. Receptive fields, against the support of the input's gradient


def with_positive_weights(model):
    for weight in model.trainable_weights:
        fan = math.prod(weight.shape[:-1]) or 1
        vector = len(weight.shape) < 2
        zero = weight.name in ("bias", "beta")
        low, high = (1, 1) if vector else (0.5 / fan, 1.5 / fan)
        weight.assign(np.zeros(weight.shape) if zero else RNG.uniform(low, high, weight.shape))
    return model


def supports(model, size, cells):
    """For each cell, at the same place along every axis: the first and last pixel of each axis."""
    pictures = tf.fill((1, *size, model.inputs[0].shape[-1]), 99.0)  # of light, for the colouriser
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(pictures)
        output = model(pictures, training=False)
        picked = [tf.reduce_sum(output[(0, *[cell] * len(size))]) for cell in cells]
    found = []
    for cell in picked:
        seen = np.abs(tape.gradient(cell, pictures).numpy()[0]).sum(-1) > 0
        axes = [tuple(set(range(seen.ndim)) - {axis}) for axis in range(seen.ndim)]
        along = [np.flatnonzero(seen.any(axis=others)) for others in axes]
        found.append([(pixels[0], pixels[-1]) for pixels in along])
    return np.array(found)  # (cells, axes, 2)


def per_axis(value, count):
    return [float(number) for number in (value if isinstance(value, tuple) else [value] * count)]


def assert_measured(model, size, period=1):
    """The last row, at cells in the middle, of `period` neighbours each."""
    last = inspect(model, size).iloc[-1]
    count = len(size)
    begin = min(last.output[:count]) // 2 // period * period
    cells = range(begin, begin + 2 * period + 1)
    found = supports(model, size, cells)
    assert (found[..., 0] > 0).all(), "the picture is too small for the test"
    assert (found[..., 1] < np.array(size) - 1).all(), "the picture is too small for the test"
    field, jump, start = (per_axis(last[name], count) for name in ("field", "jump", "start"))
    np.testing.assert_array_equal((found[..., 1] - found[..., 0] + 1).max(axis=0), field)
    centres = (found[::period].sum(-1) + 1) / 2
    expected = np.array(start) + np.array(cells)[::period, None] * np.array(jump)
    np.testing.assert_allclose(centres, expected, rtol=1e-12)


def conv(*args, **settings):
    return layers.Conv2D(2, *args, **settings)


def inception(x):
    narrow = conv(1, padding="same")(x)
    wide = conv(5, padding="same")(conv(1)(x))
    pooled = layers.AveragePooling2D(3, 1, padding="same")(x)
    return layers.Concatenate()([narrow, wide, pooled])


def lopsided(x):
    """Two branches of which neither sees what the other does."""
    left = layers.Cropping2D(((0, 4), (0, 4)))(x)
    right = layers.Cropping2D(((4, 0), (3, 1)))(x)
    return left + 2 * right


def bottleneck(x):
    y = layers.BatchNormalization()(conv(3, 2, padding="same")(x))
    y = conv(3, padding="same")(layers.ReLU()(y))
    return layers.ReLU()(layers.Add()([y, conv(1, 2)(x)]))


def u_net(x):
    half = layers.AveragePooling2D(2)(conv(3, padding="same")(x))
    quarter = conv(3, padding="same")(layers.AveragePooling2D(2)(half))
    up = layers.Conv2DTranspose(2, 2, 2)(quarter)
    joined = conv(3, padding="same")(layers.Concatenate()([up, half]))
    return layers.UpSampling2D(2)(joined)


def nested(x):
    inner = functional((None, None, 2), conv(3, 2), bottleneck)
    stack = keras.Sequential([keras.Input((None, None, 2)), conv(2), conv(3, dilation_rate=2)])
    return stack(inner(conv(3)(x)))


def shared(x):
    layer = conv(3, 2, padding="same")
    return layer(layer(x))


def smaller_and_back(x):
    return ResizedLike()([layers.AveragePooling2D(2)(x), x])


def middle(x):
    return CroppedLike(middle=True)([x, conv(6)(x)])


def planes(*step):
    return ((41, 44), 2, *step)


NETWORKS = {
    "valid": planes(1, conv(3), conv(5)),
    "same": planes(1, conv(3, padding="same"), conv(5, padding="same")),
    "strided": planes(1, conv(3, 2), conv(3, 2), conv(3)),
    "strided, same, odd and even size": planes(1, *(conv(3, 2, padding="same") for _ in "12")),
    "strides of 3": planes(1, conv(3, 3, padding="same"), conv(3, padding="same")),
    "stride beyond the kernel": planes(1, conv(2, 3, padding="same"), conv(2, padding="same")),
    "even kernels": planes(1, conv(4, padding="same"), conv(2, 2, padding="same"), conv(4)),
    "axes apart": planes(1, conv((3, 5), (2, 1), padding="same"), conv((1, 2))),
    "dilated": planes(1, *(conv(3, padding="same", dilation_rate=rate) for rate in (1, 2, 4))),
    "dilated, even": planes(1, conv(2, padding="same", dilation_rate=(3, 2))),
    "the colouriser's": planes(1, DilatedConv2D(2, 3, padding="same", dilation_rate=2)),
    "padded": planes(1, layers.ZeroPadding2D(((1, 2), (3, 0))), conv(3, 2), conv(3)),
    "cropped": planes(1, layers.Cropping2D(((1, 2), (3, 0))), conv(3, 2), conv(3)),
    "pooled": planes(1, conv(3), layers.AveragePooling2D(3, 2, padding="same"), conv(3)),
    "pooled without strides": planes(1, layers.AveragePooling2D((2, 3)), conv(3)),
    "adaptive": ((40, 44), 2, 1, layers.AdaptiveAveragePooling2D((20, 11)), conv(3)),
    "adaptive, uneven": ((40, 40), 2, 2, layers.AdaptiveAveragePooling2D(16), conv(2)),
    "grouped": planes(1, layers.Conv2D(4, 3, 2, groups=2), layers.Conv2D(4, 3, groups=4)),
    "depthwise": planes(1, layers.DepthwiseConv2D(3, 2, padding="same"), conv(1)),
    "separable": planes(1, layers.SeparableConv2D(3, 3, 2, padding="same"), conv(3)),
    "normalised": planes(
        1, conv(3), layers.Dropout(0.5), layers.LayerNormalization(), layers.Softmax(), conv(3)
    ),
    "dense": planes(1, conv(3), layers.Dense(3), layers.Reshape((39, 42, 3)), conv(3)),
    "inception": planes(1, inception, inception),
    "lopsided": planes(1, conv(3), lopsided),
    "bottleneck": ((81, 84), 2, 1, conv(3), bottleneck, bottleneck),
    "nested": ((101, 104), 2, 1, nested, conv(3)),
    "shared": planes(1, shared, conv(3)),
    "upsampled": planes(2, conv(3, 2), layers.UpSampling2D(2), conv(2)),
    "upsampled, thrice": planes(3, layers.UpSampling2D(3), conv(3, padding="same"), conv(2)),
    "upsampled and strided again": planes(1, layers.UpSampling2D(2), conv(2, 2), conv(3)),
    "upsampled, bilinear": planes(4, layers.UpSampling2D(2, interpolation="bilinear"), conv(2)),
    "upsampled, bilinear, thrice": planes(3, layers.UpSampling2D(3, interpolation="bilinear")),
    "resized": planes(1, layers.Resizing(41 * 2, 44 * 2), conv(2, 2)),
    "resized, uneven": ((40, 40), 2, 3, layers.Resizing(24, 24, interpolation="nearest")),
    "transposed": planes(2, conv(3), layers.Conv2DTranspose(2, 4, 2, padding="same")),
    "transposed, odd": planes(2, layers.Conv2DTranspose(2, 3, 2, padding="same"), conv(3)),
    "transposed, valid": planes(2, layers.Conv2DTranspose(2, 3, 2), conv(3, padding="same")),
    "transposed, stride 1": planes(1, layers.Conv2DTranspose(2, 4, padding="same")),
    "transposed, stride 3": planes(3, layers.Conv2DTranspose(2, 5, 3, padding="same")),
    "transposed, dilated": planes(1, layers.Conv2DTranspose(2, 3, dilation_rate=(2, 3))),
    "transposed, with gaps": planes(3, layers.Conv2DTranspose(2, 2, 3), conv(2)),
    "transposed, output padding": planes(
        2, layers.Conv2DTranspose(2, 3, 2, padding="same", output_padding=0)
    ),
    "u-net": ((48, 48), 2, 4, u_net),
    "resized like": ((40, 44), 2, 2, smaller_and_back),
    "cropped like": planes(
        2, conv(3, padding="same"), lambda x: CroppedLike()([layers.UpSampling2D(2)(x), x])
    ),
    "cropped to the middle": planes(1, conv(3), middle),
    "padded to a multiple": planes(1, conv(3), PaddedToMultiple(16), conv(3, 2)),
    "1-D": ((60,), 2, 1, layers.Conv1D(2, 3, 2), layers.AveragePooling1D(2), layers.Conv1D(2, 2)),
    "1-D, causal": ((60,), 2, 1, layers.Conv1D(2, 3, padding="causal", dilation_rate=2)),
    "1-D, causal and strided": ((60,), 2, 1, layers.Conv1D(2, 4, 3, padding="causal")),
    "1-D, padded": ((60,), 2, 2, layers.ZeroPadding1D((3, 0)), layers.Cropping1D((1, 2)),
                    layers.UpSampling1D(2), layers.SeparableConv1D(2, 3),
                    layers.DepthwiseConv1D(2)),
    "1-D, transposed": ((60,), 2, 2, layers.Conv1DTranspose(2, 4, 2)),
    "3-D": ((13, 34, 37), 1, 1, layers.Conv3D(1, (3, 2, 1), (1, 2, 2), padding="same"),
            layers.AveragePooling3D((1, 2, 2)), layers.Conv3D(1, (3, 1, 2))),
    "3-D, transposed": ((9, 9, 9), 1, 2, layers.Conv3DTranspose(1, 3, 2, padding="same")),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_what_the_gradient_reaches(name):
    size, channels, period, *steps = NETWORKS[name]
    model = functional((*(None for _ in size), channels), *steps)
    assert_measured(with_positive_weights(model), size, period)


def test_the_colouriser():
    model = with_positive_weights(colorization.build(bins=3, width=1 / 64))
    assert_measured(model, (432, 424), period=2)


def test_max_pooling_sees_what_average_pooling_does():
    """Its gradient reaches only the greatest."""
    tables = []
    for kind in ("Max", "Average"):
        one, adaptive, whole = (
            getattr(layers, name)
            for name in (
                f"{kind}Pooling2D",
                f"Adaptive{kind}Pooling2D",
                f"Global{kind}Pooling2D",
            )
        )
        steps = one(3, 2, padding="same"), one((2, 3)), adaptive((5, 4)), whole()
        tables.append(inspect(functional((44, 48, 1), *steps)).drop(columns="kind"))
    np.testing.assert_array_equal(*tables)


def test_unpooling_sees_what_the_maxima_do():
    """Its gradient reaches but one of the pixels."""

    def there_and_back(x):
        pooled, places = MaxPoolingWithIndices(2)(x)
        return MaxUnpooling(2)([conv(3, padding="same")(pooled), places, x])

    found = inspect(functional((44, 48, 1), conv(3), there_and_back)).iloc[-1]
    steps = layers.MaxPooling2D(2), conv(3, padding="same"), layers.UpSampling2D(2)
    expected = inspect(functional((44, 48, 1), conv(3), *steps)).iloc[-1]
    columns = ["output", "field", "jump", "start"]
    assert found[columns].tolist() == [(42, 46, 2), *expected[columns[1:]]]
    assert found.field == 8


def test_the_fields_of_segmenters():
    """572 pixels make 388 cells; of 16 the fourth can see 188 of them, the last 204."""
    table = inspect(unet.build(2, channels=1, filters=1, valid=True), 572)
    last = table.iloc[-1]
    assert (last.output, last.jump) == ((388, 388, 2), 1)
    assert 188 <= last.field <= 204
    for build in (fcn.build, segnet.build):
        assert pd.notna(inspect(build(2), 64).field.iloc[-1])


@pytest.mark.parametrize(
    "step",
    [
        layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.GroupNormalization(1),
        lambda x: layers.Dense(3)(layers.Flatten()(x)),
        lambda x: x * layers.GlobalAveragePooling2D(keepdims=True)(x),  # squeeze and excitation
        lambda x: conv(1)(layers.UpSampling2D(2)(layers.GlobalAveragePooling2D(keepdims=True)(x))),
        lambda x: layers.Reshape((1, 1, -1))(layers.GlobalAveragePooling2D()(x)),
    ],
)
def test_what_looks_at_the_whole_map_sees_what_its_cells_see_of_the_picture(step):
    last = inspect(functional((16, 21, 2), conv(3, 2), step)).iloc[-1]
    # A stride of 2 leaves over the last of 16 rows.
    assert (last.field, last.jump, last.start) == ((15, 21), 0, (7.5, 10.5))


def test_cells_in_another_order():
    """As where a PyTorch network flattens its maps, channels first."""
    steps = layers.Permute((3, 1, 2)), layers.Reshape((2, -1)), layers.Flatten(), layers.Dense(3)
    table = inspect(functional((16, 21, 2), conv(3, 2), *steps))
    assert table.field.isna().tolist() == [False, False, True, True, False, False]
    assert table.field.iloc[-1] == (15, 21)
    assert pd.isna(inspect(functional((9, 9, 9), steps[0], conv(3))).field.iloc[-1])


def test_one_cell_that_is_broadcast():
    def step(x):
        return layers.Multiply()([x, conv((1, 9))(x)])

    last = inspect(functional((7, 9, 2), step)).iloc[-1]
    assert (last.field, last.jump, last.start) == ((1, 9), (1, 0), (0.5, 4.5))


def test_vectors_have_no_field():
    table = inspect(functional((5,), layers.Dense(4), layers.ReLU()))
    assert (table[["field", "jump", "start"]] == "").all(axis=None)
    assert totals(table).tolist() == [24, 20, 4 * (5 + 4 + 4)]


# 3. Sizes, parameters and bytes, against Keras


class Tied(layers.Layer):
    """A dense layer backwards, as in an autoencoder."""

    def __init__(self, dense):
        super().__init__()
        self.dense = dense

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.dense.kernel))


def autoencoder(x):
    dense = layers.Dense(7, name="encoder")
    return Tied(dense)(dense(x))


def anything():
    x = entry = keras.Input((37, 42, 3), name="photo")
    x = layers.Rescaling(1 / 255)(layers.Normalization()(x))
    x = inception(u_net(layers.ZeroPadding2D(((2, 1), (1, 1)))(x)))
    x = layers.PReLU()(layers.SeparableConv2D(4, 3, depth_multiplier=2)(x))
    x = layers.LayerNormalization()(layers.Conv2DTranspose(3, 3, 2, output_padding=1)(x))
    x = nested(layers.SpatialDropout2D(0.1)(conv(1)(ops.relu(x - 1))))
    x = shared(autoencoder(x))
    heads = {"map": layers.Conv2D(1, 1, dtype="mixed_float16")(x), "one": layers.Flatten()(x)}
    return keras.Model(entry, heads)


def test_sizes_parameters_and_bytes_are_keras_own():
    model = anything()
    table = inspect(model)
    assert totals(table).parameters == model.count_params()
    assert table.loc["tied", "parameters"] == 0
    assert (table.kind == "InputLayer").sum() == 1
    once = set(table.index[~table.index.duplicated(keep=False)])
    outputs = {layer.name: layer.output for layer in model.layers if layer.name in once}
    found = keras.Model(model.input, outputs)(np.zeros((1, 37, 42, 3)))
    assert len(found) > 25
    for name, maps in found.items():
        row, layer = table.loc[name], model.get_layer(name)
        assert row.output == maps.shape[1:]
        assert row.memory == maps.numpy().nbytes
        assert name == "tied" or row.parameters == layer.count_params()


def test_a_layer_called_twice_has_its_parameters_once():
    table = inspect(functional((20, 20, 2), shared))
    assert table.output.tolist() == [(20, 20, 2), (10, 10, 2), (5, 5, 2)]
    assert table.parameters.tolist() == [0, 38, 0]
    assert table.macs.tolist() == [0, 100 * 36, 25 * 36]


def test_several_outputs_and_names_of_nested_layers():
    inner = functional((None, None, 2), conv(3, name="a"))
    x = entry = keras.Input((8, 8, 2), name="photo")
    x = keras.Sequential([keras.Input((8, 8, 2)), conv(3, name="b")], name="stack")(x)
    twice = layers.Rescaling(2, name="twice")(inner.input)
    inner = keras.Model(inner.input, {"maps": inner.output, "twice": twice}, name="in")
    model = keras.Model(entry, inner(x))
    table = inspect(model)
    assert table.index[:2].tolist() == ["photo", "stack/b"]
    assert set(table.index[2:]) == {"in/a", "in/twice"}
    assert sorted(table.field[2:]) == [3, 5]


# 4. Multiply-adds


@pytest.mark.parametrize(
    ("layer", "macs", "groups"),
    [
        (layers.Conv2D(12, 3), (8 * 10) * 9 * 6 * 12, 1),
        (layers.Conv2D(12, 3, 2, "same"), (5 * 6) * 9 * 6 * 12, 1),
        (layers.Conv2D(12, 3, groups=3), (8 * 10) * 9 * 6 * 12 // 3, 3),
        (layers.Conv2D(12, 3, groups=6), (8 * 10) * 9 * 12, 6),
        (layers.Conv2D(12, 1), (10 * 12) * 6 * 12, 1),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (8 * 10) * 9 * 12, 6),
        (layers.SeparableConv2D(5, 3, depth_multiplier=2), (8 * 10) * (9 * 12 + 12 * 5), 6),
        (layers.Conv2DTranspose(5, 4, 2), (10 * 12) * 16 * 6 * 5, ""),
        (layers.Dense(7), (10 * 12) * 6 * 7, ""),
        (layers.MaxPooling2D(2), 0, ""),
        (layers.BatchNormalization(), 0, ""),
        (layers.GroupNormalization(2), 0, ""),
        (layers.LayerNormalization((1, 2, 3)), 0, ""),
        (layers.PReLU(), 0, ""),
    ],
)
def test_multiply_adds(layer, macs, groups):
    last = inspect(functional((10, 12, 6), layer)).iloc[-1]
    assert (last.macs, last.groups) == (macs, groups)


def test_multiply_adds_of_other_ranks():
    table = inspect(functional((9, 4), layers.Conv1D(3, 2), layers.Conv1DTranspose(2, 3, 2)))
    assert table.macs.tolist() == [0, 8 * 2 * 4 * 3, 8 * 3 * 3 * 2]
    table = inspect(functional((5, 6, 7, 2), layers.Conv3D(3, (1, 2, 3))))
    assert table.macs.tolist() == [0, (5 * 5 * 5) * 6 * 2 * 3]


@pytest.mark.parametrize(
    ("network", "size", "macs", "field", "stride", "padding"),
    [
        ("MobileNet", 224, 0.569, 315, 32, 126),
        ("VGG16", 224, 15.47, 212, 32, 90),
        ("InceptionV3", 299, 5.713, 1311, 32, 618),
    ],
)
def test_published_networks(network, size, macs, field, stride, padding):
    """10^9 multiply-adds of torchvision and, of MobileNet, the paper; fields of Araujo et al.

    Its "effective padding" says how far the first cell's field overhangs.
    """
    entry = keras.Input((None, None, 3))
    trunk = getattr(keras.applications, network)(
        include_top=False, weights=None, input_tensor=entry
    )
    table = inspect(trunk, size)
    last = table.iloc[-1]
    assert (last.field, last.jump, last.field / 2 - last.start) == (field, stride, padding)
    channels = last.output[-1]
    dense = [(49 * channels, 4096), (4096, 4096), (4096, 1000)]
    head = sum(a * b for a, b in (dense if network == "VGG16" else [(channels, 1000)]))
    assert round((totals(table).macs + head) / 1e9, 3) == macs


def test_mobilenets_of_other_sizes():
    """Million multiply-adds of tables 6 and 7 of Howard et al. 2017."""
    entry = keras.Input((None, None, 3))
    for width, published in ((1.0, [569, 418, 290, 186]), (0.25, [41])):
        x = keras.applications.MobileNet(None, width, include_top=False, weights=None)(entry)
        x = layers.Dense(1000)(layers.GlobalAveragePooling2D()(x))
        model = keras.Model(entry, x)
        for size, millions in zip((224, 192, 160, 128), published, strict=False):
            assert abs(totals(inspect(model, size)).macs / 1e6 - millions) < 0.7


def test_resnet_152_within_a_second():
    """11.3 x 10^9 in table 1 of He et al. 2016; the field is that of Araujo et al."""
    model = keras.applications.ResNet152(weights=None)
    begin = time.perf_counter()
    table = inspect(model)
    assert time.perf_counter() - begin < 1
    assert totals(table).parameters == model.count_params()
    assert round(totals(table).macs / 1e9, 1) == 11.3
    assert table.loc["conv5_block3_out", "field"] == 1507


# 5. What the lectures ask


def lenet():
    return functional(
        (32, 32, 1),
        layers.Conv2D(6, 5, activation="tanh", name="C1"),
        layers.AveragePooling2D(2, name="S2"),
        layers.Conv2D(16, 5, activation="tanh", name="C3"),
        layers.AveragePooling2D(2, name="S4"),
        layers.Flatten(),
        layers.Dense(120, activation="tanh", name="C5"),
        layers.Dense(84, activation="tanh", name="F6"),
        layers.Dense(10, name="output"),
    )


def test_the_quiz():
    """ "Deep learning for computer vision", the slides "Quiz", asked of LeNet-5."""
    table = inspect(lenet())
    assert table.loc["S4", "output"] == (5, 5, 16)  # 1. the blob behind the second pooling
    assert table.loc["C3", "field"] ** 2 == 196  # 2. pixels that one cell depends on
    assert table.macs.astype(int).idxmax() == "C3"  # 3. the layer that is hardest to compute
    assert table.parameters.astype(int).idxmax() == "C5"  # 4. the one of most parameters
    assert totals(table).parameters == 61_706


def test_sizes_on_the_slides():
    last = inspect(functional((100, 100, 3), layers.Conv2D(100, 5))).iloc[-1]
    assert last.output == (96, 96, 100)
    assert math.prod(last.output) == 921_600  # "somewhat too many"
    # "Conv Ops" of the colourisation tutorial: 5x5, a kernel of 3x3
    assert [output_size(5, 3, padding=name) for name in ("same", "valid")] == [5, 3]


def test_dilated_fields_grow_exponentially_and_parameters_linearly():
    steps = [conv(3, padding="same", dilation_rate=2**n) for n in range(5)]
    table = inspect(functional((99, 99, 2), *steps))[1:]
    assert table.field.tolist() == [2 ** (n + 2) - 1 for n in range(5)]
    assert len(set(table.parameters)) == 1
    one = inspect(functional((99, 99, 2), conv(3, dilation_rate=2))).iloc[-1]
    assert (one.field, one.macs) == (5, 95 * 95 * 9 * 4)  # "dilated 5x5 at the cost of a 3x3"


def test_what_separable_grouped_and_1x1_convolutions_save():
    def macs(layer):
        return inspect(functional((14, 14, 512), layer)).macs.iloc[-1]

    full = macs(layers.Conv2D(512, 3, padding="same"))
    separable = macs(layers.SeparableConv2D(512, 3, padding="same"))
    assert separable / full == pytest.approx(1 / 512 + 1 / 9)  # section 3.1 of MobileNets
    assert macs(layers.Conv2D(512, 3, padding="same", groups=2)) == full // 2
    assert macs(layers.Conv2D(64, 1)) == full // 9 // 8


# 6. What is not known, and bad input


class Mean(layers.Layer):
    """Looks at all pixels, and does not say so."""

    def call(self, x):
        return x - ops.mean(x, axis=(1, 2), keepdims=True)


class Scaled(layers.Layer):
    pointwise = True

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:])

    def call(self, x):
        return x * self.scale


def test_what_a_layer_sees_that_is_not_known_stays_unknown():
    table = inspect(functional((9, 9, 2), conv(3), Mean(), conv(3), layers.Flatten()))
    assert table.field.isna().tolist() == [False, False, True, True, True]
    assert table.field.iloc[1] == 3
    assert totals(table).macs == (49 + 25) * 36


def test_a_layer_may_say_that_it_is_pointwise():
    table = inspect(functional((9, 9, 2), conv(3), Scaled(), conv(3)))
    assert table.field.tolist() == [1, 3, 3, 5]
    assert table.macs.tolist() == [0, 49 * 36, 0, 25 * 36]


def test_multiply_adds_that_are_not_known():
    table = inspect(functional((9, 4), layers.Conv1D(4, 3), layers.LSTM(3)))
    assert table.macs.isna().tolist() == [False, False, True]
    assert pd.isna(totals(table).macs)
    assert totals(table).parameters == 52 + 96


def drifting(x):
    """Cells of one branch move by one pixel, those of the other by two."""
    return layers.Add()([layers.Cropping2D(((0, 5), (0, 5)))(x), layers.AveragePooling2D(2)(x)])


def test_sizes_that_keras_does_not_know():
    step = layers.Lambda(lambda x: x, output_shape=(None, 9, 2))
    last = inspect(functional((9, 9, 2), step, conv(1))).iloc[-1]
    assert (last.output, last.parameters) == ((None, 9, 2), 6)
    assert last[["field", "macs", "memory"]].isna().all()


@pytest.mark.parametrize(
    "step",
    [
        layers.Lambda(lambda x: x),
        layers.Permute((2, 1, 3)),
        layers.Reshape((81, 2)),
        layers.LayerNormalization(axis=(1, 2)),
        layers.Resizing(4, 4, antialias=True),
        layers.UpSampling2D(2, interpolation="bicubic"),
        lambda x: layers.Concatenate(axis=1)([x, x]),
        lambda x: x[:, 1:],
        drifting,
    ],
)
def test_fields_that_are_not_known(step):
    assert pd.isna(inspect(functional((9, 9, 2), step)).field.iloc[-1])


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (
            Subclassed(name="mine"),
            8,
            "mine has no graph of layers: needed is a functional model",
        ),
        (keras.Sequential([layers.Dense(2)], name="mine"), 8, "mine has no graph of layers"),
        (
            functional((None, None, 3), conv(3)),
            None,
            r"size, \(None, None, 3\): inspect\(model, s",
        ),
        (functional((None, None, 3), conv(3)), (8, 8, 3), "or 2 of them, for an input of"),
        (functional((None, None, 3), conv(3)), (8, 0), "size must be a positive integer, or 2"),
        (functional((None, None, 3), conv(3, name="c")), 2, "c cannot take this size"),
        (functional((9, 8, 3), conv(3)), 8, r"The model takes \(9, 8, 3\) only, not \(8, 8, 3\)"),
    ],
)
def test_bad_input(model, size, message):
    with pytest.raises(ValueError, match=message):
        inspect(model, size)


def test_several_inputs():
    entries = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    model = keras.Model(entries, layers.Add()(entries), name="pair")
    with pytest.raises(ValueError, match="pair has 2 inputs"):
        inspect(model)


def test_a_nested_model_that_takes_one_size_only():
    inner = functional((8, 8, 2), conv(3))
    inner.name = "inner"
    with pytest.raises(ValueError, match=r"inner takes \(8, 8, 2\) only, not \(7, 7, 2\)"):
        inspect(functional((None, None, 2), conv(3), inner), 9)


def test_channels_first():
    model = functional((2, 8, 8), layers.MaxPooling2D(2, data_format="channels_first", name="p"))
    with pytest.raises(ValueError, match="p has its channels first"):
        inspect(model)


def test_a_sequential_that_has_been_called():
    model = keras.Sequential([layers.Dense(2)])
    model(np.zeros((1, 3)))
    assert totals(inspect(model)).parameters == 8


JAX = """
import keras
from keras import layers
from keras_vision.arithmetic import inspect

assert keras.backend.backend() == "jax"
x = entry = keras.Input((None, None, 3), dtype="uint8")
x = layers.Conv2D(4, 3, 2, padding="same", dtype="mixed_bfloat16")(layers.Rescaling(1 / 255)(x))
x = layers.Conv2DTranspose(4, 4, 2, padding="same")(x) * 2
print(inspect(keras.Model(entry, x), 20)[["field", "macs", "memory"]].to_numpy().tolist())
"""


@pytest.mark.slow
def test_under_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(
        [sys.executable, "-c", JAX], env=environment, check=True, timeout=120, capture_output=True
    )
    rows = [[1, 0, 1200], [1, 0, 4800], [3, 10800, 800], [5, 25600, 6400], [5, 0, 6400]]
    assert eval(found.stdout) == rows
