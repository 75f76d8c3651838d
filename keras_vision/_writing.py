"""Pixels -> a picture file; any file is written whole or not at all."""

import os
import secrets
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

JPEG = ("JPEG", {"quality": 95, "subsampling": 0})  # 0: colour at full resolution
TIFF = ("TIFF", {"compression": "tiff_deflate"})
FORMATS = {
    ".png": ("PNG", {}),
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".webp": ("WEBP", {"quality": 95}),
    ".tif": TIFF,
    ".tiff": TIFF,
    ".bmp": ("BMP", {}),
}


def encode(rgb, suffix, name):
    """uint8 (H, W, 3) -> the bytes of a picture file."""
    if suffix not in FORMATS:
        raise ValueError(f"{name}: expected a suffix of {' '.join(FORMATS)}, got {suffix!r}")
    is_rgb = isinstance(rgb, np.ndarray) and rgb.ndim == 3 and rgb.shape[2] == 3
    if not is_rgb or rgb.dtype != np.uint8 or rgb.size == 0:
        came = f"{getattr(rgb, 'dtype', type(rgb).__name__)} {getattr(rgb, 'shape', '')}"
        fix = "images.read(array) converts one photo"
        raise ValueError(f"{name}: expected a uint8 array (H, W, 3), got {came}; {fix}")
    kind, settings = FORMATS[suffix]
    file = BytesIO()
    try:
        Image.fromarray(rgb).save(file, kind, **settings)
    except (OSError, ValueError) as error:  # JPEG ends at 65,500 pixels a side, WebP at 16,383
        raise ValueError(f"{name}: {rgb.shape} cannot be {kind} ({error}); try .png") from error
    return file.getvalue()


def write(path, data, overwrite):
    """Bytes -> a file. Errors name it as it was given, and say what to do."""
    name = repr(os.fspath(path))
    try:
        # Through a link, so that the file behind it is replaced and not the link.
        _whole(Path(os.path.realpath(path)), data, overwrite)
    except FileExistsError as error:
        fix = "pass overwrite=True to replace it, or choose another name"
        raise FileExistsError(f"{name} exists already: {fix}") from error
    except FileNotFoundError as error:
        fix = f"make the folder first, Path({str(Path(path).parent)!r}).mkdir(parents=True)"
        raise FileNotFoundError(f"{name}: its folder does not exist: {fix}") from error
    except PermissionError as error:
        raise PermissionError(f"{name}: no permission to write in its folder") from error
    except OSError as error:
        raise OSError(f"{name} was not written: {error.strerror or error}") from error


def _whole(path, data, overwrite):
    # The name appears once the file is whole: a kill or a full disk leaves the old one alone.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(data)
        if overwrite:
            os.replace(temporary, path)
        else:
            _claim(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _claim(temporary, path):
    """Moves `temporary` to `path`; of several processes at most one succeeds."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, FAT for one
        path.touch(exist_ok=False)  # O_EXCL: one process gets past this line
        os.replace(temporary, path)
