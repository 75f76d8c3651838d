"""Writes tests/segmentation/golden_torchvision.npz: what torchvision's FCN-ResNet-50 says.

python scripts/make_segmentation_golden.py

Its weights are drawn as in make_classifier_golden.py; it has a sixteenth of the channels. Needs
`pip install -e ".[bench,test]" torchvision`.
"""

from pathlib import Path

import numpy as np
from make_classifier_golden import DEVIATION, FACTOR, MEAN, filled, narrowed, photos

GOLDEN = Path(__file__).parent.parent / "tests" / "segmentation" / "golden_torchvision.npz"
CLASSES = 5
SIZES = ((96, 96), (75, 121))


def main():
    import torch
    from torchvision.models import resnet50
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    body = narrowed(resnet50(replace_stride_with_dilation=[False, True, True]), FACTOR)
    backbone = IntermediateLayerGetter(body, {"layer4": "out", "layer3": "aux"})
    model = FCN(backbone, *(FCNHead(channels // FACTOR, CLASSES) for channels in (2048, 1024)))
    model, shapes = filled(model.eval())
    found = {
        "names": np.array(list(shapes)),
        "shapes": np.array([" ".join(map(str, shape)) for shape in shapes.values()]),
    }
    for size in SIZES:
        x = (photos(*size) / 255 - np.float32(MEAN)) / np.float32(DEVIATION)
        with torch.inference_mode():
            outputs = model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
        for ours, theirs in (("logits", "out"), ("aux", "aux")):
            logits = outputs[theirs].permute(0, 2, 3, 1).numpy()
            found[f"{size[0]}x{size[1]}/{ours}"] = logits[:, ::5, ::5]
    np.savez_compressed(GOLDEN, **found)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
