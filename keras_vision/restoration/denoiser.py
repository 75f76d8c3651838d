"""A denoiser that need not be told how strong the noise is: a U-Net, or DnCNN, of residuals.

Zhang, Zuo, Chen, Meng, Zhang 2017, "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for
Image Denoising": what the network learns is the noise, which is then taken away.
"""

from pathlib import Path

from keras import Input, Model, layers

from keras_vision import weights as files
from keras_vision.classification import published
from keras_vision.layers import normalization
from keras_vision.segmentation import unet

SHIPPED = {"photos": Path(__file__).parent / "shipped" / "photos.weights.h5"}


def build(weights=None, channels=3, filters=24, depth=3, skips=True):
    """Maps noisy pictures (B, H, W, channels) in 0..255 to clean ones, float32, about 0..255.

    A U-Net: `depth` poolings, which double the filters. Any size.

    weights: None; "photos", which come with this package; or a path: `.keras` or `.weights.h5`.
    skips: whether the way up sees the finer maps of the way down.

    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found.
    """
    return network(
        "denoiser", lambda x: unet.features(x, filters, depth, skips=skips), weights, channels
    )


def dncnn(weights=None, channels=3, filters=64, depth=17):
    """The same by DnCNN: `depth` convolutions of 3x3, all at the picture's own size."""
    return network("dncnn", lambda x: plain(x, filters, depth), weights, channels)


def network(name, features, weights, channels):
    published.check({"channels": channels}, "channels", (1, 3))
    inputs = Input((None, None, channels), name="image")
    x = features(published.balanced(inputs))
    # At first it finds no noise, and lets the picture pass.
    noise = layers.Conv2D(channels, 3, padding="same", kernel_initializer="zeros", name="noise")(x)
    noise = layers.Rescaling(255 / 2, dtype="float32")(noise)
    model = Model(inputs, layers.Subtract(dtype="float32")([inputs, noise]), name=name)
    if weights:
        files.load(model, files.find(weights, SHIPPED))
    return model


def plain(x, filters, depth):
    """Figure 1 of the paper, up to the last convolution."""
    for layer in range(depth - 1):
        x = layers.Conv2D(
            filters, 3, padding="same", use_bias=not layer, kernel_initializer="he_normal"
        )(x)
        x = layers.ReLU()(normalization(x) if layer else x)
    return x
