"""Embeddings for TensorBoard's projector, which turns them about in PCA, t-SNE or UMAP."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from keras_vision import _writing

SIDE = 32  # pixels of a picture in the sprite
WIDEST = 8192  # pixels a side, what browsers take

CONFIG = """embeddings {
  tensor_name: "embeddings"
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
%s}
"""
SPRITE = """  sprite {
    image_path: "sprite.png"
    single_image_dim: %d
    single_image_dim: %d
  }
"""


def write(folder, vectors, names, pictures=None, overwrite=False):
    """Files that `tensorboard --logdir folder` shows under "Projector".

    vectors: (N, D). names: N of them, such as class names.
    pictures: uint8 (N, H, W, 3), to be shown in place of dots; up to 65,536.

    Raises ValueError where these do not fit, and FileExistsError where the folder has a projector,
    unless `overwrite`.
    """
    vectors, names = np.asarray(vectors), list(map(str, names))
    counts = {"names": len(names)} | ({} if pictures is None else {"pictures": len(pictures)})
    wrong = {name: count for name, count in counts.items() if count != len(vectors)}
    if vectors.ndim != 2 or wrong:
        raise ValueError(f"expected vectors (N, D) and N names; got {vectors.shape} and {wrong}")
    files = {
        "vectors.tsv": "\n".join("\t".join(f"{x:.6g}" for x in row) for row in vectors),
        "metadata.tsv": "\n".join(" ".join(name.split()) for name in names),
    }
    sprite = ""
    if pictures is not None:
        files["sprite.png"] = png(sprite_of(pictures))
        sprite = SPRITE % (SIDE, SIDE)
    # Last, so that the projector is there once all of it is.
    files["projector_config.pbtxt"] = CONFIG % sprite
    folder = Path(folder)
    there = [name for name in files if (folder / name).exists()]
    if there and not overwrite:
        fix = "pass overwrite=True to replace them, or choose another folder"
        raise FileExistsError(f"{folder}: {', '.join(there)} exist already: {fix}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        data = data if isinstance(data, bytes) else f"{data}\n".encode()
        _writing.write(folder / name, data, overwrite)


def sprite_of(pictures):
    """Small pictures side by side, as many in a row as there are rows."""
    columns = int(np.ceil(np.sqrt(len(pictures))))
    if columns * SIDE > WIDEST:
        raise ValueError(f"{len(pictures)} pictures are too many for a sprite: {WIDEST // SIDE}^2")
    sprite = Image.new("RGB", (columns * SIDE, columns * SIDE))
    for number, picture in enumerate(pictures):
        small = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        sprite.paste(small, (number % columns * SIDE, number // columns * SIDE))
    return sprite


def png(image):
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
