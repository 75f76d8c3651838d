"""U-Net: Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image
Segmentation" (figure 1).
"""

from pathlib import Path

from keras import Input, Model, layers

from keras_vision import weights as files
from keras_vision.classification import published
from keras_vision.layers import CroppedLike, PaddedToMultiple, SeenAt, normalization

SHIPPED = {"shapes": Path(__file__).parent / "shipped" / "shapes.weights.h5"}
FORMS = {"shapes": {"filters": 16, "norm": True, "short": 128}}
DEPTH = 4  # poolings


def build(
    classes=None, weights=None, channels=3, filters=None, valid=False, norm=None, short=None
):
    """Maps pictures (B, H, W, channels) in 0..255 to logits (B, H, W, classes).

    weights: None; "shapes", which come with this package: of `datasets.shapes`, with the
        background as class 0; or a path: `.keras` or `.weights.h5`.
    filters: of the finest maps; each pooling doubles them.
    valid: whether convolutions do without padding, as in the paper. Then the logits are of the
        middle, 572x572 pixels make 388x388, and H and W must be 16 n + 12, 188 at least. With one
        channel and two classes that network has 31,030,658 parameters. Otherwise any size will do.
    norm: whether a BatchNorm follows each convolution, as it does not in the paper.
    short: the short side, in pixels, of photos as `segment` shows them to it; None is their own.

    None is what "shapes" has, or else 64 filters, no BatchNorm, the photos' own size; the classes
    are those of any weights, or else two.
    Raises ValueError where arguments make no network, or another than that of the weights, and
    OSError where weights are not found.
    """
    given = {"filters": filters, "norm": norm, "short": short}
    given = {name: value for name, value in given.items() if value is not None}
    form = {"filters": 64, "norm": False, "short": None, **FORMS.get(weights, {}), **given}
    published.check({"channels": channels, "classes": classes}, "channels", range(1, 5))
    path = weights and files.find(weights, SHIPPED)
    classes = classes or published.classes_of(path, "logits", default=2)
    inputs = Input((None, None, channels), name="image")
    x = published.balanced(SeenAt(form["short"])(inputs))
    x = features(x, form["filters"], valid=valid, norm=form["norm"])
    x = layers.Conv2D(classes, 1, dtype="float32", name="logits")(x)
    model = Model(inputs, x, name="unet")
    if path:
        files.load(model, path)
    return model


def features(x, filters, depth=DEPTH, valid=False, norm=False, skips=True):
    """Maps (B, H, W, C) -> (B, H, W, filters), which know what is around them, too.

    skips: whether the finer maps of the way down are joined to those of the way up.
    """
    padded = x if valid else PaddedToMultiple(2**depth)(x)
    finer, below = down(padded, filters, depth, valid, norm)
    y = up(below, finer, valid, norm, skips)
    return y if valid else CroppedLike()([y, x])


def down(x, filters, depth=DEPTH, valid=False, norm=False):
    """The contracting path: ([maps before each pooling], maps below the last)."""
    finer = []
    for level in range(depth):
        finer.append(convolutions(x, filters * 2**level, valid, norm))
        x = layers.MaxPooling2D(2)(finer[-1])
    return finer, convolutions(x, filters * 2**depth, valid, norm)


def up(x, finer, valid=False, norm=False, skips=True):
    """The expansive path, from the maps below to those of the size and the filters of finer[0]."""
    for beside in reversed(finer):
        filters = beside.shape[-1]
        x = layers.Conv2DTranspose(filters, 2, 2, kernel_initializer="he_normal")(x)
        beside = CroppedLike(middle=True)([beside, x]) if valid else beside
        x = layers.Concatenate()([beside, x]) if skips else x
        x = convolutions(x, filters, valid, norm)
    return x


def convolutions(x, filters, valid, norm):
    padding = "valid" if valid else "same"
    for _ in range(2):
        x = layers.Conv2D(
            *(filters, 3), padding=padding, use_bias=not norm, kernel_initializer="he_normal"
        )(x)
        x = layers.ReLU()(normalization(x) if norm else x)
    return x
