"""The network answers on a grid of cells, four pixels wide: from cells to pixels and back."""

from keras import ops

from keras_vision.colorization import bins

CELL = 4  # pixels


def to_cells(ab, cells):
    """Colours ab (B, H, W, 2) at the middles of the cells (B, h, w, ...): (B, h, w, 2).

    Cells that reach over the border, in photos of odd sizes, take the last pixel. Colours that
    have the cells' size already are returned as they are.
    """
    for axis in (1, 2):
        pixels, count = ops.shape(ab)[axis], ops.shape(cells)[axis]
        step = -(-pixels // count)
        places = ops.minimum(step * ops.arange(count) + step // 2, pixels - 1)
        ab = ops.take(ab, places, axis=axis)
    return ops.cast(ab, "float32")


def to_pixels(outputs, height, width, temperature=0.38):
    """The network's outputs (B, h, w, 313 or 2) -> colours ab (B, height, width, 2), float32.

    Logits are decoded at `temperature`; the L2 twin's two channels are ab already.
    """
    is_ab = outputs.shape[-1] == 2
    ab = ops.cast(outputs, "float32") if is_ab else bins.decode(outputs, temperature)
    rows, columns = ops.shape(ab)[1:3]
    fine = ops.image.resize(ab, (CELL * rows, CELL * columns), "bilinear")
    return fine[:, :height, :width]
