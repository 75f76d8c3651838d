"""Figures of results: functions that return a matplotlib Figure, ready for `savefig`."""

import sys

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from keras_vision import images

INCHES = 2.0  # the width of a picture on a contact sheet
TALLEST = 3  # height over width beyond which a picture is drawn narrower there
DPI = 100
COLOURS = matplotlib.colormaps["tab10"].colors
KEY = 1.6  # inches beside a photo for what the colours of its labels mean
TILE = 0.6  # inches of a square picture's side in a mosaic


def contact_sheet(rows, titles, captions=None):
    """Pictures in rows, each column under its title.

    rows: lists of pictures, uint8 (H, W, 3) or grey (H, W), one for every title.
    captions: lists of short texts to stand below the pictures, like `rows`.
    """
    if not len(rows) or not len(titles) or any(len(row) != len(titles) for row in rows):
        raise ValueError(
            f"A contact sheet needs rows with a picture for each of the {len(titles)} titles, but "
            f"the rows hold {[len(row) for row in rows]}."
        )
    aspects = [max(picture.shape[0] / picture.shape[1] for picture in row) for row in rows]
    heights = [min(aspect, TALLEST) * INCHES for aspect in aspects]
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
        marker = "o" if len(values) == 1 else None  # there is no line through one point
        axis.plot(range(len(values)) if x is None else x, values, marker=marker, label=name)
    axis.set(xlabel=x_label, ylabel=y_label)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)
    if lines:
        axis.legend(frameon=False)
    return figure


