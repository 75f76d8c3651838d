"""Every photo here is made with Pillow or by hand, so that its pixels are known beforehand."""

import io
import os
import resource
import stat
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from keras_vision import images

pytestmark = pytest.mark.filterwarnings("error")

RED, WHITE = (255, 0, 0), (255, 255, 255)
RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
# Smooth, so that no format makes it tiny, and no cut of the file leaves all of it.
SMOOTH = np.indices((24, 36)).sum(0)[..., None] * np.uint8([4, 3, 2]) % 256
SMOOTH = SMOOTH.astype(np.uint8)


def on_white(color, alpha):
    return tuple(round((c * alpha + 255 * (255 - alpha)) / 255) for c in color)


def palette(mode="P", transparency=None):
    image = Image.new(mode, (2, 1), 1 if mode == "P" else (1, 128))
    image.putpalette([9, 9, 9, 10, 20, 30])
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


def png(width, height, bits, kind, rows=b"", transparent=b""):
    """A PNG written by hand: one of any header, whatever its pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))]
    chunks += [(b"tRNS", transparent)] if transparent else []
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = [
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


MODES = [
    (Image.new("1", (2, 1), 1), WHITE),
    (Image.new("1", (2, 1), 0), (0, 0, 0)),
    (Image.new("L", (2, 1), 77), (77, 77, 77)),
    (Image.new("LA", (2, 1), (100, 128)), on_white([100] * 3, 128)),
    (palette(), (10, 20, 30)),
    (palette(transparency=0), (10, 20, 30)),
    (palette(transparency=1), WHITE),
    (palette(transparency=b"\xff\x40"), on_white([10, 20, 30], 64)),
    (palette("PA"), on_white([10, 20, 30], 128)),
    (Image.new("RGB", (2, 1), (1, 2, 3)), (1, 2, 3)),
    (Image.new("RGBA", (2, 1), (1, 2, 3, 0)), WHITE),
    (Image.new("RGBA", (2, 1), (1, 2, 3, 255)), (1, 2, 3)),
    (Image.new("RGBA", (2, 1), (10, 200, 30, 99)), on_white([10, 200, 30], 99)),
    (Image.new("RGBX", (2, 1), (1, 2, 3, 0)), (1, 2, 3)),
    (Image.new("CMYK", (2, 1), (0, 255, 255, 0)), RED),
    (Image.new("CMYK", (2, 1), (0, 0, 0, 255)), (0, 0, 0)),
    (Image.new("HSV", (2, 1), (0, 255, 255)), RED),
    (Image.new("I;16", (2, 1), 25700), (100, 100, 100)),
    (Image.new("I;16B", (2, 1), 25700), (100, 100, 100)),
    (Image.new("I;16L", (2, 1), 25700), (100, 100, 100)),
    (Image.new("I;16N", (2, 1), 25700), (100, 100, 100)),
    (Image.new("I", (2, 1), 65535), WHITE),
    (Image.new("I", (2, 1), 129), (1, 1, 1)),
    (Image.new("F", (2, 1), 99.6), (100, 100, 100)),
]
NEAR = [  # by the formulas of JFIF and of CIE Lab (D50, as in ICC), within what 8 bits allow
    (Image.new("YCbCr", (2, 1), (76, 85, 255)), RED, 1),
    (Image.new("LAB", (2, 1), (255, 128, 128)), WHITE, 1),
    (Image.new("LAB", (2, 1), (126, 128, 128)), (118, 118, 118), 1),
    (Image.new("LAB", (2, 1), (138, 209, 198)), RED, 6),
]


def mode_of(value):
    return getattr(value, "mode", "")


@pytest.mark.parametrize(("image", "color"), MODES, ids=mode_of)
def test_every_mode(image, color):
    np.testing.assert_array_equal(images.read(image), [[color, color]])
    assert images.read(image).dtype == np.uint8


@pytest.mark.parametrize(("image", "color", "tolerance"), NEAR, ids=mode_of)
def test_modes_that_round(image, color, tolerance):
    np.testing.assert_allclose(images.read(image)[0, 1].astype(int), color, atol=tolerance)


@pytest.mark.parametrize(
    ("array", "color"),
    [
        (np.uint8([[7]]), 7),
        (np.uint8([[[7]]]), 7),
        (np.uint8([[[7, 0]]]), 255),
        (np.uint8([[[100, 128]]]), on_white([100], 128)[0]),
        (np.uint8([[[1, 2, 3]]]), (1, 2, 3)),
        (np.uint8([[[10, 200, 30, 99]]]), on_white([10, 200, 30], 99)),
        (np.uint16([[128]]), 0),
        (np.uint16([[129]]), 1),
        (np.uint16([[65406]]), 254),
        (np.uint16([[65407]]), 255),
        (np.array([[25700]], ">u2"), 100),
        (np.uint16([[[0, 0, 0, 32896]]]), on_white([0], 128)[0]),
        (np.array([[True]]), 255),
        (np.array([[False]]), 0),
        (np.array([[254]]), 254),
        (np.int8([[100]]), 100),
        (np.uint64([[255]]), 255),
        (np.float32([[[0.4, 99.6, 254.9]]]), (0, 100, 255)),
        (np.float16([[200]]), 200),
        (np.float64([[0, 1]]), [[0, 0, 0], [1, 1, 1]]),
        (np.zeros((1, 1)), 0),
        (np.uint8([[1, 2], [3, 4]])[..., None].transpose(1, 0, 2), [[[1], [3]], [[2], [4]]]),
    ],
)
def test_every_array(array, color):
    expected, seen = np.broadcast_to(np.uint8(color), (*array.shape[:2], 3)), images.read(array)
    np.testing.assert_array_equal(seen, expected)
    assert seen.dtype == np.uint8
    assert seen.flags.c_contiguous


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (1, 70_000)])
def test_thin_photos(tmp_path, size):
    array = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(array).save(tmp_path / "thin.png")
    for photo in (tmp_path / "thin.png", str(tmp_path / "thin.png"), array, array[::-1][::-1]):
        np.testing.assert_array_equal(images.read(photo), array)


def test_nothing_of_the_caller_is_shared_or_changed():
    image, array = Image.fromarray(RGB), RGB.copy()
    for photo in (image, array, array[..., 0], array[None]):
        (photo_read,) = images.read_all(photo)
        photo_read[:] = 0
    np.testing.assert_array_equal(array, RGB)
    np.testing.assert_array_equal(np.asarray(image), RGB)


def test_anything_that_numpy_can_read():
    class Tensor:
        def __init__(self, values):
            self.values, self.ndim = values, values.ndim

        def __array__(self, dtype=None, copy=None):
            if self.values.size == 0:
                raise RuntimeError("still on the device")
            return self.values

    np.testing.assert_array_equal(images.read(Tensor(RGB)), RGB)
    with pytest.raises(ValueError, match="still on the device"):
        images.read(Tensor(RGB[:0]))


# The EXIF standard: where the stored row 0 and column 0 belong.
SIDES = ["top left", "top right", "bottom right", "bottom left"]
SIDES += ["left top", "right top", "right bottom", "left bottom"]


def as_stored(upright, row_side, column_side):
    def place(side, i):
        return i if side in ("top", "left") else upright.shape[side == "right"] - 1 - i

    flipped = row_side in ("left", "right")
    stored = np.zeros_like(upright.swapaxes(0, 1) if flipped else upright)
    for row, column in np.ndindex(stored.shape[:2]):
        at = place(row_side, row), place(column_side, column)
        stored[row, column] = upright[at[::-1] if flipped else at]
    return stored


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = as_stored(RGB, *SIDES[orientation - 1].split())
    for suffix, settings in ((".png", {}), (".tif", {}), (".webp", {"lossless": True})):
        path = tmp_path / f"photo{suffix}"
        Image.fromarray(stored).save(path, exif=exif, **settings)
        np.testing.assert_array_equal(images.read(path), RGB)
        with Image.open(path) as image:
            np.testing.assert_array_equal(images.read(image), RGB)
    blocks = np.kron(stored, np.ones((16, 16, 1), np.uint8))  # so that JPEG hardly loses any
    Image.fromarray(blocks).save(tmp_path / "photo.jpg", exif=exif, quality=95, subsampling=0)
    loss = images.read(tmp_path / "photo.jpg")[8::16, 8::16].astype(int) - RGB
    assert abs(loss).max() < 12
    Image.fromarray(stored[..., 0] * np.uint16(257)).save(tmp_path / "deep.png", exif=exif)
    np.testing.assert_array_equal(images.read(tmp_path / "deep.png")[..., 0], RGB[..., 0])


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"?"])
def test_broken_exif_leaves_the_photo_as_stored(tmp_path, exif):
    Image.fromarray(RGB).save(tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(images.read(tmp_path / "photo.png"), RGB)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tif", ".webp"])
def test_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 3), color) for color in (RED, WHITE)]
    frames[0].save(tmp_path / f"film{suffix}", save_all=True, append_images=frames[1:])
    seen = images.read(tmp_path / f"film{suffix}")
    np.testing.assert_allclose(seen, np.broadcast_to(np.uint8(RED), (3, 4, 3)), atol=1)


def test_sixteen_bit_files(tmp_path):
    deep = np.array([[0, 25700, 65535]], np.uint16)
    for kind in ("<u2", ">u2"):
        for suffix in (".png", ".tif"):
            Image.fromarray(deep.astype(kind)).save(tmp_path / f"deep{suffix}")
            seen = images.read(tmp_path / f"deep{suffix}")
            np.testing.assert_array_equal(seen[0, :, 0], [0, 100, 255])
    row = b"\0" + deep.astype(">u2").tobytes()
    (tmp_path / "deep.png").write_bytes(png(3, 1, 16, 0, row, struct.pack(">H", 25700)))
    np.testing.assert_array_equal(images.read(tmp_path / "deep.png")[0, :, 0], [0, 255, 255])


def test_fifty_megapixels(tmp_path):
    large = Image.new("1", (10_000, 5_000), 1)
    large.paste(0, (0, 2_500, 10_000, 5_000))
    large.save(tmp_path / "large.png")
    seen = images.read(tmp_path / "large.png")
    assert seen.shape == (5_000, 10_000, 3)
    assert seen[:2_500].min() == 255
    assert seen[2_500:].max() == 0


@pytest.mark.parametrize("side", [9_460, 14_000, 60_000])  # Pillow passes, warns, fails; no data
def test_decompression_bombs(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side, 8, 2))
    with pytest.raises(ValueError, match=r"bomb\.png.*MAX_IMAGE_PIXELS = 89478485") as caught:
        images.read(tmp_path / "bomb.png")
    assert isinstance(caught.value.__cause__, Image.DecompressionBombError)


def test_the_pixel_limit_is_pillows(monkeypatch):
    photo = Image.fromarray(RGB)
    for limit, fits in ((35, True), (34, False), (17, False), (None, True)):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        if fits:
            np.testing.assert_array_equal(images.read(photo), RGB)
        else:
            with pytest.raises(ValueError, match=r"7 x 5.*at most.*shrink"):
                images.read(photo)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3)  # is about files, not about arrays
    assert images.read(np.dstack([RGB, RGB[..., 0]])).shape == images.read(RGB).shape
    monkeypatch.undo()
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


def test_no_warning_of_pillow_gets_out(tmp_path):
    whole, name = png(1, 1, 8, 0, b"\0\x07"), b"acTL" + bytes(8)
    chunk = struct.pack(">I", 8) + name + struct.pack(">I", zlib.crc32(name))
    (tmp_path / "photo.png").write_bytes(whole[:33] + chunk + whole[33:])
    with pytest.warns(UserWarning, match="Invalid APNG"), Image.open(tmp_path / "photo.png"):
        pass
    np.testing.assert_array_equal(images.read(tmp_path / "photo.png"), [[[7, 7, 7]]])


def test_two_threads_leave_the_warning_filters_alone(monkeypatch):
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def load(image):  # the second, if it may, comes after the first and stays longer
        if image.width == 2:
            second_in.set()
            first_out.wait(5)
        elif not first_in.is_set():
            first_in.set()
            second_in.wait(0.1)

    monkeypatch.setattr(Image.Image, "load", load)
    before = list(warnings.filters)
    first, second = (
        threading.Thread(target=images.read, args=[Image.new("RGB", (width, 1))])
        for width in (1, 2)
    )
    first.start()
    first_in.wait(5)
    second.start()
    first.join()
    first_out.set()
    second.join()
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        (".jpg", {}),
        (".jpg", {"progressive": True}),
        (".png", {}),
        (".gif", {}),
        (".webp", {}),
        (".tif", {}),
        (".tif", {"compression": "tiff_lzw"}),
        (".bmp", {}),
        (".tga", {}),
        (".jp2", {}),
        (".qoi", {}),
    ],
)
def test_a_cut_file_gives_an_error_or_all_of_the_photo(tmp_path, suffix, settings):
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(SMOOTH).save(path, **settings)
    whole, data = images.read(path), path.read_bytes()
    refusals = []
    for length in [*range(1, 30), *np.linspace(30, len(data) - 1, 30, dtype=int)]:
        path.write_bytes(data[:length])
        try:
            np.testing.assert_array_equal(images.read(path), whole)
        except ValueError as error:
            refusals.append(error)
    assert len(refusals) > 40
    assert all(path.name in str(error) and error.__cause__ for error in refusals)


FILES = {
    "page.jpg": (b"<!DOCTYPE html>", r"page\.jpg.*whole image.*begins with b'<!DOCTYPE html"),
    "empty.jpg": (b"", r"empty\.jpg.*file is empty"),
    "noise.png": (bytes(range(256)), r"noise\.png.*whole image"),
    "broken.png": (png(9, 9, 8, 2, b"\0"), r"broken\.png.*whole image"),
    "odd.png": (png(9, 9, 77, 2, b"\0"), r"odd\.png.*whole image"),
    "empty.png": (png(0, 9, 8, 2, b"\0"), r"empty\.png"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_photos(tmp_path, name):
    data, message = FILES[name]
    (tmp_path / name).write_bytes(data)
    for path in (tmp_path / name, str(tmp_path / name)):
        with pytest.raises(ValueError, match=message):
            images.read(path)
    with pytest.raises(ValueError, match="image 2 of 2: .*" + message):
        images.read_all([RGB, tmp_path / name])


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^'.*gone\.jpg': no such file"):
        images.read(tmp_path / "gone.jpg")
    with pytest.raises(FileNotFoundError, match=r"^image 2: '.*gone\.jpg'"):
        images.read_all(iter([RGB, tmp_path / "gone.jpg"]))
    for folder in (tmp_path, str(tmp_path)):
        for verb in (images.read, images.read_all):
            with pytest.raises(ValueError, match="got a folder; pass its files"):
                verb(folder)
    for path in ("a\0b.png", "a" * 5000):
        with pytest.raises(ValueError, match="cannot be opened as a file"):
            images.read(path)


@contextmanager
def without_privileges():
    """Root may do anything, so that permissions are tested as nobody."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_permissions(tmp_path, monkeypatch):
    images.save(tmp_path / "secret.png", RGB)  # also loads Pillow's plugins
    (tmp_path / "secret.png").chmod(0)
    tmp_path.chmod(0o555)
    monkeypatch.chdir(tmp_path)  # as nobody may not walk down to it
    with without_privileges():
        with pytest.raises(PermissionError, match=r"image 1 of 1: 'secret\.png': no permission"):
            images.read_all(["secret.png"])
        with pytest.raises(PermissionError, match=r"new\.png': no permission to write"):
            images.save("new.png", RGB)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.png"]


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (None, "got None"),
        (b"\x89PNG", "got bytes.*BytesIO"),
        (7, "got int"),
        ([RGB], "got list.*read_all"),
        (np.float32([[0, np.nan]]), "NaN or inf"),
        (np.float32([[0, np.inf]]), "NaN or inf"),
        (np.float16([[0, -np.inf]]), "NaN or inf"),
        (np.float32([[0, 255.5]]), r"expected 0\.\.255, got 0\.\.255\.5"),
        (np.float32([[-0.5, 3]]), r"got -0\.5\.\.3"),
        (np.float32([[0, 0.5, 1]]), "look like 0..1; multiply by 255"),
        (np.int16([[-1]]), r"got -1\.\.-1"),
        (np.int32([[256]]), r"got 256\.\.256.*uint16"),
        (np.int64([[70_000]]), r"got 70000\.\.70000"),
        (np.complex64([[1]]), "dtype complex64: expected integers, floats or bool"),
        (np.array([[None]]), "dtype object: expected integers"),
        (np.array([["a"]]), "expected integers, floats or bool"),
        (np.zeros(()), r"shape \(\)"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((2, 3, 4, 3)), r"shape \(2, 3, 4, 3\).*read_all"),
        (np.zeros((3, 8, 8)), r"shape \(3, 8, 8\).*transpose\(1, 2, 0\)"),
        (np.zeros((8, 8, 5)), "1 to 4 channels"),
        (np.zeros((8, 8, 0)), "1 to 4 channels"),
        (np.zeros((0, 8, 3)), "at least one pixel"),
        (np.zeros((8, 0), np.uint8), "at least one pixel"),
        (Image.new("I", (1, 1), 65536), r"PIL image I \(1, 1\).*expected 0\.\.65535, got 65536"),
        (Image.new("I", (1, 1), -1), "got -1"),
        (Image.new("F", (1, 1), float("nan")), "NaN"),
        (Image.new("F", (1, 1), 255.5), r"255\.5"),
        (Image.new("F", (1, 1), 0.5), "look like 0..1"),
        (Image.new("RGB", (0, 4)), r"PIL image RGB \(0, 4\).*no pixels"),
    ],
)
def test_refusals(photo, message):
    with pytest.raises(ValueError, match=message):
        images.read(photo)
    with pytest.raises(ValueError, match=f"^image 3 of 3: .*{message}"):
        images.read_all([RGB, RGB, photo])


