"""Downloads COCO 2017 (20 GB) and unpacks it as DIR/coco.

python scripts/download_coco.py DIR
python scripts/download_coco.py DIR --splits val

After an interruption the same command goes on where it stopped. Archives fetched by other means
are taken from DIR/coco/annotations.zip, DIR/coco/val2017.zip and DIR/coco/train2017.zip; once
unpacked they are deleted. It takes 41 GB of disk on the way and 22 GB in the end; the val photos
and the annotations alone 3 GB. Each photo has the licence that the annotations name for it.
"""

import argparse
from pathlib import Path

from keras_vision import downloads

URL = "http://images.cocodataset.org"
# Name: path of the archive below the address, its sum, a file that it holds, growth on disk.
ARCHIVES = {
    "annotations": (
        "annotations/annotations_trainval2017.zip",
        "md5:f4bbac642086de4f52a3fdda2de5fa2c",
        "instances_val2017.json",
        3.5,
    ),
    "val2017": (
        "zips/val2017.zip",
        "md5:442b8da7639aecaf257c1dceb8ba8c80",
        "000000000139.jpg",
        1.02,
    ),
    "train2017": (
        "zips/train2017.zip",
        "md5:cced6f7f71b7629ddf16f17bbcfab6b2",
        "000000000009.jpg",
        1.02,
    ),
}


def main(argv=None):
    """Returns 0 when the dataset is there; else raises SystemExit, which says what to do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to put it")
    parser.add_argument(
        "--splits", nargs="+", choices=("train", "val"), default=("train", "val"),
        help="whose photos to fetch (both)",
    )  # fmt: skip
    parser.add_argument("--url", default=URL, help="of the server (%(default)s)")
    args = parser.parse_args(argv)
    wanted = {"annotations", *(f"{split}2017" for split in args.splits)}
    for name, (path, digest, proof, growth) in ARCHIVES.items():
        if name in wanted:
            url = f"{args.url}/{path}"
            downloads.install_or_exit(args.folder / "coco", url, name, proof, digest, growth)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
