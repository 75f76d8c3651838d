"""sRGB <-> CIE Lab (D65, 2 degrees): IEC 61966-2-1 and CIE 15, as in `skimage.color`.

Shapes are `(..., 3)` on both sides. RGB runs over 0..255; L over 0..100; inside sRGB's gamut
a runs from -86.2 to 98.3 and b from -107.9 to 94.5.
"""

import numpy as np
from keras import ops

RGB_TO_XYZ = np.float32(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
XYZ_TO_RGB = np.linalg.inv(RGB_TO_XYZ.astype("float64")).astype("float32")
WHITE = np.float32([0.95047, 1.0, 1.08883])
RGB_TO_WHITE_XYZ = RGB_TO_XYZ / WHITE[:, None]  # white becomes (1, 1, 1)
F_TO_LAB = np.float32([[0, 116, 0], [500, -500, 0], [0, 200, -200]])
# f(t) is a cube root above this, and a straight line below, where the root is too steep.
KNEE = 0.008856


def rgb_to_lab(rgb):
    """sRGB `(..., 3)` in 0..255, of any dtype -> Lab `(..., 3)`, float32."""
    rgb = ops.cast(rgb, "float32") / 255
    # Powers are written as exp of log, which TensorFlow computes twice as fast on CPUs. Both
    # branches of a `where` are differentiated: the logarithm must not see 0.
    curve = ops.exp(2.4 * ops.log((ops.maximum(rgb, 0.04045) + 0.055) / 1.055))
    linear = ops.where(rgb > 0.04045, curve, rgb / 12.92)
    t = ops.matmul(linear, RGB_TO_WHITE_XYZ.T)
    root = ops.exp(ops.log(ops.maximum(t, KNEE)) / 3)
    f = ops.where(t > KNEE, root, 7.787 * t + 16 / 116) - 16 / 116  # 0 for black
    return ops.matmul(f, F_TO_LAB.T)


def lab_to_rgb(lab):
    """Lab `(..., 3)` -> sRGB `(..., 3)` in 0..255, float32; the gamut clips."""
    lab = ops.cast(lab, "float32")
    y = (lab[..., 0] + 16) / 116
    z = ops.maximum(y - lab[..., 2] / 200, 0)  # dark yellows beyond the gamut, as scikit-image
    f = ops.stack([y + lab[..., 1] / 500, y, z], axis=-1)
    t = ops.where(f > KNEE ** (1 / 3), f**3, (f - 16 / 116) / 7.787)
    linear = ops.matmul(t * WHITE, XYZ_TO_RGB.T)
    curve = 1.055 * ops.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    rgb = ops.where(linear > 0.0031308, curve, 12.92 * linear)
    return ops.clip(255 * rgb, 0, 255)


def grey(rgb):
    """The grey photo of the same lightness: sRGB (..., 3) -> uint8 (..., 3)."""
    lab = rgb_to_lab(rgb) * np.float32([1, 0, 0])
    levels = np.rint(ops.convert_to_numpy(lab_to_rgb(lab))).astype("uint8")
    return np.repeat(levels[..., 1:2], 3, axis=-1)  # the channels could differ by rounding
