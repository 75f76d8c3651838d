"""`python -m keras_vision segment`: see `keras_vision.__main__`."""

from functools import partial

from keras_vision import images, plots
from keras_vision.datasets import camvid, voc
from keras_vision.segmentation import fcn, segment
from keras_vision.weights import saved_model

WRITES = True
TAKES = "photo", "files of any kind"
KNOWN = {"coco_voc": voc, "camvid": camvid}


def arguments(parser):
    weights = "coco_voc, fetched once; camvid, streets, which the package has; or a .keras file"
    parser.add_argument("--weights", default="coco_voc", help=weights)
    short = "pixels of the photo's short side as the network sees it; by default what it says"
    parser.add_argument("--short", type=int, help=short)


def start(args):
    whole = args.weights.endswith(".keras")
    model = saved_model(args.weights) if whole else fcn.build(weights=args.weights)
    known = KNOWN.get(args.weights)
    draw = (
        partial(plots.labels, names=known.class_names, palette=known.palette)
        if known
        else plots.labels
    )

    def answer(photo):
        rgb = images.read(photo)
        return plots.pixels(draw(rgb, segment(model, rgb, args.short)))

    return answer
