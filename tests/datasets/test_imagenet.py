import csv
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.io import savemat

from keras_vision import images
from keras_vision.datasets import imagenet, tiny_imagenet

# Labels 0, 1, 217 and 999, which are known from the published lists of classes.
TENCH, GOLDFISH, SPRINGER, TISSUE = "n01440764", "n01443537", "n02102040", "n15075141"
RED, GREEN, BLUE, GREY = (250, 10, 20), (10, 240, 30), (20, 30, 230), 99
TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
META = "ILSVRC2012_devkit_t12/data/meta.mat"


def picture(path, colour=RED, size=(60, 40), mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L" if isinstance(colour, int) else "RGB", size, colour)
    image.convert(mode or image.mode).save(path, options.pop("format", "JPEG"), **options)


@pytest.fixture
def root(tmp_path):
    for wnid, colours in {TISSUE: [RED], TENCH: [GREEN, GREY], SPRINGER: [BLUE]}.items():
        for number, colour in enumerate(colours):
            picture(tmp_path / f"train/{wnid}/{wnid}_{number}.JPEG", colour)
    picture(tmp_path / f"val/{GOLDFISH}/ILSVRC2012_val_00000002.JPEG", RED)
    picture(tmp_path / f"val/{TISSUE}/ILSVRC2012_val_00000001.JPEG", BLUE, size=(30, 20))
    return tmp_path


def meta_mat(path):
    """As MATLAB wrote it: classes have numbers in an order of their own, and groups follow."""
    wnids = imagenet.wnids[500:] + imagenet.wnids[:500] + ("n00001740", "n00001930")
    fields = "ILSVRC2012_ID WNID words gloss num_children children wordnet_height num_train_images"
    synsets = np.empty((len(wnids), 1), [(field, object) for field in fields.split()])
    for number, wnid in enumerate(wnids, 1):
        children = [] if number <= 1000 else [1.0, 2.0]
        row = (float(number), wnid, "words", "gloss", len(children), children, 0.0, 1300.0)
        synsets[number - 1, 0] = row
    savemat(path, {"synsets": synsets})
    return path


@pytest.fixture(scope="module")
def meta(tmp_path_factory):
    return meta_mat(tmp_path_factory.mktemp("devkit") / "meta.mat")


@pytest.fixture
def flat(tmp_path, meta):
    """Five val pictures side by side. Number 1 of the devkit is label 500, 501 is label 0."""
    for number, colour in enumerate([RED, GREEN, BLUE, GREY, RED], 1):
        picture(tmp_path / f"val/ILSVRC2012_val_{number:08d}.JPEG", colour)
    (tmp_path / META).parent.mkdir(parents=True)
    shutil.copy(meta, tmp_path / META)
    (tmp_path / TRUTH).write_text("501\n1\n500\n1000\n502\n")
    return tmp_path


def read(split, root, **options):
    return list(imagenet.load(split, root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


def labels(raws):
    return [int(raw["label"]) for raw in raws]


def colours(raws):
    return np.stack([raw["image"][0, 0] for raw in raws])


def test_class_names():
    assert len(set(imagenet.wnids)) == len(set(imagenet.class_names)) == 1000
    assert list(imagenet.wnids) == sorted(imagenet.wnids)
    known = {0: "tench, Tinca tinca", 1: "goldfish", 217: "English springer", 999: "toilet tissue"}
    for label, words in {**known, 134: "crane (bird)", 517: "crane (machine)"}.items():
        assert imagenet.class_names[label].startswith(words)


def test_class_names_are_those_of_tiny_imagenet_where_it_has_the_class():
    ours = dict(zip(imagenet.wnids, imagenet.class_names, strict=True))
    shared = [line.split("\t") for line in tiny_imagenet.NAMES.read_text().splitlines()]
    differ = [(wnid, words) for wnid, words in shared if ours[wnid] != words]
    assert differ == [("n03126707", "crane")]


def test_train(root):
    raws = read("train", str(root))
    assert names(raws) == [
        f"train/{TENCH}/{TENCH}_0.JPEG",
        f"train/{TENCH}/{TENCH}_1.JPEG",
        f"train/{SPRINGER}/{SPRINGER}_0.JPEG",
        f"train/{TISSUE}/{TISSUE}_0.JPEG",
    ]
    assert labels(raws) == [0, 0, 217, 999]
    np.testing.assert_allclose(colours(raws), [GREEN, (GREY,) * 3, BLUE, RED], atol=3)


def test_val_in_folders(root):
    raws = read("val", root)
    assert labels(raws) == [1, 999]
    assert [raw["image"].shape for raw in raws] == [(40, 60, 3), (20, 30, 3)]
    np.testing.assert_allclose(colours(raws), [RED, BLUE], atol=3)


def test_val_side_by_side(flat):
    raws = read("val", flat)
    assert names(raws) == [f"val/ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 6)]
    assert labels(raws) == [0, 500, 999, 499, 1]
    np.testing.assert_allclose(colours(raws), [RED, GREEN, BLUE, (GREY,) * 3, RED], atol=3)


def test_shapes_types_and_length_are_known(root):
    dataset = imagenet.load("train", root)
    spec = {"label": tf.TensorSpec((), tf.int32), "name": tf.TensorSpec((), tf.string)}
    assert len(dataset) == 4
    assert dataset.class_names == imagenet.class_names
    assert dataset.element_spec == {"image": tf.TensorSpec((None, None, 3), tf.uint8), **spec}
    dataset = imagenet.load("train", root, decode=False)
    assert dataset.element_spec == {"image": tf.TensorSpec((), tf.string), **spec}


def test_without_decoding_the_image_is_the_file(root):
    raws = read("train", root, decode=False)
    assert labels(raws) == [0, 0, 217, 999]
    for raw in raws:
        assert raw["image"] == (root / raw["name"].decode()).read_bytes()


def test_the_directory_may_change_between_load_and_reading(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    dataset = imagenet.load("val", root.name)
    monkeypatch.chdir("/")
    assert len(list(dataset)) == 2


def test_pixels_are_those_of_pillow(root):
    noise = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
    photo = Image.fromarray(noise).resize((61, 43), Image.Resampling.BICUBIC)
    folder = root / f"val/{GOLDFISH}"
    for mode in ("L", "RGB", "CMYK"):
        photo.convert(mode).save(folder / f"{mode} high.JPEG", quality=95)
        photo.convert(mode).save(folder / f"{mode} low.JPEG", quality=30)
        photo.convert(mode).save(folder / f"{mode} steps.JPEG", progressive=True)
    raws = {Path(raw["name"].decode()).stem: raw["image"] for raw in read("val", root)}
    assert len(raws) == 11
    for path in folder.glob("* *.JPEG"):
        truth = images.read(path).astype(int)
        np.testing.assert_allclose(raws[path.stem], truth, atol=1, err_msg=path.stem)
    # Not a decoder's word but the original: CMYK is not turned to its negative.
    for mode in ("RGB", "CMYK"):
        assert np.abs(raws[f"{mode} high"].astype(int) - np.asarray(photo)).mean() < 12


def test_a_png_that_is_called_jpeg(root):
    """ImageNet has one, n02105855_2933.JPEG."""
    path = root / f"val/{GOLDFISH}/ILSVRC2012_val_00000002.JPEG"
    noise = np.random.default_rng(0).integers(0, 256, (31, 17, 3), np.uint8)
    Image.fromarray(noise).save(path, "PNG")
    np.testing.assert_array_equal(read("val", root)[0]["image"], noise)


def test_orientation_is_not_applied(root):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    picture(root / f"val/{GOLDFISH}/ILSVRC2012_val_00000002.JPEG", exif=exif)
    assert read("val", root)[0]["image"].shape == (40, 60, 3)


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'test', expected one of train, val"):
        imagenet.load("test", root)


HELP = r"(?s:.*official layout.*train/<wnid>/\*\.JPEG.*meta\.mat.*image-net\.org)"


def test_wrong_root(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path / 'train'} is missing" + HELP):
        imagenet.load("train", tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(FileNotFoundError, match="train: not one class folder" + HELP):
        imagenet.load("train", tmp_path)


def test_root_one_level_too_high(tmp_path):
    inner = tmp_path / "ILSVRC2012"
    picture(inner / f"train/{TENCH}/{TENCH}_0.JPEG")
    with pytest.raises(FileNotFoundError, match=f"one level too high, pass '{inner}'" + HELP):
        imagenet.load("train", tmp_path)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("n00000001/1.JPEG", "train: folders that are no class: n00000001"),
        ("goldfish/1.JPEG", "train: folders that are no class: goldfish"),
        (f"{GOLDFISH}/list.txt", f"train: class folders without a picture: {GOLDFISH}"),
        ("stray.JPEG", "train: pictures beside the class folders: stray.JPEG"),
    ],
)
def test_folders_that_are_not_as_expected(root, name, problem):
    picture(root / "train" / name)
    with pytest.raises(ValueError, match=problem + HELP):
        imagenet.load("train", root)


@pytest.mark.parametrize("gone", [TRUTH, META])
def test_missing_devkit(flat, gone):
    (flat / gone).unlink()
    with pytest.raises(FileNotFoundError, match=f"{flat / gone} is missing" + HELP):
        imagenet.load("val", flat)


@pytest.mark.parametrize("lines", [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6]])
def test_devkit_list_of_the_wrong_length(flat, lines):
    (flat / TRUTH).write_text("".join(f"{line}\n" for line in lines))
    problem = f"5 pictures in {flat / 'val'}, but {len(lines)} lines in .*ground_truth"
    with pytest.raises(ValueError, match=problem + HELP):
        imagenet.load("val", flat)


@pytest.mark.parametrize("line", ["0", "1001", "tench", "", "1 2"])
def test_devkit_line_that_is_no_class(flat, line):
    (flat / TRUTH).write_text(f"501\n1\n{line}\n1000\n502\n")
    with pytest.raises(ValueError, match=r"truth\.txt, line 3: expected 1\.\.1000" + HELP):
        imagenet.load("val", flat)


def test_a_gap_among_the_val_pictures_shifts_no_label(flat):
    (flat / "val/ILSVRC2012_val_00000002.JPEG").rename(flat / "val/ILSVRC2012_val_00000006.JPEG")
    with pytest.raises(ValueError, match="not a name of the devkit's: .*00000006.JPEG" + HELP):
        imagenet.load("val", flat)


@pytest.mark.parametrize("content", [{"synsets": np.zeros(3)}, {"wnids": [1]}, {"synsets": "a"}])
def test_meta_of_another_kind(flat, content):
    savemat(flat / META, content)
    with pytest.raises(ValueError, match=r"meta\.mat has no whole table of synsets" + HELP):
        imagenet.load("val", flat)


def test_damaged_meta(flat):
    data = (flat / META).read_bytes()
    (flat / META).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"meta\.mat has no whole table of synsets" + HELP):
        imagenet.load("val", flat)


def test_meta_of_other_classes(flat, monkeypatch):
    other = {wnid: label for wnid, label in imagenet.LABELS.items() if wnid != TENCH}
    monkeypatch.setattr(imagenet, "LABELS", {**other, "n00000001": 0})
    with pytest.raises(ValueError, match=r"its synsets 1\.\.1000 are not those" + HELP):
        imagenet.load("val", flat)


def test_without_scipy(flat, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"meta\.mat cannot be read without scipy: pip install"):
        imagenet.load("val", flat)


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def page(path):
    path.write_text("<html>404 not found</html>")


@pytest.mark.parametrize("damage", [cut, page, Path.unlink])
@pytest.mark.parametrize("position", [0, 3])
def test_a_broken_photo_is_named_when_its_turn_comes(root, damage, position):
    dataset = imagenet.load("train", root)
    name = names(dataset.as_numpy_iterator())[position]
    damage(root / name)
    raws = iter(dataset)
    for _ in range(position):
        next(raws)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} cannot be read"):
        next(raws)


@pytest.mark.parametrize("decode", [True, False])
def test_broken_photos_are_left_out_if_asked(root, decode):
    broken = f"train/{SPRINGER}/{SPRINGER}_0.JPEG"
    cut(root / broken)
    with pytest.warns(UserWarning, match=f"1 of 4 rows.*{broken}") as caught:
        raws = read("train", root, decode=decode, skip_broken=True)
    assert labels(raws) == [0, 0, 999]
    assert isinstance(raws[0]["image"], np.ndarray if decode else bytes)
    assert caught[0].filename == __file__


def test_all_broken(root):
    for path in (root / "val").glob("*/*"):
        page(path)
    with (
        pytest.warns(UserWarning, match="2 of 2"),
        pytest.raises(FileNotFoundError, match="not one picture can be read"),
    ):
        imagenet.load("val", root, skip_broken=True)


@pytest.fixture
def real(data_root):
    return data_root / "imagenet-sample"


@pytest.mark.realdata
def test_real_classes(real):
    with open(real / "classes.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["wnid"] for row in rows] == list(imagenet.wnids)
    for row in rows:
        words = imagenet.class_names[int(row["index"])].lower()
        assert row["name"].replace("_", " ").lower() in words


@pytest.mark.realdata
def test_real_labels_and_pixels(real):
    with open(real / "val_labels.csv") as file:
        truth = {row["file"]: int(row["index"]) for row in csv.DictReader(file)}
    raws = read("val", real)
    assert {raw["name"].decode(): int(raw["label"]) for raw in raws} == truth
    for raw in raws[::4]:
        with Image.open(real / raw["name"].decode()) as image:
            expected = np.asarray(image.convert("RGB")).astype(int)
        np.testing.assert_allclose(raw["image"], expected, atol=2)
