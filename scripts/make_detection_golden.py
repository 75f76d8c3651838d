"""Writes tests/detection/golden_torchvision.npz: what torchvision's RetinaNet says and finds.

python scripts/make_detection_golden.py

Its weights are drawn as in make_classifier_golden.py; it has a sixteenth of the channels. Needs
`pip install -e ".[bench,test]" torchvision`.
"""

from pathlib import Path

import numpy as np
from make_classifier_golden import FACTOR, drawn, narrowed

GOLDEN = Path(__file__).parent.parent / "tests" / "detection" / "golden_torchvision.npz"
CLASSES, FILTERS = 5, 16
SHORT, LONG = 128, 213
SIZES = ((96, 96), (75, 121))
EVERY = 7  # of so many anchors one is kept


def photo(height, width):
    """uint8 (height, width, 3): noise on blocks of colour."""
    random = np.random.default_rng(height)
    blocks = random.integers(0, 200, (8, 8, 3)).repeat(16, axis=0).repeat(16, axis=1)
    noise = random.integers(0, 56, (height, width, 3))
    return (blocks[:height, :width] + noise).astype("uint8")


def state_of(shapes):
    """{name: array} of {name: shape}."""
    return {name: scale_of(name) * drawn(name, shape) for name, shape in shapes.items()}


def scale_of(name):
    """By which boxes stay near their anchors, and scores apart from 0 and 1; and a BatchNorm sees
    variances that are so small that its epsilon matters.
    """
    ends = {
        ".bbox_reg.": 0.02,
        ".cls_logits.": 0.02,
        ".layer1.0.conv1.": 1e-2,
        ".layer1.0.bn1.running_mean": 1e-2,
        ".layer1.0.bn1.running_var": 1e-4,
    }
    return np.float32(next((scale for end, scale in ends.items() if end in name), 1))


def main():
    import torch
    from torchvision.models import resnet18
    from torchvision.models.detection import RetinaNet
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    body = narrowed(resnet18(), FACTOR)
    layers = {"layer2": "0", "layer3": "1", "layer4": "2"}
    channels = [64 * 2**level // FACTOR for level in (1, 2, 3)]
    top = LastLevelP6P7(FILTERS, FILTERS)
    backbone = BackboneWithFPN(body, layers, channels, FILTERS, top)
    sizes = {"min_size": SHORT, "max_size": LONG}
    model = RetinaNet(backbone, CLASSES, **sizes, detections_per_img=300).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0  # as with its published weights
    state = {n: a for n, a in model.state_dict().items() if not n.endswith("tracked")}
    shapes = {name: tuple(array.shape) for name, array in state.items()}
    arrays = {name: torch.from_numpy(array) for name, array in state_of(shapes).items()}
    model.load_state_dict(arrays, strict=False)
    found = {
        "names": np.array(list(shapes)),
        "shapes": np.array([" ".join(map(str, shape)) for shape in shapes.values()]),
    }
    for size in SIZES:
        image = torch.from_numpy(photo(*size)).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            (detections,) = model([image])
            seen, _ = model.transform([image])
            maps = list(model.backbone(seen.tensors).values())
            raw = model.head(maps)
            (anchors,) = model.anchor_generator(seen, maps)
        place = f"{size[0]}x{size[1]}"
        found |= {f"{place}/{name}": of.numpy() for name, of in detections.items()}
        found[f"{place}/classes"] = raw["cls_logits"][0, ::EVERY].numpy()
        found[f"{place}/deltas"] = raw["bbox_regression"][0, ::EVERY].numpy()
        found[f"{place}/anchors"] = anchors[::EVERY].numpy()
    np.savez_compressed(GOLDEN, **found)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
