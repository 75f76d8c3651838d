"""Measures denoisers on photos with noise, beside scikit-image's, which know how much there is.

python scripts/evaluate_denoiser.py coco/val2017
python scripts/evaluate_denoiser.py coco/val2017 --grey
python scripts/evaluate_denoiser.py coco/val2017 --weights runs/dncnn/model-16000.keras --eight-bit

Needs `pip install -e ".[bench]"`.
"""

import keras_vision.quiet  # isort: skip  (before TensorFlow is imported)

import argparse
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from PIL import Image
from skimage.restoration import denoise_nl_means, denoise_wavelet
from tqdm import tqdm

from keras_vision import images
from keras_vision.datasets import _photos
from keras_vision.restoration import denoiser

DEVIATIONS = (15, 25, 50)


def middles(folder, count, side, grey):
    """The middle of the first photos that are large enough, float32 (N, side, side, 3)."""
    found = []
    for path in sorted(folder.iterdir()):
        if not _photos.is_picture(path.name) or len(found) == count:
            continue
        rgb = images.read(path)
        if grey:
            rgb = np.asarray(Image.fromarray(rgb).convert("L").convert("RGB"))
        top, left = ((length - side) // 2 for length in rgb.shape[:2])
        if min(top, left) >= 0:
            found.append(rgb[top : top + side, left : left + side])
    if not found:
        raise ValueError(f"{folder}: no photo of {side}x{side} pixels or more")
    return np.stack(found).astype("float32")


def with_noise(photos, deviation, grey, eight_bit):
    """The photos with normal noise, of grey ones the same in all channels."""
    noise = np.random.default_rng(0).normal(0, deviation, photos.shape).astype("float32")
    noisy = photos + (noise[..., :1] if grey else noise)
    return np.clip(np.rint(noisy), 0, 255) if eight_bit else noisy


def nl_means(grey, photo, deviation, h=0.8, fast=False):
    """The settings of scikit-image's own example for noise that is known."""
    settings = {"h": h * deviation / 255, "sigma": deviation / 255, "fast_mode": fast}
    settings |= {"patch_size": 5, "patch_distance": 6}
    return single(grey, photo, partial(denoise_nl_means, **settings))


def nl_means_fast(grey, photo, deviation):
    return nl_means(grey, photo, deviation, 0.6, fast=True)


def wavelet(grey, photo, deviation):
    settings = {"sigma": deviation / 255, "method": "BayesShrink", "rescale_sigma": True}
    return single(grey, photo, partial(denoise_wavelet, convert2ycbcr=not grey, **settings))


def single(grey, photo, function):
    """Of a grey photo the function sees one channel."""
    if grey:
        return 255 * function(photo[..., 0] / 255)[..., None]
    return 255 * function(photo / 255, channel_axis=-1)


def cleaned(model, noisy, grey):
    """As `denoise` would; of grey photos all channels are one."""
    found = model.predict(noisy, batch_size=4, verbose=0)
    return found.mean(-1, keepdims=True) if grey else found


def psnr(photos, found):
    """The mean over photos, in decibels."""
    error = np.mean((np.clip(found, 0, 255) - photos) ** 2, axis=(1, 2, 3))
    return float(np.mean(10 * np.log10(255**2 / error)))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--weights", default="photos", help="a shipped name or a .keras file")
    parser.add_argument("--grey", action="store_true")
    parser.add_argument("--eight-bit", action="store_true", help="noisy photos as files have them")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--side", type=int, default=256, help="pixels of the photos' middle")
    args = parser.parse_args()

    photos = middles(args.photos, args.count, args.side, args.grey)
    if args.weights.endswith(".keras"):
        model = keras.saving.load_model(args.weights, compile=False)
    else:
        model = denoiser.build(weights=args.weights)
    table = {}
    for deviation in tqdm(DEVIATIONS, leave=False, disable=None):
        noisy = with_noise(photos, deviation, args.grey, args.eight_bit)
        table[deviation] = {
            "noisy": psnr(photos, noisy),
            **{
                way.__name__: psnr(
                    photos[..., :1] if args.grey else photos,
                    np.stack([way(args.grey, photo, deviation) for photo in noisy]),
                )
                for way in (wavelet, nl_means, nl_means_fast)
            },
            args.weights: psnr(photos, cleaned(model, noisy, args.grey)),
        }
    print(f"PSNR of {len(photos)} photos at noise of")
    print(pd.DataFrame(table).to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
