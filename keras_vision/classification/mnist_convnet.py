"""The convolutional network of tensorpack's first example, for 28x28 digits."""

from pathlib import Path

from keras import Input, Model, layers, regularizers

from keras_vision.weights import find, load

SHIPPED = Path(__file__).parent / "shipped"

# 3x3 convolutions of 32 filters, and the 2x2 pooling that follows: 28 -> 14 -> 7.
CONVOLUTIONS = (("conv0", "pool0"), ("conv1", None), ("conv2", "pool1"), ("conv3", None))


def build(input_shape=(28, 28, 1), classes=10, decay=0.0, weights=None):
    """Maps pictures (B, 28, 28, 1) in 0..255, light on dark, to logits (B, classes).

    836,522 parameters, 802,816 of them in fc0.

    decay: lambda of lambda / 2 |kernel|^2, which each of the two fully connected layers adds to
        the loss; upstream has 1e-5.
    weights: None, "mnist", or the path of a `.keras` or `.weights.h5` file.
    """
    he = {"kernel_initializer": "he_normal"}  # as upstream; Keras' own costs 0.2 % in epoch 1
    dense = {**he, "kernel_regularizer": regularizers.L2(decay / 2) if decay else None}
    x = inputs = Input(input_shape, name="image")
    x = layers.Rescaling(2 / 255, -1, name="scaled")(x)
    for convolution, pooling in CONVOLUTIONS:
        x = layers.Conv2D(32, 3, padding="same", **he, name=convolution)(x)
        if pooling:
            x = layers.MaxPooling2D(2, name=pooling)(x)
        x = layers.ReLU()(x)  # the same before the pooling, with four times the work
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, activation="relu", **dense, name="fc0")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    logits = layers.Dense(classes, **dense, dtype="float32", name="fc1")(x)
    model = Model(inputs, logits, name="mnist_convnet")
    if weights:
        load(model, find(weights, {"mnist": SHIPPED / "mnist.weights.h5"}))
    return model
