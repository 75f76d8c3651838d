"""What the published classifiers share: where they lie, what they see, and how they are read."""

import h5py
from keras import layers

from keras_vision import torch_file, torch_weights, weights

TORCHVISION = "https://download.pytorch.org/models"
# Mean and deviation of ImageNet's red, green and blue, in 0..1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def standardized(x):
    """sRGB (B, H, W, 3) in 0..255 -> about -2..2, as most networks of torchvision see photos."""
    scale = [1 / (255 * deviation) for deviation in DEVIATION]
    offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
    # In float32: bfloat16 would round the pixels to steps of one or two.
    return layers.Rescaling(scale, offset, dtype="float32", name="standardized")(x)


def balanced(x):
    """sRGB (B, H, W, 3) in 0..255 -> -1..1, as Google's networks see photos."""
    return layers.Rescaling(1 / 127.5, -1, dtype="float32", name="balanced")(x)


def torchvision(name):
    """(address, digest) of a file whose name ends with the start of its SHA-256."""
    return f"{TORCHVISION}/{name}.pth", f"sha256:{name.rpartition('-')[2]}"


def load(model, path, ignore="$"):
    """Fills the model from a file of Keras, or a `.pth` of torchvision; see `weights.load`."""

    def load_torch(model, path):
        torch_weights.load(model, path, ignore)

    weights.load(model, path, {".pth": load_torch})


def classes_of(path, head, default=1000):
    """How many outputs the layer `head` of a file has; `default` where there is none.

    Whether the file is whole and fits is for `load` to say.
    """
    if path is None:
        return default
    try:
        if path.suffix == ".pth":
            return len(torch_file.state_dict(path)[f"{head}.weight"])
        with weights.opened(path) as file:
            return max(outputs(file, head), default=default)
    except (KeyError, ValueError):
        return default


def outputs(file, head):
    """The last sizes of the arrays in an HDF5 file's group that is, or says that it is, `head`."""
    found = []

    def note(name, item):
        if isinstance(item, h5py.Group) and head in (name, item.attrs.get("name")):
            item.visititems(lambda _, array: found.append(getattr(array, "shape", (0,))[-1]))

    file.visititems(note)
    return found


def check(form, name=None, table=()):
    """Raises ValueError where the argument `name` of a network is not one of its table, or the
    width or the number of classes make none.
    """
    if name and form[name] not in table:
        known = ", ".join(map(repr, table))
        raise ValueError(f"{name} must be one of {known}, not {form[name]!r}")
    if "width" in form and not 1 / 32 <= form["width"] < float("inf"):
        raise ValueError(f"width must be 1/32 or more, not {form['width']!r}")
    classes = form.get("classes")
    if classes is not None and not classes >= 1:
        raise ValueError(f"classes must be 1 or more, not {classes!r}")
