"""Photos in, coloured photos out."""

import numpy as np
from keras import ops
from PIL import Image

from keras_vision.colorization import bins, grid, guide
from keras_vision.colorization.color import grey, lab_to_rgb, rgb_to_lab
from keras_vision.colorization.remembered import remembered
from keras_vision.verbs import answers, like

BATCH = 8
STRIP = 2**20  # pixels converted at a time, so that a photo of any size fits into memory


def colorize(model, photos, temperature=None, size=None):
    """Colours photos by nothing but their lightness; colours they have are ignored.

    photos: a path, PIL image or array (H, W, 3), a batch (B, H, W, 3), or an iterable of photos
        of mixed kinds and sizes.
    temperature: of the annealed mean, 0..1: lower is more vivid, and more patchy.
    size: the network sees a photo scaled to about `size` x `size` pixels, its aspect kept.
    By default both are what the model remembers: the temperature that serves its weights best, and
    the size of the photos that it has learned from.

    Returns uint8 sRGB of the photos' own sizes: an array for one photo or a batch, a list for a
    list, and for a generator one that reads each photo when its turn comes.
    """
    check_settings(temperature, size)
    own_size, own_temperature = remembered(model)
    size = own_size if size is None else size
    temperature = own_temperature if temperature is None else temperature

    def prepare(rgb):
        small = scaled(rgb, seen_shape(rgb.shape, size))
        lightness = ops.convert_to_numpy(rgb_to_lab(small))[..., :1]
        return lightness, (rgb, lightness)

    def finish(kept, output):
        rgb, lightness = kept
        ab = grid.to_colours(ops.convert_to_tensor(output), temperature)
        lines = guide.lines(ab, grid.means_of_cells(lightness))
        return with_colours(rgb, ops.convert_to_numpy(lines))

    return like(photos, answers(model, photos, prepare, finish, BATCH, "colorize"))


def check_settings(temperature, size):
    if temperature is not None:
        bins.check_temperature(temperature)
    if size is not None and not 8 <= size < np.inf:
        raise ValueError(f"size must be a number of pixels, 8 at least; got {size}.")


def comparison(model, photos):
    """Photos (B, H, W, 3) -> one uint8 picture of three rows: lightness, the answer, the truth."""
    rows = [grey(photos), colorize(model, photos), photos]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def seen_shape(shape, size):
    """Height and width, multiples of 8, of about size**2 pixels in the aspect of `shape`."""
    height, width = shape[:2]
    aspect = (height / width) ** 0.5
    return max(8, round(size * aspect / 8) * 8), max(8, round(size / aspect / 8) * 8)


def scaled(rgb, shape):
    """uint8 (H, W, 3) -> uint8 (*shape, 3), without aliasing."""
    if rgb.shape[:2] == shape:
        return rgb
    return np.asarray(Image.fromarray(rgb).resize(shape[::-1], Image.Resampling.BICUBIC))


def with_colours(rgb, lines):
    """A photo (H, W, 3) with ab = slope x L + offset, (h, w, 4) of `guide.lines`: uint8."""
    height, width = rgb.shape[:2]
    planes = [Image.fromarray(plane) for plane in np.moveaxis(lines, -1, 0)]
    rows = max(1, STRIP // width)
    strips = []
    for top in range(0, height, rows):
        strip = rgb[top : top + rows]
        bottom = top + len(strip)
        box = (0, top / height * len(lines), lines.shape[1], bottom / height * len(lines))
        size = (width, len(strip))
        fine = [plane.resize(size, Image.Resampling.BILINEAR, box) for plane in planes]
        slope_a, slope_b, a, b = map(np.asarray, fine)
        lightness = ops.convert_to_numpy(rgb_to_lab(strip))[..., 0]
        lab = [lightness, slope_a * lightness + a, slope_b * lightness + b]
        coloured = lab_to_rgb(np.stack(lab, axis=-1))
        strips.append(np.rint(ops.convert_to_numpy(coloured)).astype("uint8"))
    return np.concatenate(strips)
