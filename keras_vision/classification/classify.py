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
    seen = np.stack(
        [prepared(photo, f"photo {i} of {len(rgb)}") for i, photo in enumerate(rgb, 1)]
    )
    chunks = range(0, len(seen), BATCH)
    logits = [
        model.predict_on_batch(seen[start : start + BATCH])
        for start in tqdm(chunks, desc="classify", delay=3, leave=False)
    ]
    probabilities = ops.convert_to_numpy(ops.softmax(np.concatenate(logits)))
    return pd.DataFrame({"label": probabilities.argmax(-1), "probability": probabilities.max(-1)})


def prepared(photo, name):
    try:
        return digits.from_photo(photo)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
