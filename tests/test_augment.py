import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_vision import augment
from keras_vision.pipeline import BatchData, Rows

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 16, 24, 3)).astype("uint8")
XYXY = {"bounding_box_format": "xyxy"}


def drawn(function, example, seeds=((1, 2),)):
    """What comes in a tf.data pipeline, where Keras' layers do otherwise than eagerly."""
    seeds = tf.data.Dataset.from_tensor_slices(np.int64(seeds))
    return list(seeds.map(lambda seed: function(example, seed)))


# Each kind of layer by which seeds reach their draws: directly, through sublayers, unasked.
LAYERS = {
    "flip": lambda: [layers.RandomFlip("horizontal")],
    "several": lambda: [
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.2),
        layers.RandomCrop(8, 8),
    ],
    "jitter": lambda: [layers.RandomColorJitter((0, 255), 0.5, 0.5, 0.5, 0.5)],
    "rand_augment": lambda: [layers.RandAugment()],
    "erasing": lambda: [layers.RandomErasing(1.0)],
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_seed_alone_says_what_is_drawn(name):
    function = augment.by(*LAYERS[name]())
    again = augment.by(*LAYERS[name]())  # other layers, whose own seeds differ
    raw = {"image": IMAGES[0], "label": 3}
    seeds = [(5, n) for n in range(12)]
    first = drawn(function, raw, seeds)
    assert all(r["label"] == 3 and r["image"].dtype == tf.uint8 for r in first)
    for other in (function, again):
        backwards = drawn(other, raw, seeds[::-1])[::-1]
        for got, expected in zip(backwards, first, strict=True):
            np.testing.assert_array_equal(got["image"], expected["image"])
    assert len({r["image"].numpy().tobytes() for r in first}) > 1


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees():
    rows = Rows({"image": IMAGES, "label": np.arange(6)})

    def example(raw):
        return raw["image"], tf.one_hot(raw["label"], 6)

    def stream(first_step):
        flow = BatchData(
            rows,
            2,
            example=example,
            augment=augment.by(layers.RandomFlip(), layers.RandomCrop(8, 8)),
            mix=augment.by(layers.MixUp(0.4)),
        )
        return [(x.numpy(), y.numpy()) for x, y in flow(first_step).take(9 - first_step)]

    for resumed, expected in zip(stream(4), stream(0)[4:], strict=True):
        for a, b in zip(resumed, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_draws_of_one_picture_are_independent():
    """A layer that flips twice would give every picture back, were both flips one draw."""
    twice = augment.by(*(layers.RandomFlip("horizontal") for _ in range(2)))
    pictures = drawn(twice, {"image": IMAGES[0]}, [(0, n) for n in range(60)])
    assert 15 < sum(np.array_equal(raw["image"], IMAGES[0]) for raw in pictures) < 45


def boxed():
    """A picture whose box, mask and label map all are what is not black."""
    image = np.zeros((16, 24, 3), "uint8")
    image[4:9, 2:12] = 200
    filled = image[..., 0] > 0
    return {
        "image": image,
        "boxes": np.float32([[2, 4, 12, 9]]),
        "labels": np.int64([5]),
        "masks": filled[None],
        "name": "x",
    }


def extent(filled):
    rows, columns = np.flatnonzero(filled.any(1)), np.flatnonzero(filled.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


BLACK = {"fill_mode": "constant", **XYXY}


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomFlip("horizontal", **XYXY),
        layers.RandomTranslation(0.4, 0.8, **BLACK),
        layers.RandomZoom((-0.5, 0.5), **BLACK),
        layers.RandomRotation(0.1, **BLACK),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_boxes_and_masks_go_along(layer):
    function = augment.by(layer)
    seen = set()
    for raw in drawn(function, boxed(), [(3, seed) for seed in range(20)]):
        filled = raw["image"].numpy()[..., 0] > 100
        assert raw["masks"].dtype == tf.bool
        assert raw["labels"].dtype == tf.int64
        if not filled.any():
            assert len(raw["boxes"]) == len(raw["labels"]) == len(raw["masks"]) == 0
            continue
        assert np.mean(raw["masks"][0] != filled) < 0.02  # the picture is interpolated
        np.testing.assert_allclose(raw["boxes"][0], extent(raw["masks"][0].numpy()), atol=1)
        seen.add(tuple(extent(filled)))
    assert len(seen) > 1


@pytest.mark.parametrize("layer", [layers.RandomCrop(8, 8, **XYXY), layers.RandAugment(**XYXY)])
def test_layers_that_misplace_boxes(layer):
    with pytest.raises(ValueError, match=f"{type(layer).__name__} would misplace the boxes"):
        augment.by(layer)(boxed(), (0, 1))


def test_no_box_at_all():
    raw = boxed() | {"boxes": np.zeros((0, 4), "float32"), "labels": np.zeros(0, "int64")}
    raw["masks"] = np.zeros((0, 16, 24), bool)
    (raw,) = drawn(augment.by(layers.RandomFlip(**XYXY)), raw)
    assert raw["boxes"].shape[1:] == (4,)
    assert len(raw["boxes"]) == len(raw["masks"]) == 0


def test_label_maps_keep_their_numbers():
    label_map = RNG.integers(0, 20, (16, 24)).astype("int32")
    label_map[:3] = 255
    raw = {"image": IMAGES[0], "label_map": label_map}
    (turned,) = drawn(augment.by(layers.RandomRotation(0.2, fill_mode="nearest")), raw)
    turned = turned["label_map"]
    assert turned.dtype == tf.int32
    assert set(np.unique(turned)) <= set(np.unique(label_map))


def test_mixing_batches():
    y = np.eye(6, dtype="float32")
    ((images, labels),) = drawn(augment.by(layers.MixUp(0.4)), (np.float32(IMAGES), y))
    # Labels say how the pictures were mixed.
    np.testing.assert_allclose(labels.numpy().sum(1), 1, rtol=1e-5)
    mixed = np.einsum("bk,khwc->bhwc", labels, np.float32(IMAGES))
    np.testing.assert_allclose(images, mixed, atol=0.01)
    assert not np.allclose(images, IMAGES)
    ((images, _),) = drawn(augment.by(layers.CutMix()), (IMAGES, y))
    assert images.dtype == tf.uint8
    (flipped,) = drawn(
        augment.by(layers.RandomFlip("horizontal")), (IMAGES, IMAGES[..., 0]), [(2, 7)]
    )
    np.testing.assert_array_equal(flipped[0][..., 0], flipped[1])
    assert not np.array_equal(flipped[1], IMAGES[..., 0])


def test_numbers_cannot_be_mixed():
    with pytest.raises(ValueError, match=r"one-hot labels \(B, classes\).*tf\.one_hot"):
        augment.by(layers.MixUp())((IMAGES, np.arange(6)), (0, 1))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Dense(2), "layers that transform images.*got a Dense"),
        (layers.AugMix(), "AugMix draws its chain once"),
    ],
)
def test_layers_that_will_not_do(layer, message):
    with pytest.raises(ValueError, match=message):
        augment.by(layers.RandomFlip(), layer)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomTranslation((0.4, 0.4), (0.4, 0.4), fill_mode="constant"),
        layers.RandomPerspective(1.0, 0.5, interpolation="nearest"),
        layers.RandomRotation((0.2, 0.2), "constant"),
        layers.RandomRotation((0.1, 0.1), "constant", fill_value=255.0, name="white"),
    ],
    ids=lambda layer: layer.name,
)
def test_what_comes_into_a_label_map_is_void(layer, dtype):
    raw = {"image": np.full((24, 24, 3), 200, "uint8"), "label_map": np.full((24, 24), 7, dtype)}
    seeds = [(number, 4) for number in range(8)]
    found = drawn(augment.by(layer), raw, seeds)
    labels, image = (np.stack([one[name] for one in found]) for name in ("label_map", "image"))
    assert set(np.unique(labels)) == {7, 255}
    assert (labels[np.isin(image[..., 0], (0, 255))] == 255).all()
    assert labels.dtype == dtype
    batch = tf.stack([raw["image"]] * 2), tf.stack([raw["label_map"]] * 2)
    labels = [y for _, y in drawn(augment.by(layer), batch, seeds)]
    assert set(np.unique(labels)) == {7, 255}
