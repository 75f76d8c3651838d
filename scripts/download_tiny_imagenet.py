"""Downloads Tiny ImageNet (CS231n, 248 MB) and unpacks it as DIR/tiny-imagenet-200.

python scripts/download_tiny_imagenet.py DIR

After an interruption the same command goes on where it stopped. An archive fetched by other means
is taken from DIR/tiny-imagenet-200.zip; once unpacked it is deleted. It takes 750 MB of disk on
the way and 480 MB in the end. The photos are ImageNet's: its terms hold, research only.
"""

import argparse
from pathlib import Path

from keras_vision import downloads

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"


def main(argv=None):
    """Returns 0 when the dataset is there; else raises SystemExit, which says what to do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to put it")
    parser.add_argument("--url", default=URL, help="of the archive (%(default)s)")
    parser.add_argument("--md5", help="of the archive; known for the default address")
    args = parser.parse_args(argv)
    md5 = args.md5 or (MD5 if args.url == URL else None)
    digest = f"md5:{md5}" if md5 else None
    # Unpacked it is twice as large, as the photos are smaller than a disk's blocks.
    downloads.install_or_exit(
        args.folder, args.url, "tiny-imagenet-200", "wnids.txt", digest, growth=2
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
