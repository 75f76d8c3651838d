"""Video objects by pixels that are alike: Chen, Pont-Tuset, Montes, Van Gool 2018, "Blazingly Fast
Video Object Segmentation with Pixel-Wise Metric Learning". A network embeds each pixel; those of
later frames get the label of the first frame's pixels that are nearest.
"""

import keras
import numpy as np
from keras import Model, layers, ops

from keras_vision.classification import resnet
from keras_vision.images import VOID
from keras_vision.layers import ResizedLike, SeenAt
from keras_vision.metric_learning.losses import FAR, mean

MAPS = "c3", "c4", "c5"
BLOCK = 2**22  # distances at a time


def build(backbone=None, dim=32):
    """Maps frames (B, H, W, 3), sRGB in 0..255, to unit vectors (B, H/2, W/2, dim).

    backbone: a model of frames -> {"c3", "c4", "c5"}; by default a quarter of a ResNet-18 with the
        small stem. The vectors are as fine as its c3.
    """
    backbone = backbone or resnet.backbone(18, width=0.25, small=True)
    maps = backbone(SeenAt()(backbone.input))
    finest = maps[MAPS[0]]
    dtype = keras.config.dtype_policy().name
    x = layers.Concatenate()(
        [finest, *(ResizedLike(dtype=dtype)([maps[name], finest]) for name in MAPS[1:])]
    )
    x = layers.Concatenate()([x, Places()(x)])
    x = layers.Conv2D(4 * dim, 1, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Conv2D(dim, 1, dtype="float32", name="embedding")(x)
    return Model(backbone.input, layers.UnitNormalization(dtype="float32")(x), name="pixels")


@keras.saving.register_keras_serializable("keras_vision")
class Places(layers.Layer):
    """Maps (B, H, W, C) -> where each place is, (B, H, W, 2), from -1 to 1."""

    def call(self, x):
        batch, height, width, _ = ops.shape(x)
        # In float32: bfloat16 would give neighbours the same place.
        rows, columns = (
            (ops.cast(ops.arange(side), "float32") + 0.5) * 2 / ops.cast(side, "float32") - 1
            for side in (height, width)
        )
        rows, columns = ops.meshgrid(rows, columns, indexing="ij")
        places = ops.cast(ops.stack([rows, columns], axis=-1), x.dtype)
        return ops.broadcast_to(places[None], (batch, height, width, 2))

    def compute_output_shape(self, shape):
        return (*shape[:3], 2)


@keras.saving.register_keras_serializable("keras_vision")
class PixelTriplets(keras.losses.Loss):
    """max(0, min_p d^2 - min_n d^2 + m) of the pixels of one frame, with all those of another of
    the same clip: the nearest of the same object, and the nearest that is another's (eq. 4).

    Called (label maps (2B, H, W), vectors (2B, h, w, D)), whose neighbours are frames of a clip.
    Void, 255, costs nothing.

    every: only each such row and column counts, so that memory lasts.
    """

    def __init__(self, margin=0.3, every=2, name="pixel_triplets", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin, self.every = margin, every

    def call(self, labels, vectors):
        pairs, dim = ops.shape(vectors)[0] // 2, vectors.shape[-1]
        sides = zip(ops.shape(labels)[1:3], ops.shape(vectors)[1:3], strict=True)
        # Rounded up, as strides do with odd sides.
        down, right = (-(-fine // coarse) * self.every for fine, coarse in sides)
        ids = ops.reshape(labels[:, ::down, ::right], (pairs, 2, -1))
        z = ops.reshape(vectors[:, :: self.every, :: self.every], (pairs, 2, -1, dim))
        d = 2 - 2 * ops.matmul(z[:, 0], ops.transpose(z[:, 1], (0, 2, 1)))  # of unit vectors
        first, second = ids[:, 0, :, None], ids[:, 1, None]
        same, other = first == second, (first != second) & (first != VOID) & (second != VOID)
        costs = []
        for axis in (1, 2):  # each frame's pixels ask the other's
            near = ops.min(ops.where(same, d, FAR), axis=axis)
            far = ops.min(ops.where(other, d, FAR), axis=axis)
            valid = (near < FAR / 2) & (far < FAR / 2)
            costs.append(mean(ops.relu(self.margin + near - far), valid))
        return (costs[0] + costs[1]) / 2

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "every": self.every}


def track(model, frames, labels, neighbours=5):
    """Label maps of all frames, int32 (T, H, W), of the first one's.

    model: of this module's `build`. frames: (T, H, W, 3) in 0..255. labels: of the first frame,
        (H, W), 0 behind the objects, which are 1, 2 ... Void, 255, counts as 0.
    neighbours: pixels of the first frame that are asked for each pixel, 1 or more; they vote.

    Raises ValueError for other shapes, labels or neighbours.
    """
    frames, labels = np.asarray(frames), np.asarray(labels)
    if frames.ndim != 4 or not len(frames) or labels.shape != frames.shape[1:3]:
        raise ValueError(
            "expected frames (T, H, W, 3) and the first one's labels (H, W); got "
            f"{frames.shape} and {labels.shape}"
        )
    if labels.dtype.kind not in "biu" or labels.min() < 0 or neighbours < 1:
        raise ValueError(
            "expected labels 0, 1, 2 ... and a neighbour at least; got "
            f"{labels.dtype} from {labels.min()}, and {neighbours} neighbours"
        )
    labels = np.where(labels == VOID, 0, labels).astype("int32")
    objects, places = np.unique(labels, return_inverse=True)
    first = model.predict_on_batch(frames[:1].astype("float32"))[0]
    height, width, dim = first.shape
    size = labels.shape
    shares = np.eye(len(objects), dtype="float32")[places]
    votes = np.asarray(ops.image.resize(shares[None], (height, width), antialias=True))[0]
    known, votes = first.reshape(-1, dim), votes.reshape(-1, len(objects))
    found = [labels]
    for frame in frames[1:]:
        z = model.predict_on_batch(frame[None].astype("float32"))[0].reshape(-1, dim)
        chosen = np.concatenate(
            [elected(part, known, votes, neighbours) for part in in_blocks(z, len(known))]
        )
        maps = ops.image.resize(chosen.reshape(1, height, width, -1), size, "bilinear")
        found.append(objects[np.asarray(maps)[0].argmax(-1)])
    return np.stack(found)


def in_blocks(rows, columns):
    size = max(BLOCK // columns, 1)
    return (rows[start : start + size] for start in range(0, len(rows), size))


def elected(z, known, votes, neighbours):
    """The mean vote of the nearest: vectors (N, D) -> (N, objects)."""
    neighbours = min(neighbours, len(known))
    nearest = np.argpartition(-z @ known.T, neighbours - 1, axis=1)[:, :neighbours]
    return votes[nearest].mean(1)


def jaccard(label_maps, found):
    """DAVIS' J: intersection over union of each object of the first frame, in each frame after it,
    the mean; NaN where there is none.

    Both are (T, H, W). An object that is neither there nor found in a frame counts as 1 there.
    What is void, 255, in the label maps is not looked at. DAVIS' own program leaves out the last
    frame, too: cut it off for numbers to be compared with published ones.

    Raises ValueError for unequal shapes.
    """
    label_maps, found = np.asarray(label_maps), np.asarray(found)
    if label_maps.ndim != 3 or label_maps.shape != found.shape:
        raise ValueError(f"expected two of (T, H, W), got {label_maps.shape} and {found.shape}")
    values = []
    for number in np.setdiff1d(label_maps[0], (0, VOID)):
        there, told = label_maps[1:] == number, found[1:] == number
        told = told & (label_maps[1:] != VOID)
        union = (there | told).sum((1, 2))
        values.append(np.where(union, (there & told).sum((1, 2)) / np.maximum(union, 1), 1.0))
    return float(np.mean(values)) if np.size(values) else float("nan")
