"""One photo of any kind -> rgb uint8, or one error that says what is wrong with it."""

import os
import stat
import threading
import warnings
from contextlib import contextmanager

import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # the EXIF tag; its values say how to turn the stored pixels upright
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_quiet_lock = threading.Lock()
_quiet = []  # one entry for each thread in which Pillow is at work, and the filters of before


def read(image, place):
    if isinstance(image, (str, os.PathLike)):
        return _from_file(image, f"{place}{os.fspath(image)!r}")
    if isinstance(image, Image.Image):
        label = getattr(image, "filename", "") or f"{image.mode} {image.size}"
        return _from_pil(image, f"{place}PIL image {label}")
    if hasattr(image, "__array__"):
        return _from_array(image, f"{place}array")
    fix = "several photos go to read_all, encoded bytes through PIL.Image.open(io.BytesIO(...))"
    kind = "None" if image is None else type(image).__name__
    raise ValueError(f"{place}expected a path, PIL image or array, got {kind}; {fix}")


def _from_file(path, name):
    head = _head(path, name)
    with _pillow(name, f"this begins with {head!r}"), Image.open(path) as image:
        image = _upright(image)
    return _from_upright(image, name)


def _from_pil(image, name):
    with _pillow(name, "this PIL image fails"):
        image = _upright(image)
    return _from_upright(image, name)


def _from_array(array, name):
    try:
        array = np.asarray(array)
    except Exception as error:  # a tensor in a graph, on a device or with a gradient
        raise ValueError(f"{name}: NumPy cannot read it ({error}); convert it first") from error
    name = f"{name} of shape {array.shape} and dtype {array.dtype}"
    _check_shape(array.shape, name)
    array = _levels(array, name)
    if array.shape[2:] in ((2,), (4,)):
        return np.array(_flat(Image.fromarray(array)))
    channels = array if array.ndim == 3 else array[..., None]
    return np.array(np.broadcast_to(channels, (*array.shape[:2], 3)), order="C")


def _from_upright(image, name):
    if image.mode == "RGB":
        return _pixels(image)
    values = np.asarray(image)
    if image.mode != "F":
        values = _sixteen_bits(values, image.info.get("transparency"), name)
    return _pixels(_flat(Image.fromarray(_levels(values, name))))


def _pixels(image):
    """RGB PIL image -> array, in strips: np.array would hold a large photo three times over."""
    array = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, 2**20 // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        array[top:bottom] = image.crop((0, top, image.width, bottom))
    return array


def _head(path, name):
    """The first bytes of a file; raises unless it is a readable file with content."""
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # opening it would wait for a writer
            raise ValueError("it is a pipe; write it to a file first")
        with open(path, "rb") as file:
            head = file.read(16)
    except FileNotFoundError as error:
        seen_from = f"seen from {os.getcwd()!r}; check its spelling, or pass the whole path"
        raise FileNotFoundError(f"{name}: no such file, {seen_from}") from error
    except PermissionError as error:
        raise PermissionError(f"{name}: no permission to read it; chmod may help") from error
    except IsADirectoryError as error:
        fix = "pass its files, sorted(pathlib.Path(folder).glob('*.jpg'))"
        raise ValueError(f"{name}: expected the file of one photo, got a folder; {fix}") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: cannot be opened as a file ({error})") from error
    if not head:
        raise ValueError(f"{name}: expected a photo, the file is empty; get a new copy")
    return head


@contextmanager
def _pillow(name, came):
    """Pillow at work on one photo: no warning gets out, and every failure is one ValueError."""
    with _silence():
        try:
            yield
        except MemoryError:  # says nothing about the photo
            raise
        except Image.DecompressionBombError as error:
            limit = f"expected at most PIL.Image.MAX_IMAGE_PIXELS = {Image.MAX_IMAGE_PIXELS}"
            fix = "shrink it, or raise that limit if you trust it"
            raise ValueError(f"{name}: too many pixels ({error}), {limit}; {fix}") from error
        except Exception as error:  # decoders fail in a dozen ways, struct.error among them
            expected = f"expected a whole image that Pillow can read, {came} ({error})"
            fix = "get a new copy, or convert it to PNG"
            raise ValueError(f"{name}: {expected}; {fix}") from error


@contextmanager
def _silence():
    """No warnings while any thread is in here.

    catch_warnings swaps the filters of the whole process: of two threads that overlap, the later
    one would bring back the silence of the earlier for good. So the last one restores them.
    """
    with _quiet_lock:
        if not _quiet:
            _quiet.append(warnings.catch_warnings())
            _quiet[0].__enter__()
            warnings.simplefilter("ignore")
        _quiet.append(None)
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet.pop()
            if len(_quiet) == 1:
                _quiet.pop().__exit__(None, None, None)


def _upright(image):
    """Any PIL image -> decoded, as a viewer shows it, in mode RGB, or I, I;16 or F as it was."""
    pixels = image.width * image.height
    if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError(f"{image.width} x {image.height}")
    if pixels == 0:
        raise ValueError("it has no pixels")
    image.load()
    turn = _turn(image)
    if image.mode[0] not in "IF":
        image = _flat(image)
    return image if turn is None else image.transpose(turn)


def _turn(image):
    # ImageOps.exif_transpose writes the EXIF block anew, which fails for many a camera's block.
    try:
        return TURNS.get(image.getexif().get(ORIENTATION))
    except Exception:  # a broken block leaves the photo as stored, as in a viewer
        return None


def _flat(image):
    """PIL image of 8 bits a channel -> RGB, on white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)
    return white


def _sixteen_bits(values, transparency, name):
    """Integers (H, W) -> uint16; `transparency` is the one value that stands for no ink."""
    _check_range(values, 65535, name)
    return np.where(values == transparency, 65535, values).astype(np.uint16)


def _levels(array, name):
    """Array of any real dtype -> uint8 of its shape."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 = 255 * 257
    if array.dtype.kind not in "iuf":
        fix = "astype makes numbers; several photos go to read_all as a list"
        raise ValueError(f"{name}: expected integers, floats or bool; {fix}")
    _check_range(array, 255, name)
    if array.max() <= 1 and (array % 1).any():
        fix = "multiply by 255, or round to uint8 if it is that dark"
        raise ValueError(f"{name}: expected 0..255, the values look like 0..1; {fix}")
    return np.rint(array).astype(np.uint8)


def _check_range(array, high, name):
    low, top = array.min(), array.max()
    if not np.isfinite([low, top]).all():  # NaN and inf both reach the extremes
        fix = "see where they come from, or use np.nan_to_num"
        raise ValueError(f"{name}: expected finite values in 0..{high}, got NaN or inf; {fix}")
    if low < 0 or top > high:
        fix = "rescale or np.clip them; 16-bit photos are arrays of uint16"
        raise ValueError(f"{name}: expected 0..{high}, got {low:g}..{top:g}; {fix}")


def _check_shape(shape, name):
    expected = "expected (H, W) or (H, W, 1 to 4 channels)"
    if len(shape) not in (2, 3):
        raise ValueError(f"{name}: {expected}; a batch (B, H, W, C) goes alone to read_all")
    if len(shape) == 3 and shape[2] not in (1, 2, 3, 4):
        fix = "image.transpose(1, 2, 0) puts channels last, batch[..., None] adds them"
        raise ValueError(f"{name}: {expected}; {fix}")
    if 0 in shape:
        raise ValueError(f"{name}: expected at least one pixel; it is empty")
