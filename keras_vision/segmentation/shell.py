"""`python -m keras_vision segment`: see `keras_vision.__main__`."""

from functools import partial

from keras_vision import images, plots
from keras_vision.datasets import shapes, voc
from keras_vision.segmentation import fcn, segment, unet
from keras_vision.weights import saved_model

WRITES = True
TAKES = "photo", "files of any kind"
NETWORKS = {"coco_voc": fcn, "shapes": unet}
NAMES = {
    "coco_voc": {"names": voc.class_names, "palette": voc.palette},
    "shapes": {"names": ("background", *shapes.class_names)},
}


def arguments(parser):
    weights = "coco_voc, fetched once; shapes, which the package has; or a .keras file"
    parser.add_argument("--weights", default="coco_voc", help=weights)
    short = "pixels of the photo's short side as the network sees it; by default what it says"
    parser.add_argument("--short", type=int, help=short)


def start(args):
    network = NETWORKS.get(args.weights)
    model = network.build(weights=args.weights) if network else saved_model(args.weights)
    draw = partial(plots.labels, **NAMES.get(args.weights, {}))

    def answer(photo):
        rgb = images.read(photo)
        return plots.pixels(draw(rgb, segment(model, rgb, args.short)))

    return answer
