"""The network answers on a grid of cells, four pixels wide: from cells to pixels and back."""

from keras import ops

from keras_vision.colorization import bins

CELL = 4  # pixels


def check_shapes(ab, outputs, channels):
    """Raises ValueError unless they are (B, H, W, 2) and (B, h, w, one of the `channels`)."""
    true, given = tuple(ab.shape), tuple(outputs.shape)
    if not agree(true, (*given[:1], None, None, 2)) or given[3:] not in [(n,) for n in channels]:
        raise ValueError(
            "Expected true colours ab (B, H, W, 2) and as many outputs (B, h, w, "
            f"{' or '.join(map(str, channels))}), got {true} and {given}."
        )


def agree(shape, other):
    """Whether two shapes can be the same; None is a length not known yet."""
    return len(shape) == len(other) and all(
        a == b or None in (a, b) for a, b in zip(shape, other, strict=True)
    )


def to_cells(ab, cells):
    """Colours ab (B, H, W, 2) at the middles of the cells (B, h, w, ...): (B, h, w, 2).

    Cells that reach over the border, in photos of odd sizes, take the last pixel. Colours that
    have the cells' size already are returned as they are.
    """
    for axis in (1, 2):
        pixels, count = ops.shape(ab)[axis], ops.shape(cells)[axis]
        step = ops.where(ops.equal(pixels, count), 1, CELL)
        places = ops.minimum(step * ops.arange(count) + step // 2, pixels - 1)
        ab = ops.take(ab, places, axis=axis)
    return ops.cast(ab, "float32")


def to_colours(outputs, temperature=0.38):
    """The network's outputs (..., 313 or 2) -> the cells' colours ab (..., 2), float32.

    Logits are decoded at `temperature`; the L2 twin's two channels are ab already.
    """
    is_ab = outputs.shape[-1] == 2
    return ops.cast(outputs, "float32") if is_ab else bins.decode(outputs, temperature)


def means_of_cells(planes):
    """Pixels (H, W, C) of a photo of whole cells -> their means (h, w, C)."""
    height, width, channels = planes.shape
    shape = (height // CELL, CELL, width // CELL, CELL, channels)
    return planes.reshape(shape).mean((1, 3))


def to_pixels(outputs, height, width, temperature=0.38):
    """The network's outputs (B, h, w, 313 or 2) -> colours ab (B, height, width, 2), float32.

    Enlarged as the authors do; `guide` is what photos get. Raises ValueError for more pixels than
    the cells have.
    """
    ab = to_colours(outputs, temperature)
    rows, columns = ops.shape(ab)[1:3]
    fine = ops.image.resize(ab, (CELL * rows, CELL * columns), "bilinear")
    pixels = fine[:, :height, :width]
    wanted = [size if isinstance(size, int) else None for size in (height, width)]
    if not agree(tuple(pixels.shape), (None, *wanted, 2)):
        raise ValueError(
            f"{rows} x {columns} cells of {CELL} pixels do not cover {height} x {width} pixels."
        )
    return pixels
