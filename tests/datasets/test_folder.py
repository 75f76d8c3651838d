import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision import images
from keras_vision.datasets import folder

RED, GREEN, BLUE = (250, 10, 20), (10, 240, 30), (20, 30, 230)


def picture(path, colour=RED, size=(30, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def root(tmp_path):
    picture(tmp_path / "dog/b.PNG", GREEN)
    picture(tmp_path / "dog/a.jpeg", BLUE)
    picture(tmp_path / "Cat/z.Jpg", RED)
    picture(tmp_path / "cow/m.bmp", GREEN)
    picture(tmp_path / "cow/n.gif", BLUE, size=(5, 7))
    return tmp_path


def read(root, **options):
    return list(folder.load(root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


def test_pictures_of_all_kinds(root):
    rows = folder.load(str(root))
    raws = list(rows.as_numpy_iterator())
    assert rows.class_names == ("Cat", "cow", "dog")
    assert names(raws) == ["Cat/z.Jpg", "cow/m.bmp", "cow/n.gif", "dog/a.jpeg", "dog/b.PNG"]
    assert [int(raw["label"]) for raw in raws] == [0, 1, 1, 2, 2]
    colours = [raw["image"][0, 0] for raw in raws]
    np.testing.assert_allclose(colours, [RED, GREEN, BLUE, BLUE, GREEN], atol=3)
    assert raws[2]["image"].shape == (7, 5, 3)


def test_every_fifth_as_in_the_docstring(root):
    for number in range(21):
        picture(root / f"dog/more_{number:02d}.png")
    rows = folder.load(root)
    fifth = np.arange(len(rows)) % 5 == 0
    train, val = rows.select(~fifth), rows.select(fifth)
    assert (len(train), len(val), val.class_names) == (20, 6, rows.class_names)
    assert not set(names(train.as_numpy_iterator())) & set(names(val.as_numpy_iterator()))


def photos():
    noise = np.random.default_rng(0).integers(0, 256, (23, 31, 4), np.uint8)
    rgba = Image.fromarray(noise)
    rgb = rgba.convert("RGB")
    yield from ((mode, rgb.convert(mode), "png") for mode in ("1", "L", "P", "RGB"))
    yield "RGBA", rgba, "png"
    yield "LA", rgba.convert("LA"), "png"
    yield "16 bits", Image.fromarray(noise[..., 0] * np.uint16(257) + np.uint16(1)), "png"
    yield "grey", rgb.convert("L"), "jpg"
    yield "CMYK", rgb.convert("CMYK"), "jpg"
    yield "bmp", rgb, "bmp"
    yield "32 bits", rgba, "bmp"
    yield "gif", rgb.quantize(99), "gif"


def test_pixels_are_those_that_images_reads(root):
    paths = [root / f"Cat/a {kind}.{suffix}" for kind, _, suffix in photos()]
    for path, (_, image, _) in zip(paths, photos(), strict=True):
        image.save(path)
    raws = {root / raw["name"].decode(): raw["image"] for raw in read(root)}
    for path in paths:
        truth = images.read(path).astype(int)
        assert np.ptp(truth) > 100
        np.testing.assert_allclose(raws[path], truth, atol=1, err_msg=path.name)


def test_a_palette_with_alpha(root):
    image = Image.fromarray(np.uint8([[0, 1], [2, 1]]), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(root / "Cat/a.png", transparency=bytes([255, 0, 128]))
    half = (127, 127, 255)  # of blue on white
    truth = [[(255, 0, 0), (255, 255, 255)], [half, (255, 255, 255)]]
    np.testing.assert_array_equal(read(root)[0]["image"], truth)


def test_the_first_frame_of_an_animation(root):
    first, second = (Image.new("RGB", (9, 8), colour) for colour in (RED, GREEN))
    first.save(root / "Cat/a.gif", save_all=True, append_images=[second])
    image = read(root)[0]["image"]
    np.testing.assert_array_equal(image, np.broadcast_to(np.uint8(RED), (8, 9, 3)))


def test_orientation_is_not_applied(root):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.new("RGB", (30, 20)).save(root / "Cat/a.jpg", exif=exif)
    assert read(root)[0]["image"].shape == (20, 30, 3)


def test_bytes(root):
    for raw in read(root, decode=False):
        assert raw["image"] == (root / raw["name"].decode()).read_bytes()


def test_names_in_any_encoding(root):
    path = bytes(root / "dog") + b"/caf\xe9.png"  # Latin-1, which is no UTF-8
    with open(path, "wb") as file:
        Image.new("RGB", (3, 2)).save(file, "PNG")
    assert read(root)[-1]["name"] == b"dog/caf\xe9.png"


def test_hidden_ones_are_passed_over(root):
    (root / "dog/.DS_Store").write_text("")
    (root / "dog/._a.jpeg").write_text("")
    picture(root / ".ipynb_checkpoints/a.png")
    (root / "labels.csv").write_text("")  # not among the pictures
    assert len(read(root)) == 5


def test_what_is_no_picture_is_named(root):
    (root / "dog/notes.txt").write_text("")
    (root / "Cat/scan.tiff").write_bytes(b"")
    (root / "cow/more").mkdir()
    culprits = r"Cat/scan\.tiff, cow/more, dog/notes\.txt"
    with pytest.raises(ValueError, match=f"jpg jpeg png bmp gif.*skip_broken.*: {culprits}"):
        folder.load(root)
    with pytest.warns(UserWarning, match=culprits) as caught:
        assert len(folder.load(root, skip_broken=True)) == 5
    assert caught[0].filename == __file__


HELP = r"(?s:.*one folder a class.*root/cat/1\.jpg)"


def test_no_class_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone is missing" + HELP):
        folder.load(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"not one class folder" + HELP):
        folder.load(tmp_path)
    picture(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"pictures, but no class folder" + HELP):
        folder.load(tmp_path)


def test_a_single_class(tmp_path):
    picture(tmp_path / "cat/a.jpg")
    with pytest.raises(ValueError, match="cat is the only class.* two at least" + HELP):
        folder.load(tmp_path)


def test_an_empty_class(root):
    (root / "ant").mkdir()
    with pytest.raises(ValueError, match="class folders without a picture: ant" + HELP):
        folder.load(root)


def test_pictures_beside_the_class_folders(root):
    picture(root / "stray.jpg")
    with pytest.raises(ValueError, match=r"beside the class folders: stray\.jpg" + HELP):
        folder.load(root)


@pytest.mark.parametrize("splits", [("test", "train"), ("photos",)])
def test_classes_one_level_deeper(tmp_path, splits):
    for split in splits:
        picture(tmp_path / split / "cat/a.jpg")
    fix = f"pass one of these, such as '{tmp_path / splits[-1]}'"
    with pytest.raises(ValueError, match=fix + HELP):
        folder.load(tmp_path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def palette(path):
    Image.new("P", (4, 4)).save(path, "BMP")


def test_a_broken_picture_is_named(root):
    palette(root / "cow/m.bmp")
    problem = r"cow/m\.bmp cannot be read; skip_broken=True.* a BMP with a palette, which"
    with pytest.raises(tf.errors.InvalidArgumentError, match=problem):
        read(root)


def test_broken_pictures_are_left_out_if_asked(root):
    kept = names(read(root))
    broken = [root / f"dog/{kind}.{kind}" for kind in ("jpg", "png", "bmp", "gif")]
    for path in broken:
        picture(path)
        cut(path)
    broken += [root / "dog/empty.png", root / "dog/short.bmp", root / "dog/palette.bmp"]
    broken[-3].write_bytes(b"")
    broken[-2].write_bytes(b"BM")
    palette(broken[-1])
    with pytest.warns(UserWarning, match="7 of 12 rows") as caught:
        raws = read(root, skip_broken=True)
    assert all(path.name in str(caught[0].message) for path in broken)
    assert names(raws) == kept


def test_nothing_is_warned_of_if_all_is_well(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names(read(root, skip_broken=True)) == names(read(root))


@pytest.mark.realdata
def test_real_pictures(data_root):
    rows = folder.load(data_root / "CIFAR-10-images/test")
    labels = rows.columns["label"].numpy()
    assert rows.class_names[:3] == ("airplane", "automobile", "bird")
    assert np.bincount(labels).tolist() == [500] * 10
    for raw in rows.select(slice(0, None, 250)).as_numpy_iterator():
        path = data_root / "CIFAR-10-images/test" / raw["name"].decode()
        assert path.parent.name == rows.class_names[raw["label"]]
        np.testing.assert_allclose(raw["image"], images.read(path).astype(int), atol=1)
