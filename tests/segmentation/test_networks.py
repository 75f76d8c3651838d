"""What all segmenters have in common, in one table: counts, any size, saving, learning."""

from functools import partial

import keras
import numpy as np
import pytest

from keras_vision.classification import resnet, vgg
from keras_vision.segmentation import deconvnet, fcn, segnet, unet, upsampling
from keras_vision.segmentation.losses import CrossEntropy

COUNTS = {  # trainable parameters: torchvision's, SegNet's and U-Net's papers'
    35_322_218: partial(fcn.build, side_head=True),
    29_449_932: partial(segnet.build, 12),
    31_030_658: partial(unet.build, 2, channels=1, valid=True),
}
SMALL = {  # a narrow one of each kind
    "fcn": lambda **settings: fcn.build(
        3, backbone=resnet.backbone(18, width=1 / 16, stride=8), **settings
    ),
    "fcn_32s": lambda: fcn.build(3, backbone=vgg.backbone(11, width=1 / 16), skips=0),
    "fcn_8s": lambda: fcn.build(3, backbone=vgg.backbone(11, width=1 / 16), skips=2),
    "deconvnet": partial(deconvnet.build, 3, width=1 / 32),
    "unet": partial(unet.build, 3, filters=4),
    "unet_norm": partial(unet.build, 3, filters=4, norm=True),
    **{f"segnet, {way}": partial(segnet.build, 3, None, 1 / 16, way) for way in upsampling.WAYS},
}
networks = pytest.mark.parametrize("build", SMALL.values(), ids=SMALL)


def pictures(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


@pytest.mark.parametrize(("count", "build"), COUNTS.items())
def test_counts(count, build):
    with keras.device("cpu"):
        model = build()
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == count


@pytest.mark.quick("fcn", "fcn_8s", "unet_norm", "segnet, indices")
@networks
def test_any_size_a_batch_and_mixed_precision(build):
    model = build()
    for height, width in ((1, 1), (33, 47), (64, 96)):
        logits = model.predict_on_batch(pictures(2, height, width, 3))
        assert (logits.shape, logits.dtype) == ((2, height, width, 3), "float32")
        assert np.isfinite(logits).all()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    found = mixed.predict_on_batch(pictures(2, 64, 96, 3))
    assert found.dtype == np.float32
    assert np.linalg.norm(found - logits) < 0.3 * np.linalg.norm(logits) + 0.05


@pytest.mark.quick("fcn", "fcn_8s", "unet_norm", "segnet, indices")
@networks
def test_saved_and_loaded(build, tmp_path):
    model = build()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    photos = pictures(1, 40, 50, 3)
    np.testing.assert_array_equal(again.predict_on_batch(photos), model.predict_on_batch(photos))


LEARNERS = {
    "fcn": (SMALL["fcn"], 40),
    "fcn_8s": (SMALL["fcn_8s"], 40),
    "unet": (SMALL["unet_norm"], 60),
    "segnet": (partial(segnet.build, 3, width=1 / 8), 60),
    "deconvnet": (partial(deconvnet.build, 3, width=1 / 8), 100),
}


@pytest.mark.quick("unet")
@pytest.mark.parametrize(("build", "steps"), LEARNERS.values(), ids=LEARNERS)
def test_pictures_are_learned_by_heart(build, steps):
    """Quarters of one colour each, of which one is void and may become anything."""
    quarters = np.repeat(np.repeat([[0, 1], [2, 255]], 32, 0), 32, 1)
    labels = np.stack([quarters, quarters[::-1]])
    colours = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250], [0, 0, 0]], "float32")
    photos = colours[np.minimum(labels, 3)]
    model = build()
    model.compile(keras.optimizers.Adam(3e-3), CrossEntropy())
    for _ in range(steps):
        model.train_on_batch(photos, labels)
    found = model.predict_on_batch(photos).argmax(-1)
    assert (found == labels)[labels != 255].mean() > 0.9


def test_unet_without_padding_sees_the_middle():
    model = unet.build(2, channels=1, filters=2, valid=True)
    assert model.compute_output_shape((1, 572, 572, 1)) == (1, 388, 388, 2)
    photo = pictures(1, 204, 204, 1)
    found = model.predict_on_batch(photo)
    assert found.shape == (1, 20, 20, 2)
    photo[:, :1] = 0  # a cell sees 92 pixels around it, or up to 15 more where poolings meet
    changed = (model.predict_on_batch(photo) != found).any(axis=(0, 2, 3))
    assert changed[0]
    assert not changed[16:].any()


@pytest.mark.parametrize("way", ["nearest", "bilinear", "nails", "indices"])
def test_ways_up(way):
    """What each makes of the maxima of a small map, worked out by hand."""
    before = np.array([[1, 5, 0, 0], [2, 3, 0, 7], [4, 4, 9, 8], [4, 4, 6, 6]], "float32")
    inputs = keras.Input((None, None, 1))
    pooled, places = upsampling.MaxPoolingWithIndices(2)(inputs)
    model = keras.Model(inputs, upsampling.WAYS[way](pooled, (inputs, places)))
    found = model.predict_on_batch(before[None, ..., None])[0, ..., 0]
    expected = {
        "nearest": [[5, 5, 7, 7], [5, 5, 7, 7], [4, 4, 9, 9], [4, 4, 9, 9]],
        "nails": [[5, 0, 7, 0], [0, 0, 0, 0], [4, 0, 9, 0], [0, 0, 0, 0]],
        "indices": [[0, 5, 0, 0], [0, 0, 0, 7], [4, 0, 9, 0], [0, 0, 0, 0]],
        "bilinear": [
            [5, 5.5, 6.5, 7],
            [4.75, 5.5, 7, 7.75 - 0.25],
            [4.25, 5.5, 8, 9.25 - 0.75],
            [4, 5.25, 7.75, 9],
        ],
    }[way]
    if way == "bilinear":
        expected = bilinear(np.array([[5.0, 7], [4, 9]]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def bilinear(corners):
    """(2, 2) -> (4, 4): each new pixel lies a quarter of a pixel from an old one."""
    share = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    return share @ corners @ share.T


def test_arguments_that_make_no_network():
    with pytest.raises(ValueError, match="upsampling must be one of 'indices', 'nails'"):
        segnet.build(3, upsampling="magic")
    with pytest.raises(ValueError, match="skips must be one of None, 0, 1, 2, not 3"):
        fcn.build(skips=3)
    with pytest.raises(ValueError, match="channels must be one of 1, 2, 3, 4, not 5"):
        unet.build(channels=5)
    with pytest.raises(ValueError, match="stride must be one of 32, 16, 8, not 4"):
        resnet.backbone(18, stride=4)
    with pytest.raises(FileNotFoundError, match="neither a file nor one of the shipped"):
        unet.build(weights="nothing")


def test_weights_of_another_class_count(tmp_path):
    unet.build(3, filters=2).save_weights(tmp_path / "three.weights.h5")
    with pytest.raises(ValueError, match=r"unet cannot take these weights.*lacks.*\(4,\)"):
        unet.build(4, filters=2, weights=str(tmp_path / "three.weights.h5"))
