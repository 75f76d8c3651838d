"""`python -m keras_vision search`: see `keras_vision.__main__`."""

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_vision import images
from keras_vision.classification import resnet
from keras_vision.datasets import _photos, folder
from keras_vision.metric_learning import Index, embed, embedder
from keras_vision.weights import saved_model

WRITES = False
TAKES = "photo", "files of any kind"
KINDS = (*_photos.SUFFIXES, ".tif", ".tiff", ".webp")


def arguments(parser):
    among = "a folder of photos, with folders in it or not"
    parser.add_argument("--among", type=Path, required=True, help=among)
    weights = (
        "a shipped name or a .keras file; by default what the small classifier of Tiny ImageNet "
        "makes of photos before it names their classes"
    )
    parser.add_argument("--weights", help=weights)
    parser.add_argument("--top", type=int, default=5, help="answers a photo (%(default)s)")


def start(args):
    if args.top < 1:
        raise ValueError(f"--top must be 1 or more, not {args.top}")
    model = chosen(args.weights)
    names, vectors = gallery(model, args.among)
    index = Index(vectors, names)

    def answer(photo):
        # One more, as a photo of the folder does not answer itself.
        found = index.search(embed(model, photo), args.top + 1)
        itself = [(args.among / name).samefile(photo) for name in found["name"]]
        found = found[~np.array(itself)][: args.top]
        return ", ".join(
            f"{row.name} ({row.distance:.2f})"
            for row in found[["name", "distance"]].itertuples(index=False)
        )

    return answer


def chosen(weights):
    if weights is None:
        backbone = resnet.backbone(weights="tiny_imagenet")
        return embedder.build(backbone, dim=None, short=resnet.SIDES["tiny_imagenet"])
    return embedder.build(weights=weights) if weights in embedder.FORMS else saved_model(weights)


def gallery(model, root):
    """(names below root, vectors) of the photos in a folder; tells which cannot be read."""
    names = []

    def readable():
        for name in folder.files(root, KINDS):
            try:
                rgb = images.read(root / name)
            except (OSError, ValueError) as error:
                tqdm.write(f"keras_vision: {error}", file=sys.stderr)
                continue
            names.append(name)
            yield rgb

    vectors = list(embed(model, readable()))
    if not vectors:
        raise ValueError(f"{root}: not one of its pictures can be read")
    return names, np.array(vectors)
