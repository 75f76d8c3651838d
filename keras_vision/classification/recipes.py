"""Augmentation for classifiers, from the lecture's to today's.

    augmented = data.in_turn(RECIPES["flip"], RECIPES["rand_augment"])
    BatchData(rows, 64, example=partial(data.one_hot, 10), augment=augmented, mix=MIXES["cutmix"])

What is drawn follows from the seed of the picture alone, so that a resumed run sees what an
uninterrupted one sees.
"""

from keras import layers

from keras_vision import augment
from keras_vision.classification import data

# A saturation of 0 is grey, 0.5 as it was, and 1 as rich as can be.
COLOURS = {"brightness_factor": 0.3, "contrast_factor": 0.4, "saturation_factor": (0.3, 0.65)}

RECIPES = {
    # "If you rotate cat image by 15 degrees, it's still a cat": the lecture's list.
    "rotate": augment.by(layers.RandomRotation(15 / 360, fill_mode="reflect")),
    "crop": lambda raw, seed: data.crop(raw, seed, raw["image"].shape[0]),
    "zoom": augment.by(layers.RandomZoom((-0.2, 0.2), fill_mode="reflect")),
    "flip": data.flip,
    "noise": data.noise,
    "colour": augment.by(layers.RandomColorJitter((0, 255), **COLOURS, hue_factor=0.1)),
    "shift": data.shift,
    # Cubuk et al. 2020, and Zhong et al. 2020.
    "rand_augment": augment.by(layers.RandAugment((0, 255), num_ops=2, factor=0.3)),
    "erase": augment.by(layers.RandomErasing(0.5)),
}

# Of whole batches, with labels one-hot: Zhang et al. 2018, Yun et al. 2019.
MIXES = {
    "mixup": augment.by(layers.MixUp(0.2)),
    "cutmix": augment.by(layers.CutMix(1.0)),
}


def grid_mask(**settings):
    """Chen et al. 2020, "GridMask", by keras-cv, whose settings it takes: pip install
    "keras_vision[keras-cv]".

    It draws from TensorFlow's own state, not from the picture's seed: a resumed run sees others.
    """
    try:
        from keras_cv.layers import GridMask
    except ImportError as error:
        fix = 'pip install "keras_vision[keras-cv]"'
        raise ImportError(f"GridMask needs keras-cv: {fix} ({error})") from error
    layer = GridMask(**settings)

    def augmented(raw, seed):
        del seed
        image = layer(raw["image"], training=True)
        return {**raw, "image": augment.like(image, raw["image"])}

    return augmented
