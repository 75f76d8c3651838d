"""Photos in, class names out."""

import numpy as np
import pandas as pd
from keras import ops
from tqdm import tqdm

from keras_vision import images
from keras_vision.classification import digits

BATCH = 256


def classify(model, photos):
    """Reads handwritten digits, each the crop of one, dark on light or light on dark.

    model: maps pictures (B, 28, 28, 1) in 0..255 to logits (B, classes), as `mnist_convnet`.
    photos: a path, PIL image or array (H, W, 3), a batch (B, H, W, 3), or a list of mixed sizes.
    Returns a table with a row for each photo: `label` and its `probability`.
    Raises ValueError for a photo that holds nothing but paper.
    """
    rgb = images.read_all(photos)
    logits = [np.zeros((0, model.output_shape[-1]), "float32")]  # there may be no photo
    for start in tqdm(range(0, len(rgb), BATCH), desc="classify", delay=3, leave=False):
        chunk = enumerate(rgb[start : start + BATCH], start + 1)
        seen = [prepared(photo, f"photo {i} of {len(rgb)}") for i, photo in chunk]
        logits.append(model.predict_on_batch(np.stack(seen)))
    probabilities = ops.convert_to_numpy(ops.softmax(np.concatenate(logits)))
    return pd.DataFrame({"label": probabilities.argmax(-1), "probability": probabilities.max(-1)})


def prepared(photo, name):
    try:
        return digits.from_photo(photo)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
