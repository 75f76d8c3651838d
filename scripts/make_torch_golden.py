"""Writes what tests/test_torch_file.py reads where PyTorch is not installed: tests/golden/torch*.

python scripts/make_torch_golden.py

A checkpoint in both formats of PyTorch, and the bytes of its tensors. Needs
`pip install -e ".[bench,test]"`.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch

TESTS = Path(__file__).parent.parent / "tests"


def main():
    spec = importlib.util.spec_from_file_location("tests", TESTS / "test_torch_file.py")
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    tests.GOLDEN.mkdir(exist_ok=True)
    arrays = {}
    for kind in tests.FORMATS:
        checkpoint = tests.checkpoint(torch, kind)
        tests.save(torch, checkpoint, tests.GOLDEN / f"torch_{kind}.pth", kind)
        for name, tensor in checkpoint["state_dict"].items():
            size = tensor.element_size()
            data = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
            arrays[f"{kind}/{name}"] = data.view(f"V{size}").reshape(tensor.shape)
    np.savez_compressed(tests.GOLDEN / "torch.npz", **arrays)
    print(f"{tests.GOLDEN}: torch_zip.pth, torch_stream.pth, torch.npz")


if __name__ == "__main__":
    main()
