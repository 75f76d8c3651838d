"""Figures of results: functions that return a matplotlib Figure, ready for `savefig`."""

import sys

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INCHES = 2.0  # the width of a picture on a contact sheet


def contact_sheet(rows, titles, captions=None):
    """Pictures in rows, each column under its title.

    rows: lists of pictures, uint8 (H, W, 3) or grey (H, W), one for every title.
    captions: lists of short texts to stand below the pictures, like `rows`.
    """
    heights = [max(p.shape[0] / p.shape[1] for p in row) * INCHES for row in rows]
    size = (len(titles) * INCHES, sum(heights) + 0.3 + (0.22 if captions else 0.05) * len(rows))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, hspace=0.0, wspace=0.0)
    grid = {"height_ratios": heights}
    axes = figure.subplots(len(rows), len(titles), squeeze=False, gridspec_kw=grid)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            axes[r, c].imshow(picture, cmap="gray", vmin=0, vmax=255)
            axes[r, c].set(xticks=[], yticks=[])
            axes[r, c].spines[:].set_visible(False)
            if captions:
                axes[r, c].set_xlabel(captions[r][c], fontsize=7, labelpad=2, color="0.3")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    return figure


def curves(lines, x_label, y_label, x=None, figure=None):
    """Named curves in one plot: `lines` is {name: values}, over `x` or 0, 1, 2 ..."""
    figure = figure or Figure(figsize=(6, 3.6), dpi=150, layout="constrained")
    axis = figure.subplots()
    for name, values in lines.items():
        axis.plot(range(len(values)) if x is None else x, values, label=name)
    axis.set(xlabel=x_label, ylabel=y_label)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return figure


def mosaic(pictures, captions=None, columns=8, figure=None):
    """Small pictures (N, H, W) in 0..255 side by side, with a short text below each."""
    count, height, width = pictures.shape
    columns = min(columns, max(count, 1))
    rows = max(-(-count // columns), 1)
    gap, foot = 1, round(0.4 * height) if captions else 0
    tiles = np.full((rows * columns, height + foot + gap, width + gap), np.nan)
    tiles[:count, :height, :width] = pictures
    tiles = tiles.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    inches = (columns * 0.6, rows * 0.6 * (height + foot) / height)
    figure = figure or Figure(figsize=inches, dpi=150, layout="constrained")
    axis = figure.subplots()
    axis.imshow(tiles.reshape(rows * (height + foot + gap), -1), cmap="gray", vmin=0, vmax=255)
    axis.axis("off")
    for number, caption in enumerate(captions or ()):
        row, column = divmod(number, columns)
        x, y = (column + 0.5) * (width + gap), row * (height + foot + gap) + height + foot / 2
        axis.text(x, y, caption, fontsize=7, color="0.3", ha="center", va="center")
    return figure


def filters(kernels, columns=8):
    """Filters (h, w, 1, count) as small pictures, each stretched to its own range."""
    pictures = np.moveaxis(kernels[:, :, 0], -1, 0)
    low, high = pictures.min(axis=(1, 2), keepdims=True), pictures.max(axis=(1, 2), keepdims=True)
    figure = mosaic(255 * (pictures - low) / (high - low + 1e-12), columns=columns)
    figure.set_facecolor("lightsteelblue")  # white would swallow white corners
    return figure


def colour_plane(points, colours, sizes):
    """Points (N, 2) of the ab plane as dots of their own colours, uint8 (N, 3), and sizes (N,)."""
    figure = Figure(figsize=(5, 5), dpi=150, layout="constrained")
    axis = figure.subplots()
    axis.scatter(points[:, 1], points[:, 0], s=sizes, c=colours / 255, marker="s")
    axis.set(xlabel="b (blue to yellow)", ylabel="a (green to red)", aspect="equal")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def pixels(figure):
    """A figure as uint8 (H, W, 3), for `PictureWriter`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def show(figure, path):
    """Saves a figure; in a notebook it is shown, too."""
    figure.savefig(path)
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython():
        from IPython.display import Image, display

        display(Image(path))
