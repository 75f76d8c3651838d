"""Puts a checkpoint, or the newest of a training run, into the package, in half precision.

python scripts/ship.py runs/rebalanced/calibrated.keras colorization/shipped/tiny_imagenet
python scripts/ship.py runs/l2 colorization/shipped/tiny_imagenet_l2
python scripts/ship.py out/02_mnist_tensorpack/tuned classification/shipped/mnist
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import h5py

from keras_vision.training.checkpoints import checkpoints

PACKAGE = Path(__file__).parent.parent / "keras_vision"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of the run, its log_dir, or a .keras")
    parser.add_argument("name", help="of the weights, below keras_vision/")
    args = parser.parse_args()
    newest = args.run if args.run.is_file() else list(checkpoints(args.run).values())[-1]
    target = PACKAGE / f"{args.name}.weights.h5"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        half = Path(folder) / "half.weights.h5"
        halve(newest, half)
        shutil.copy(half, target)
    print(f"{newest} -> {target}, {target.stat().st_size / 2**20:.1f} MB")


def halve(checkpoint, target):
    """Copies a `.keras` file's layers, kernels in float16, which Keras loads into float32.

    The small arrays stay as they are: variances of BatchNorm can exceed float16's range.
    """
    weights = zipfile.ZipFile(checkpoint).read("model.weights.h5")
    with h5py.File(io.BytesIO(weights)) as old, h5py.File(target, "w") as new:

        def copy(name, item):
            if name.split("/")[0] == "optimizer":
                return
            if isinstance(item, h5py.Dataset):
                dtype = "float16" if item.ndim > 1 else item.dtype
                # To pack small arrays would cost more than it saves: two kilobytes each.
                packed = {"compression": "gzip"} if item.ndim > 1 else {}
                new.create_dataset(name, data=item[()].astype(dtype), **packed)
            else:
                new.require_group(name)
            new[name].attrs.update(item.attrs)

        old.visititems(copy)


if __name__ == "__main__":
    main()
