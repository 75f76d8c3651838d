"""Pascal VOC 2012 (Everingham et al. 2010): photos of 20 kinds of objects, pixel by pixel."""

from pathlib import Path

from keras_vision.datasets import _label_maps, check_split
from keras_vision.images import VOID

splits = ("train", "val", "trainval")
class_names = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa",
    "train", "tv monitor",
)  # fmt: skip
LABELS = {**{number: number for number in range(len(class_names))}, 255: VOID}


def colour(label):
    """The official one: the bits of the label, three by three, from the highest bits down."""
    bits = [label >> place & 1 for place in range(9)]
    return tuple(
        sum(bits[3 * step + channel] << 7 - step for step in range(3)) for channel in range(3)
    )


palette = tuple(map(colour, range(len(class_names))))

LAYOUT = """
Expected is the official layout, `root` being the folder VOC2012 with:
    ImageSets/Segmentation/train.txt ...  JPEGImages/*.jpg  SegmentationClass/*.png
Get it from host.robots.ox.ac.uk/pascal/VOC/voc2012."""


def load(split, root, skip_broken=False):
    """`Rows` of one raw dict a photo, in the order of the list:

        image      uint8 (H, W, 3), sRGB of any size
        label_map  int32 (H, W), 0 background, 1..20, and 255 around objects
        name       string (), path below `root`

    split: "train" (1,464 photos), "val" (1,449) or "trainval".
    root: the folder `VOC2012` of the archive.
    skip_broken: leave out photos that cannot be read; one warning names them all. Costs as much
        as reading the split once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a photo whose
    files are broken, of different sizes or with unknown numbers raises
    tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    path = root / f"ImageSets/Segmentation/{split}.txt"
    if not path.is_file():
        inner = sorted(root.glob(f"**/{path.relative_to(root)}"))
        fix = f": root is too high, pass {str(inner[0].parents[2])!r}" if inner else ""
        raise FileNotFoundError(f"{path} is missing{fix}{LAYOUT}")
    names = path.read_text().split()
    pairs = [(f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png") for name in names]
    if not skip_broken:
        _label_maps.refuse_missing(root, [file for pair in pairs for file in pair], LAYOUT)
    rows = _label_maps.rows(root, pairs, LABELS, class_names)
    return _label_maps.loaded(rows, root, LAYOUT, skip_broken)
