"""Photos -> unit vectors: near for what is alike, far for what is not."""

from pathlib import Path

from keras import Model, layers

from keras_vision import weights as files
from keras_vision.classification import resnet
from keras_vision.layers import SeenAt

# Of shipped weights: arguments of `resnet.backbone`, `dim`, `short` and `at`.
FORMS = {
    "omniglot": ({"depth": 18, "small": True, "width": 0.375}, 128, 48, "c4"),
    "faces": ({"depth": 18, "small": True, "width": 0.5}, 128, 64, "c4"),
}
SHIPPED = {name: Path(__file__).parent / "shipped" / f"{name}.weights.h5" for name in FORMS}


def build(backbone=None, dim=128, weights=None, short=None, at="c5"):
    """Maps photos (B, H, W, 3), sRGB in 0..255 and of any size, to unit vectors (B, dim).

    backbone: a model of photos -> {"c5": maps, ...}, such as `classification.resnet.backbone(18)`.
    dim: of the vectors. None leaves out the layer that is learned, and they are the backbone's
        own, the means of c5 at length 1.
    weights: None; of those that come with this package, with backbones of their own, "omniglot",
        of handwritten characters, dark on light, or "faces", for lessons: see their model card for
        what it must not be used for; or a path: `.keras` or `.weights.h5`.
    short: the short side, in pixels, of photos as `embed` shows them to it; None is their own.
    at: which of the backbone's maps; what comes after them is left out.

    Raises ValueError where neither weights nor a backbone are given, the backbone lacks such maps,
    or weights do not fit, and OSError where weights are not found.
    """
    path = weights and files.find(weights, SHIPPED)
    if weights in FORMS:
        form, dim, short, at = FORMS[weights]
        backbone = resnet.backbone(**form)
    if backbone is None:
        raise ValueError(
            "expected a backbone, such as classification.resnet.backbone(18), or weights"
        )
    maps = getattr(backbone, "output", None)  # a Sequential has none
    maps = maps if isinstance(maps, dict) else {}
    if at not in maps:
        raise ValueError(
            f"expected a backbone of photos -> {{{at!r}: maps, ...}}, such as "
            f"classification.resnet.backbone(18); {backbone.name} has {list(maps) or 'no names'}"
        )
    maps = Model(backbone.input, maps[at], name=f"{backbone.name}_to_{at}")
    x = maps(SeenAt(short)(backbone.input))
    x = layers.GlobalAveragePooling2D(dtype="float32", name="pooled")(x)
    if dim:
        x = layers.Dense(dim, dtype="float32", name="embedding")(x)
    x = layers.UnitNormalization(dtype="float32", name="unit")(x)
    model = Model(backbone.input, x, name="embedder")
    if path:
        files.load(model, path)
    return model
