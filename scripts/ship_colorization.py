"""Puts the newest checkpoint of a training run into the package, in half precision.

python scripts/ship_colorization.py runs/rebalanced tiny_imagenet
python scripts/ship_colorization.py runs/l2 tiny_imagenet_l2
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import h5py

from keras_vision import colorization
from keras_vision.colorization.weights import SHIPPED
from keras_vision.training.checkpoints import checkpoints


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder given to train_colorization.py --out")
    parser.add_argument("name", help="tiny_imagenet, or tiny_imagenet_l2 for the L2 twin")
    args = parser.parse_args()
    newest = list(checkpoints(args.run).values())[-1]
    model = colorization.build(bins=None if args.name.endswith("_l2") else 313, weights=newest)
    target = SHIPPED / f"{args.name}.weights.h5"
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.weights.h5"
        half = Path(folder) / "half.weights.h5"
        model.save_weights(whole)
        halve(whole, half)
        shutil.copy(half, target)
    print(f"{newest} -> {target}, {target.stat().st_size / 2**20:.1f} MB")


def halve(source, target):
    """Copies an HDF5 file, its kernels in float16, which Keras loads into float32 variables.

    The small arrays stay as they are: variances of BatchNorm can exceed float16's range.
    """
    with h5py.File(source) as old, h5py.File(target, "w") as new:

        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                dtype = "float16" if item.ndim == 4 else item.dtype
                new.create_dataset(name, data=item[()].astype(dtype), compression="gzip")
            else:
                new.require_group(name)
            new[name].attrs.update(item.attrs)

        old.visititems(copy)


if __name__ == "__main__":
    main()
