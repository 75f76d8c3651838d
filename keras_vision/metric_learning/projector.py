"""Embeddings for TensorBoard's projector, which turns them about in PCA, t-SNE or UMAP."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from keras_vision import _writing
from keras_vision.metric_learning.index import listed, matrix

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

    vectors: (N, D). names: N of them, such as class names; a blank one is shown as "-".
    pictures: uint8 (N, H, W, 3) or (N, H, W, 1), to be shown in place of dots; up to 65,536.

    Raises ValueError where these do not fit, or vectors are none, or not finite; FileExistsError
    where the folder has a projector, unless `overwrite`, and NotADirectoryError for a file.
    """
    vectors = matrix(vectors, "vectors")
    if not vectors.size:
        raise ValueError(f"expected a vector at least, got vectors of {vectors.shape}")
    names = [str(name) for name in listed(names, len(vectors))]
    if pictures is not None and len(pictures) != len(vectors):
        raise ValueError(f"expected pictures of {len(vectors)} vectors, got {len(pictures)}")
    files = {
        "vectors.tsv": "\n".join("\t".join(f"{x:.6g}" for x in row) for row in vectors),
        # TensorBoard passes over empty lines.
        "metadata.tsv": "\n".join(" ".join(name.split()) or "-" for name in names),
    }
    sprite = ""
    if pictures is not None:
        files["sprite.png"] = png(sprite_of(pictures))
        sprite = SPRITE % (SIDE, SIDE)
    # Last, so that the projector is there once all of it is.
    files["projector_config.pbtxt"] = CONFIG % sprite
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: choose another name for the folder")
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
    pictures = np.asarray(pictures)
    if pictures.dtype != "uint8" or pictures.ndim != 4 or pictures.shape[3] not in (1, 3):
        came = f"{pictures.dtype} {pictures.shape}"
        raise ValueError(f"expected pictures as uint8 (N, H, W, 3) or (N, H, W, 1), got {came}")
    pictures = np.broadcast_to(pictures, (*pictures.shape[:3], 3))
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