def mosaic(pictures, captions=None, columns=8, figure=None):
    """Small pictures (N, H, W) or (N, H, W, 3) in 0..255 side by side, a short text below each."""
    pictures = np.asarray(pictures)
    if pictures.ndim != 3 and pictures.shape[3:] != (3,):
        raise ValueError(
            f"pictures must be (N, H, W), or (N, H, W, 3) in colour, but are {pictures.shape}."
        )
    count, height, width, *channels = pictures.shape
    if captions and len(captions) != count:
        raise ValueError(f"There are {len(captions)} captions for {count} pictures.")
    columns = min(columns, max(count, 1))
    rows = max(-(-count // columns), 1)
    gap, foot = 1, max(round(0.4 * height), 1) if captions else 0
    tiles = np.full((rows * columns, height + foot + gap, width + gap, *channels), np.nan)
    tiles[:count, :height, :width] = pictures
    tiles = tiles.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    tiles = tiles.reshape(rows * (height + foot + gap), columns * (width + gap), *channels)
    inches = TILE / ((height + gap) * (width + gap)) ** 0.5  # of a pixel
    size = (tiles.shape[1] * inches, tiles.shape[0] * inches)
    figure = figure or Figure(figsize=size, dpi=150, layout="constrained")
    axis = figure.subplots()
    axis.imshow(with_opacity(tiles) if channels else tiles, cmap="gray", vmin=0, vmax=255)
    axis.axis("off")
    for number, caption in enumerate(captions or ()):
        row, column = divmod(number, columns)
        x = column * (width + gap) + (width - 1) / 2
        y = row * (height + foot + gap) + height + foot / 2
        axis.text(x, y, caption, fontsize=7, color="0.3", ha="center", va="center")
    return figure


def with_opacity(rgb):
    """Colours (H, W, 3) in 0..255 -> (H, W, 4) in 0..1; what is NaN lets the figure shine through.

    matplotlib does so by itself in grey pictures only.
    """
    shown = np.isfinite(rgb).all(-1, keepdims=True)
    return np.concatenate([np.where(shown, np.clip(rgb / 255, 0, 1), 0), shown], axis=-1)


def boxes(photo, found, names=None):
    """A photo, in its own pixels, with the objects that `detection.detect` has found.

    photo: what `images.read` takes.
    found: {"boxes": (N, 4) corners in pixels, "labels": (N,)}, perhaps with "scores" (N,).
    names: of the classes; each has a colour of its own.
    """
    rgb = images.read(photo)
    height, width, _ = rgb.shape
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(rgb, extent=(0, width, height, 0))  # corners of pixels are whole numbers
    axis.axis("off")
    thick = max(1.0, min(height, width) / 300)  # pixels
    scores = found.get("scores", [None] * len(found["labels"]))
    # The most certain last, so that no other hides it.
    for box, label, score in reversed(
        [*zip(found["boxes"], found["labels"], scores, strict=True)]
    ):
        left, top, right, bottom = box
        colour = COLOURS[int(label) % len(COLOURS)]
        frame = {"fill": False, "edgecolor": colour, "linewidth": thick * 72 / DPI}
        axis.add_patch(Rectangle((left, top), right - left, bottom - top, **frame))
        words = str(label) if names is None else names[label]
        words += "" if score is None else f" {score:.0%}"
        axis.text(
            *(left, max(top, 8 * thick), words),
            fontsize=max(6.0, 8 * thick * 72 / DPI),
            color="white",
            va="bottom",
            clip_on=True,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": thick},
        )
    return figure


def labels(photo, found, names=None, palette=None, share=0.6):
    """A photo under the colours of its labels, and beside it which colour means what.

    photo: what `images.read` takes.
    found: whole numbers (H, W), as `segmentation.segment` returns them; 255 is void, and shows the
        photo.
    names, palette: of the classes; colours are (red, green, blue) in 0..255.
    share: of the colours in what is seen.
    """
    rgb, found = images.read(photo), np.asarray(found)
    if found.shape != rgb.shape[:2]:
        raise ValueError(
            f"the labels are {found.shape}, and the photo {rgb.shape[:2]}: expected the same size"
        )
    present = [label for label in np.unique(found) if label != images.VOID]
    colours = {label: colour_of(label, palette) for label in present}
    painted = rgb.astype("float32")
    for label, colour in colours.items():
        mask = found == label
        painted[mask] += share * (colour - painted[mask])
    height, width = found.shape
    key = KEY * DPI * max(1.0, height / 400)  # pixels beside the photo
    figure = Figure(figsize=((width + key) / DPI, height / DPI), dpi=DPI)
    axis = figure.add_axes((0, 0, width / (width + key), 1))
    axis.imshow(painted.astype("uint8"), extent=(0, width, height, 0), aspect="auto")
    axis.axis("off")
    patches = [
        Patch(color=colour / 255, label=str(label) if names is None else names[label])
        for label, colour in colours.items()
    ]
    size = min(max(7.0, height / 40), 60 * height / DPI / max(len(patches), 1))
    anchor = (width / (width + key), 0.5)
    figure.legend(
        handles=patches, loc="center left", bbox_to_anchor=anchor, frameon=False, fontsize=size
    )
    return figure


def colour_of(label, palette):
    if palette is not None:
        return np.array(palette[label], "float32")
    return 255 * np.array(COLOURS[int(label) % len(COLOURS)], "float32")


def filters(kernels, columns=8):
    """Filters (h, w, 1 or 3, count) as small pictures, each stretched to its own range.

    Those of three channels are drawn in colour, as red, green and blue. Filters of other
    channels have no colours, and their mean hides what cancels out: ValueError.
    """
    kernels = np.asarray(kernels)
    if kernels.ndim != 4 or kernels.shape[2] not in (1, 3):
        raise ValueError(
            "filters are drawn with one channel, in grey, or three, in colour, but kernels are "
            f"{kernels.shape}: choose a channel c by kernels[:, :, c : c + 1]."
        )
    pictures = np.moveaxis(kernels, -1, 0)  # (count, h, w, channels)
    low, high = (side(pictures, axis=(1, 2, 3), keepdims=True) for side in (np.min, np.max))
    pictures = 255 * (pictures - low) / (high - low + 1e-12)
    figure = mosaic(pictures if pictures.shape[3] == 3 else pictures[..., 0], columns=columns)
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


def points(places, labels, names=None):
    """Dots at places (N, 2) of a plane, a colour for each of the labels (N,), which a key names.

    names: {label: name} or a list; by default the labels themselves.
    """
    places, labels = np.asarray(places), np.asarray(labels)
    figure = Figure(figsize=(5, 4), dpi=150, layout="constrained")
    axis = figure.subplots()
    for number, label in enumerate(np.unique(labels)):
        here = places[labels == label]
        name = label if names is None else names[label]
        axis.scatter(
            *here.T, s=14, color=COLOURS[number % len(COLOURS)], alpha=0.8, lw=0, label=name
        )
    axis.set(xticks=[], yticks=[], aspect="equal")
    axis.spines[:].set_color("0.8")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
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