def test_a_pil_image_of_a_cut_file_names_its_file(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    image = Image.open(tmp_path / "cut.png")
    with pytest.raises(ValueError, match=r"cut\.png.*whole image"):
        images.read(image)
    image.close()
    with pytest.raises(ValueError, match="image 1 of 1: PIL image"):
        images.read_all([image])


def test_a_lack_of_memory_is_not_the_photos_fault(monkeypatch):
    def load(image):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(MemoryError):
        images.read(Image.new("L", (1, 1)))


def test_read_all_takes_every_form(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "photo.png")
    path, image, grey = tmp_path / "photo.png", Image.fromarray(RGB), RGB[:2, :, :1]
    for one in (
        path,
        str(path),
        image,
        RGB,
        RGB[None],
        [RGB],
        iter((path,)),
        np.array([str(path)]),
    ):
        (seen,) = images.read_all(one)
        np.testing.assert_array_equal(seen, RGB)
    for several in ((path, grey, image), [path, grey, image], iter([path, grey, image])):
        seen = images.read_all(several)
        assert [photo.shape for photo in seen] == [(5, 7, 3), (2, 7, 3), (5, 7, 3)]
        np.testing.assert_array_equal(seen[1], np.repeat(grey, 3, axis=2))
    batch = np.stack([RGB, 255 - RGB])
    np.testing.assert_array_equal(images.read_all(batch), batch)
    np.testing.assert_array_equal(images.read_all(batch[..., :1])[1], batch[1][..., [0, 0, 0]])
    assert len(images.read_all(np.zeros((4, 9, 3)))) == 1  # rank 3 is one photo
    assert images.read_all([]) == images.read_all(np.zeros((0, 4, 4, 3))) == []


def test_read_all_counts_in_batches():
    batch = np.zeros((10, 4, 4, 3), np.float32)
    batch[2, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^image 3 of 10: array of shape \(4, 4, 3\)"):
        images.read_all(batch)
    for nothing in (None, 7, b"PNG"):
        with pytest.raises(ValueError, match="expected a path, PIL image or array"):
            images.read_all(nothing)


@pytest.mark.parametrize("suffix", images.FORMATS)
def test_save_and_read(tmp_path, suffix):
    path = tmp_path / f"photo{suffix.upper()}"
    images.save(str(path), SMOOTH[:, ::-1])
    loss = abs(images.read(path).astype(int) - SMOOTH[:, ::-1])
    lossy = {".jpg": 4, ".jpeg": 4, ".webp": 8}
    assert loss.mean() <= lossy.get(suffix, 0)
    with Image.open(path) as image:
        assert image.format == images.FORMATS[suffix][0]
        if image.format == "JPEG":  # quality 95: the standard's first table entry 16, a tenth
            assert image.quantization[0][0] == 2
            assert JpegImagePlugin.get_sampling(image) == 0
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_save_keeps_what_exists(tmp_path):
    path, other = tmp_path / "photo.png", 255 - RGB
    images.save(path, RGB)
    with pytest.raises(FileExistsError, match=r"photo\.png' exists already: pass overwrite=True"):
        images.save(path, other)
    np.testing.assert_array_equal(images.read(path), RGB)
    with open(path, "rb") as reader:  # who reads the old picture reads it to its end
        old = path.read_bytes()
        images.save(path, other, overwrite=True)
        assert reader.read() == old
    np.testing.assert_array_equal(images.read(path), other)
    images.save(tmp_path / "new.png", RGB, overwrite=True)
    (tmp_path / "link.png").symlink_to(path)
    images.save(tmp_path / "link.png", RGB, overwrite=True)
    np.testing.assert_array_equal(images.read(path), RGB)
    assert (tmp_path / "link.png").is_symlink()
    assert len(list(tmp_path.iterdir())) == 3


def test_save_without_hard_links(tmp_path, monkeypatch):
    def link(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    images.save(tmp_path / "photo.png", RGB)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        images.save(tmp_path / "photo.png", 255 - RGB)
    np.testing.assert_array_equal(images.read(tmp_path / "photo.png"), RGB)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("path", "rgb", "error", "message"),
    [
        ("photo", RGB, ValueError, r"photo'.*suffix of \.png .*got ''"),
        ("photo.xyz", RGB, ValueError, r"got '\.xyz'"),
        ("gone/photo.png", RGB, FileNotFoundError, r"gone/photo\.png'.*mkdir"),
        ("old.png/photo.png", RGB, OSError, r"old\.png/photo\.png' was not written"),
        ("photo.png", RGB.astype(np.float32), ValueError, r"photo\.png.*got float32 \(5, 7, 3\)"),
        ("photo.png", RGB[..., 0], ValueError, r"uint8 \(5, 7\)"),
        ("photo.png", RGB[..., :2], ValueError, r"uint8 \(5, 7, 2\)"),
        ("photo.png", RGB[:0], ValueError, r"uint8 \(0, 7, 3\)"),
        ("photo.png", [[1]], ValueError, "got list"),
        ("photo.png", None, ValueError, "got NoneType"),
        ("photo.jpg", np.zeros((1, 66_000, 3), np.uint8), ValueError, r"photo\.jpg.*try \.png"),
        ("photo.webp", np.zeros((17_000, 1, 3), np.uint8), ValueError, r"webp.*try \.png"),
    ],
)
def test_save_refuses(tmp_path, monkeypatch, path, rgb, error, message):
    monkeypatch.chdir(tmp_path)
    images.save("old.png", RGB)
    with pytest.raises(error, match=message):
        images.save(path, rgb)
    assert os.listdir(tmp_path) == ["old.png"]


def test_save_refuses_what_is_no_path():
    for path in (None, 7, io.BytesIO()):
        with pytest.raises(ValueError, match="expected the path"):
            images.save(path, RGB)


def test_a_full_disk_leaves_the_old_picture(tmp_path):
    path = tmp_path / "photo.bmp"
    images.save(path, RGB)
    noise = np.random.default_rng(2).integers(0, 256, (99, 99, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for target, overwrite in ((path, True), (tmp_path / "new.bmp", False)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, limits[1]))  # a third of the noise
        try:
            with pytest.raises(OSError, match=f"{target.name}' was not written: File too large"):
                images.save(target, noise, overwrite)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["photo.bmp"]
    np.testing.assert_array_equal(images.read(path), RGB)


WRITER = """
import os, sys, numpy as np
from keras_vision import images
import PIL.BmpImagePlugin
if sys.argv[2] == "no links":
    def link(*paths): raise PermissionError
    os.link = link
rgb = np.full((8, 8, 3), int(sys.argv[1]), np.uint8)
print("ready", flush=True)
for line in sys.stdin:
    try:
        images.save(line.strip(), rgb)
        print("won", flush=True)
    except FileExistsError:
        print("lost", flush=True)
"""


@pytest.mark.parametrize("links", ["links", "no links"])
def test_of_two_processes_one_saves(tmp_path, links):
    folder = Path(images.__file__).parent.parent
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": folder}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(color), links], **pipes)
        for color in (10, 20)
    ]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    for i in range(150):
        for writer in writers:
            writer.stdin.write(f"{tmp_path / str(i)}.bmp\n")
            writer.stdin.flush()
        results = [writer.stdout.readline() for writer in writers]
        assert sorted(results) == ["lost\n", "won\n"]
        color = (10, 20)[results.index("won\n")]
        assert (images.read(tmp_path / f"{i}.bmp") == color).all()
    for writer in writers:
        writer.communicate()
    assert len(os.listdir(tmp_path)) == 150


@pytest.mark.parametrize(
    ("shape", "short", "expected"),
    [
        ((60, 90), 30, (30, 45)),
        ((10, 40), 20, (20, 80)),
        ((3, 500), 520, (12, 2080)),
        ((500, 1), 64, (500, 1)),
        ((1024, 8192), 512, (512, 4096)),
        ((100, 3000), 200, (100, 3000)),
    ],
)
def test_scaled_photos_do_not_become_huge(shape, short, expected):
    found = images.scaled(np.zeros((*shape, 3), "uint8"), short)
    assert found.shape == (*expected, 3)
