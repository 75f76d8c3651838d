"""Writes tests/layers/golden_unpooling.npz: how PyTorch pools, unpools, and takes gradients.

python scripts/make_unpooling_golden.py

Needs `pip install torch`.
"""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent.parent / "tests" / "layers" / "golden_unpooling.npz"
CASES = {  # (size, stride, padding), (height, width)
    "even": ((2, 2, 0), (4, 6)),
    "odd": ((2, 2, 0), (7, 5)),
    "single": ((2, 2, 0), (2, 3)),
    "threes": ((3, 3, 1), (7, 8)),
    "gaps": ((2, 3, 0), (8, 7)),
    "padded_gaps": ((2, 3, 1), (8, 6)),
    "overlapping": ((3, 2, 0), (7, 8)),
    "padded": ((3, 2, 1), (7, 8)),
    "dense": ((3, 1, 1), (4, 5)),
    "nan": ((3, 2, 1), (7, 8)),
    "least": ((3, 2, 1), (7, 8)),
}


def main():
    import torch

    random = np.random.default_rng(0)
    found = {}
    for name, (window, sides) in CASES.items():
        x = random.integers(-3, 4, (2, 3, *sides)).astype("float32")  # few values: many ties
        if name == "nan":
            x[random.uniform(size=x.shape) < 0.15] = np.nan
        if name == "least":
            x[0, :, :3, :3] = x[1, 2] = -np.inf
        x = torch.tensor(x, requires_grad=True)
        pool = torch.nn.MaxPool2d(*window, return_indices=True)
        values, places = pool(x)
        pulled = torch.tensor(random.integers(-9, 10, values.shape), dtype=torch.float32)
        values.backward(pulled)
        maxima = values.detach().requires_grad_()
        maps = torch.nn.MaxUnpool2d(*window)(maxima, places, output_size=sides)
        pushed = torch.tensor(random.integers(-9, 10, maps.shape), dtype=torch.float32)
        maps.backward(pushed)
        found[f"{name}/window"] = window
        found[f"{name}/maps"] = channels_last(x, maps, pushed, x.grad)
        found[f"{name}/maxima"] = channels_last(maxima, places, pulled, maxima.grad)
    np.savez_compressed(GOLDEN, **found)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size / 1e3:.0f} kB")


def channels_last(*tensors):
    return np.stack([x.detach().permute(0, 2, 3, 1).numpy().astype("float32") for x in tensors])


if __name__ == "__main__":
    main()
