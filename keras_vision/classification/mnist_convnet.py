"""The convolutional network of tensorpack's first example, for 28x28 digits."""

from pathlib import Path

from keras import Input, Model, layers, regularizers

from keras_vision.weights import find, load

SHIPPED = Path(__file__).parent / "shipped"

# Blocks of 3x3 convolutions, each closed by 2x2 pooling but for the last: 28 -> 14 -> 7.
BLOCKS = (("conv0",), ("conv1", "conv2"), ("conv3",))


def build(input_shape=(28, 28, 1), classes=10, decay=0.0, weights=None):
    """Maps pictures (B, 28, 28, 1) in 0..255, light on dark, to logits (B, classes).

    836,522 parameters, 802,816 of them in fc0.

    decay: lambda of lambda / 2 |kernel|^2, which each of the two fully connected layers adds to
        the loss; upstream has 1e-5.
    weights: None, "mnist", or the path of a `.keras` or `.weights.h5` file.
    """
    regularizer = regularizers.L2(decay / 2) if decay else None
    x = inputs = Input(input_shape, name="image")
    x = layers.Rescaling(2 / 255, -1, name="scaled")(x)
    for number, block in enumerate(BLOCKS):
        if number:
            x = layers.MaxPooling2D(2, name=f"pool{number - 1}")(x)
        for name in block:
            x = layers.Conv2D(32, 3, padding="same", activation="relu", name=name)(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, activation="relu", kernel_regularizer=regularizer, name="fc0")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    logits = layers.Dense(classes, kernel_regularizer=regularizer, dtype="float32", name="fc1")(x)
    model = Model(inputs, logits, name="mnist_convnet")
    if weights:
        load(model, find(weights, {"mnist": SHIPPED / "mnist.weights.h5"}))
    return model
