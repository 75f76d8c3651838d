"""ImageNet (ILSVRC 2012): 1.28 million photos of 1,000 classes."""

from pathlib import Path

from keras_vision.datasets import _photos, check_split

NAMES = Path(__file__).parent / "names" / "imagenet.txt"

splits = ("train", "val")
wnids, class_names = zip(
    # Words like "tench, Tinca tinca". WordNet has two cranes, which are told apart here.
    *(line.split("\t") for line in NAMES.read_text().splitlines()),
    strict=True,
)
LABELS = {wnid: label for label, wnid in enumerate(wnids)}

DEVKIT = "ILSVRC2012_devkit_t12/data"
TRUTH = f"{DEVKIT}/ILSVRC2012_validation_ground_truth.txt"
LAYOUT = f"""
Expected is the official layout, or some classes of it:
    train/<wnid>/*.JPEG
    val/<wnid>/*.JPEG
or the val pictures as they come, without folders, beside the official devkit:
    val/ILSVRC2012_val_00000001.JPEG ...
    {TRUTH}
    {DEVKIT}/meta.mat
Get it from https://image-net.org/download.php, and unpack each archive of a class into a folder
of its name."""


def load(split, root, decode=True, skip_broken=False):
    """`Rows` of one raw dict a photo, in the order of their names, class after class.

        image  uint8 (H, W, 3), sRGB of any size; grey and CMYK files become RGB. Photos are not
               turned by their EXIF orientation. With decode=False it is a string (), the bytes
               of the file, for those who decode no more than a crop of it.
        label  int32 (), 0..999, place of the wnid among the sorted ones
        name   string (), path below `root`

    split: "train" (1,281,167 photos) or "val" (50,000).
    root: the folder with `train` and `val`. Val may lie in class folders, or side by side; then
        the devkit has the labels, and reading it needs scipy.
    skip_broken: leave out the files that are no whole photos; one warning names them all. Costs
        as much as reading the split once, before this function returns.

    Raises FileNotFoundError or ValueError if the folder is not as expected. Reading a broken
    photo raises tf.errors.InvalidArgumentError with its name.
    """
    check_split(split, splits)
    root = Path(root).absolute()  # the files are opened later, perhaps from another directory
    in_folders = _photos.folders(root, split, LAYOUT)
    if split == "val" and not in_folders:
        found = _side_by_side(root)
    else:
        found = _photos.by_folder(root, split, LABELS, LAYOUT)
    photos = _photos.rows(root, found, class_names)
    photos = photos.whole() if skip_broken else photos
    return _photos.finished(photos, root, decode)


def _side_by_side(root):
    """[(path below root, label)] of the val pictures, line by line of the devkit's list."""
    files, labels = _photos.pictures(root / "val"), _listed_labels(root)
    if len(files) != len(labels):
        counts = f"{len(files)} pictures in {root / 'val'}, but {len(labels)} lines"
        raise ValueError(f"{counts} in {root / TRUTH}{LAYOUT}")
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, len(labels) + 1)]
    _photos.refuse(set(files) - set(names), f"{root / 'val'}: not a name of the devkit's", LAYOUT)
    return [(f"val/{name}", label) for name, label in zip(names, labels, strict=True)]


def _listed_labels(root):
    """The label of each line of the devkit's list, which has numbers of its own for classes."""
    path, labels = root / TRUTH, []
    label_of = _numbers(_there(root / DEVKIT / "meta.mat"))
    for line, number in enumerate(_there(path).read_text().splitlines(), 1):
        if number.strip() not in label_of:
            raise ValueError(f"{path}, line {line}: expected 1..1000, got {number!r}{LAYOUT}")
        labels.append(label_of[number.strip()])
    return labels


def _numbers(path):
    """{ILSVRC2012_ID as text: label} of the devkit's meta.mat."""
    try:
        from scipy.io import loadmat  # not needed for anything else
    except ImportError as error:
        fix = "pip install scipy, or sort the pictures into folders val/<wnid>"
        raise ImportError(f"{path} cannot be read without scipy: {fix}") from error
    try:
        synsets = loadmat(path, squeeze_me=True)["synsets"]
        wnid_of = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    except Exception as error:  # whatever damaged bytes happen to raise
        raise ValueError(f"{path} has no whole table of synsets: {error}{LAYOUT}") from error
    # Numbers above 1000 are those of groups, such as "dog".
    known = {str(number): LABELS.get(wnid_of.get(number)) for number in range(1, 1001)}
    if set(known.values()) != set(LABELS.values()):
        raise ValueError(f"{path}: its synsets 1..1000 are not those of ILSVRC 2012{LAYOUT}")
    return known


def _there(path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing{LAYOUT}")
    return path
