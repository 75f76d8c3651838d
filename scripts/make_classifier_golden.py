"""Writes tests/classification/golden_torchvision.npz: logits of torchvision's networks.

python scripts/make_classifier_golden.py

Their weights are drawn by `drawn`, which the tests do, too, so that they need not be stored; they
have a sixteenth of the channels, so that this takes no time. Needs
`pip install -e ".[bench,test]" torchvision`.
"""

import zlib
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent.parent / "tests" / "classification" / "golden_torchvision.npz"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMES = ("alexnet", "vgg11", "vgg16_bn", "googlenet", "resnet18", "resnet50")
FACTOR = 16
SIZES = ((224, 224), (197, 163))


def drawn(name, shape):
    """The array `name` of a network with random weights, whose signals neither grow nor die."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.standard_normal(shape, "float32")
    if len(shape) > 1:
        return values * np.sqrt(2 / np.prod(shape[1:], dtype="float32"))
    if name.endswith("running_var"):
        return 0.5 + np.abs(values)
    return (1 if name.endswith("weight") else 0) + np.float32(0.1) * values


def photos(height, width):
    """Two pictures (2, H, W, 3) in 0..255, float32."""
    pixels = np.random.default_rng(height).integers(0, 256, (2, height, width, 3))
    return pixels.astype("float32")


def state_of(shapes):
    """{name: array} of {name: shape}."""
    return {name: drawn(name, shape) for name, shape in shapes.items()}


def logits_of(model, pictures):
    """What torchvision's model says of pictures (B, H, W, 3) in 0..255."""
    import torch

    x = (pictures / 255 - np.float32(MEAN)) / np.float32(DEVIATION)
    with torch.inference_mode():
        return model.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()


def filled(model):
    """torchvision's model with weights that are drawn; and {name: shape} of them."""
    import torch

    state = model.state_dict()
    shapes = {n: tuple(a.shape) for n, a in state.items() if not n.endswith("tracked")}
    arrays = {name: torch.from_numpy(array) for name, array in state_of(shapes).items()}
    model.load_state_dict(arrays, strict=False)
    return model, shapes


def narrowed(model, factor):
    """The model with a `factor`th of the channels everywhere but at its two ends."""
    from torch import nn

    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d):
            inputs = (
                module.in_channels if module.in_channels == 3 else module.in_channels // factor
            )
            settings = {"padding": module.padding, "bias": module.bias is not None}
            settings["dilation"] = module.dilation
            new = nn.Conv2d(
                inputs,
                module.out_channels // factor,
                module.kernel_size,
                module.stride,
                **settings,
            )
        elif isinstance(module, nn.BatchNorm2d):
            new = nn.BatchNorm2d(module.num_features // factor, module.eps)
        elif isinstance(module, nn.Linear):
            ends = module.out_features == last.out_features
            outputs = module.out_features if ends else module.out_features // factor
            new = nn.Linear(module.in_features // factor, outputs)
        else:
            continue
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, new)
    return model


def made(models, name, classes):
    """The network `name` of `torchvision.models`."""
    settings = {"num_classes": classes}
    if name == "googlenet":  # as with its published weights
        settings |= {"transform_input": True, "aux_logits": True, "init_weights": False}
    return getattr(models, name)(**settings)


def main():
    from torchvision import models

    found = {}
    for name in NAMES:
        model, shapes = filled(narrowed(made(models, name, 10), FACTOR))
        found[f"{name}/names"] = np.array(list(shapes))
        found[f"{name}/shapes"] = np.array([" ".join(map(str, s)) for s in shapes.values()])
        for size in SIZES:
            found[f"{name}/{size[0]}x{size[1]}"] = logits_of(model, photos(*size))
        if name == "googlenet":
            found |= {f"googlenet/{side}": logits for side, logits in sides_of(model).items()}
    np.savez_compressed(GOLDEN, **found)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size / 1e3:.0f} kB")


def sides_of(model):
    """What the side heads say of 224x224 pixels; torchvision asks them in training only."""
    sides = {}
    for name in ("aux1", "aux2"):
        head = getattr(model, name)
        head.register_forward_hook(lambda _, __, out, name=name: sides.update({name: out.numpy()}))
    for before, head in ((model.inception4a, model.aux1), (model.inception4d, model.aux2)):
        before.register_forward_hook(lambda _, __, out, head=head: [None, head(out)][0])
    logits_of(model, photos(*SIZES[0]))
    return sides


if __name__ == "__main__":
    main()
