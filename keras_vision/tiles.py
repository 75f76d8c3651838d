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

    Where no pixel sees farther than 96 pixels, pieces make what the whole would.
    """

    def __init__(self, model, each):
        self.model, self.each = model, each
        shape = (1, VALID, VALID, model.input_shape[-1])
        self.lost = max((VALID - model.compute_output_shape(shape)[1]) // 2, 0)

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
            pieces = without_padding
        else:
            pieces = with_margins
        found = None
        for rows, seen_rows in pieces(height, self.lost):
            for columns, seen_columns in pieces(width, self.lost):
                seen = picture[slice(*seen_rows), slice(*seen_columns)]
                part = self.each(self.model.predict_on_batch(seen[None]))[0]
                if found is None:
                    found = np.empty((height, width, *part.shape[2:]), part.dtype)
                top, left = (rows[0] - seen_rows[0], columns[0] - seen_columns[0])
                own = part if self.lost else part[top:, left:]
                own = own[: rows[1] - rows[0], : columns[1] - columns[0]]
                found[slice(*rows), slice(*columns)] = own
        return found


def with_margins(side, _):
    """[(first and last pixel of a piece, those that are seen for it)] along a side."""
    for first in range(0, side, CORE):
        last = min(first + CORE, side)
        yield (first, last), (max(first - MARGIN, 0), min(last + MARGIN, side))


def without_padding(side, lost):
    """The same; what is seen counts in a picture that begins `lost` pixels before."""
    core = VALID - 2 * lost
    for first in range(0, side, core):
        yield (first, min(first + core, side)), (first, first + VALID)
