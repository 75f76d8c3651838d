"""Photos of any size through a network in pieces, whose seams cannot be seen.

Each piece is computed with what lies around it, and only its middle is kept: the overlap-tile
strategy of Ronneberger et al. 2015, figure 2.
"""

import numpy as np

WHOLE = 2**20  # pixels that go through a network at once
CORE = 512  # pixels a side of a piece of what is larger
MARGIN = 96  # of what is seen around it; multiples of 32, so that all pieces are pooled alike
VALID = 572  # pixels a side of the pieces for networks that do without padding


class Tiled:
    """A model of pictures whose outputs have the size of its inputs, for pictures of any size.

    model: maps (B, H, W, C) to (B, H, W, .), or to their middle where its convolutions have no
        padding; then the picture goes on as its mirror image beyond its edge.
    each: maps outputs to what is kept of them, such as the most probable class; called piece by
        piece.

    Where no pixel sees farther than 96 pixels, pieces make what the whole would; but networks that
    stretch their answer to the picture, as FCN without skips, stretch a piece less than the whole.
    Raises ValueError where outputs have another size.
    """

    def __init__(self, model, each):
        self.model, self.each = model, each
        sides = VALID, VALID + CORE
        made = [model.compute_output_shape((1, n, n, model.input_shape[-1]))[1] for n in sides]
        self.lost, odd = divmod(VALID - made[0], 2)
        if made[1] - made[0] != CORE or self.lost < 0 or odd:
            raise ValueError(
                f"expected {model.name} to answer each pixel, or the middle ones, but of "
                f"{sides[0]} and {sides[1]} pixels a side it makes {made[0]} and {made[1]}"
            )

    def predict_on_batch(self, pictures):
        _, height, width, _ = pictures.shape
        if self.lost or height * width > WHOLE:
            return np.stack([self.in_pieces(picture) for picture in pictures])
        size = WHOLE // (height * width)
        parts = [pictures[start : start + size] for start in range(0, len(pictures), size)]
        return np.concatenate([self.each(self.model.predict_on_batch(part)) for part in parts])

    def in_pieces(self, picture):
        height, width, _ = picture.shape
        if self.lost:
            core = VALID - 2 * self.lost
            beyond = [(self.lost, self.lost + -side % core) for side in (height, width)]
            picture = np.pad(picture, [*beyond, (0, 0)], "symmetric")
        found = None
        for rows, seen_rows, top in pieces(height, self.lost):
            for columns, seen_columns, left in pieces(width, self.lost):
                part = self.each(
                    self.model.predict_on_batch(picture[None, seen_rows, seen_columns])
                )
                if found is None:
                    found = np.empty((height, width, *part.shape[3:]), part.dtype)
                place = found[rows, columns]
                place[:] = part[0, top:, left:][: place.shape[0], : place.shape[1]]
        return found


def pieces(side, lost):
    """Yields (its pixels, those that are seen for it, where among these it begins) of each piece
    along a side; the first two are slices. Where the network has `lost` pixels, what is seen
    counts in a picture that begins so many before, and the network leaves them out by itself.
    """
    core = VALID - 2 * lost if lost else CORE
    for first in range(0, side, core):
        last = min(first + core, side)
        if lost:
            yield slice(first, last), slice(first, first + VALID), 0
        else:
            begin = max(first - MARGIN, 0)
            yield slice(first, last), slice(begin, last + MARGIN), first - begin
