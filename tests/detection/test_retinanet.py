"""torchvision's RetinaNet, with equal random weights, is the oracle."""

import keras
import make_detection_golden as golden
import numpy as np
import pytest
from keras import ops

from keras_vision.classification import resnet
from keras_vision.datasets import coco, shapes
from keras_vision.detection import anchors, detect, evaluate, losses, retinanet
from keras_vision.detection.detect import of_any_size, on_canvas, resized

GOLDEN = np.load(golden.GOLDEN)
sizes = pytest.mark.parametrize("size", golden.SIZES)


def place(size):
    return f"{size[0]}x{size[1]}"


def canvas(size):
    """What torchvision's network saw of a golden photo."""
    seen, canvas = of_any_size(size, golden.SHORT, golden.LONG)
    return on_canvas(resized(golden.photo(*size), seen), canvas)


def assert_close(ours, theirs, tolerance=1e-4):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


@pytest.fixture
def load(small, state, save_torch, tmp_path):
    """A function that builds the network with torchvision's weights, from a `.pth`."""

    def load(arrays=None, **settings):
        path = save_torch(tmp_path / "retinanet.pth", arrays or state)
        return small(weights=path, **settings)

    return load


@sizes
def test_raw_outputs_and_anchors_equal_torchvisions(load, size):
    seen = canvas(size)
    outputs = load().predict_on_batch(seen[None])
    assert_close(outputs["classes"][0, :: golden.EVERY], GOLDEN[f"{place(size)}/classes"])
    assert_close(outputs["boxes"][0, :: golden.EVERY], GOLDEN[f"{place(size)}/deltas"])
    grid = anchors.grid(*seen.shape[:2])
    np.testing.assert_array_equal(grid[:: golden.EVERY], GOLDEN[f"{place(size)}/anchors"])


@sizes
def test_detections_equal_torchvisions(load, size):
    """The whole way: resizing, padding, the network, decoding, suppression, and back.

    But for what lies wholly in the padding: torchvision keeps its boxes, which have no area.
    """
    found = detect(load(), golden.photo(*size), 0.05, golden.SHORT, golden.LONG)
    boxes, labels, scores = (
        GOLDEN[f"{place(size)}/{name}"] for name in ("boxes", "labels", "scores")
    )
    seen = (boxes[:, 2:] > boxes[:, :2]).all(1)
    boxes, labels, scores = boxes[seen], labels[seen], scores[seen]
    assert 250 < len(labels) <= len(found["labels"]) == 300
    found = {name: of[: len(labels)] for name, of in found.items()}
    np.testing.assert_allclose(found["scores"], scores, atol=1e-4)
    for box, label, score in zip(boxes, labels, scores, strict=True):
        same = (found["labels"] == label) & (np.abs(found["scores"] - score) < 1e-3)
        distance = np.abs(found["boxes"][same] - box).max(axis=1)
        assert distance.min() < 0.05  # of a pixel


def test_names_of_older_files(load, state):
    """Before torchvision 0.13 they had others, and no counters."""
    expected = load().predict_on_batch(canvas((96, 96))[None])
    old = {}
    for name, array in state.items():
        parts = name.split(".")
        if "_blocks" in name and parts[2].endswith("_blocks") and parts[-2] == "0":
            parts.pop(-2)
        if parts[0] == "head" and parts[2] == "conv":
            parts[3:5] = [str(2 * int(parts[3]))]
        old[".".join(parts)] = array
    assert len(old) == len(state)
    assert set(old) != set(state)
    found = load(old).predict_on_batch(canvas((96, 96))[None])
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_cocos_ids_become_labels(load, state):
    name = retinanet.CLASSES
    random = np.random.default_rng(0)
    by_id = {
        f"{name}.weight": random.normal(0, 0.1, (9 * 91, golden.FILTERS, 3, 3)).astype("float32"),
        f"{name}.bias": random.normal(0, 1, 9 * 91).astype("float32"),
    }
    seen = canvas((96, 96))[None]
    by_label = load(state | by_id).predict_on_batch(seen)["classes"]
    by_id = load(state | by_id, classes=91).predict_on_batch(seen)["classes"]
    assert by_label.shape[-1] == 80
    assert by_id.shape[-1] == 91
    np.testing.assert_allclose(by_label, by_id[..., list(coco.category_ids)], atol=1e-4)


def test_batchnorm_of_a_checkpoint_is_frozen(load):
    model = load()
    norms = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) == 20
    assert not any(x.trainable for x in norms)
    before = [ops.convert_to_numpy(x.moving_mean) for x in norms]
    model(canvas((96, 96))[None], training=True)
    for x, mean in zip(norms, before, strict=True):
        np.testing.assert_array_equal(x.moving_mean, mean)


def test_another_count_of_classes_is_told(load):
    with pytest.raises(ValueError, match=r"retinanet cannot take these weights.*cls_logits"):
        load(classes=7)


@pytest.mark.slow
def test_parameters():
    model = retinanet.build(classes=91)
    norms = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    of_norms = sum(int(np.prod(v.shape)) for x in norms for v in x.weights)
    assert model.count_params() - of_norms == 34_014_999


def test_every_class_starts_at_the_prior(small):
    """And only classes: boxes start at their anchors."""
    outputs = small(classes=3).predict_on_batch(np.zeros((1, 64, 96, 3), "float32"))
    assert outputs["classes"].shape == (1, len(anchors.grid(64, 96)), 3)
    np.testing.assert_allclose(ops.sigmoid(outputs["classes"]), 0.01, rtol=0.2)
    np.testing.assert_allclose(outputs["boxes"], 0, atol=0.05)


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (1, 1), (33, 200)])
def test_any_size(small, size):
    outputs = small(classes=2).predict_on_batch(np.zeros((1, *size, 3), "uint8"))
    assert outputs["boxes"].shape == (1, len(anchors.grid(*size)), 4)


def test_saved_and_loaded_it_is_the_same_and_compiled(small, tmp_path):
    model = small(classes=3, size=(64, 64))
    model.compile("adam", {"classes": losses.FocalLoss(), "boxes": losses.SmoothL1()})
    # Two, as TensorFlow's gradient of convolutions writes beyond the arrays of one so small.
    x = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3))
    y = {"classes": np.zeros((2, len(anchors.grid(64, 64))), int)}
    y["boxes"] = np.zeros((*y["classes"].shape, 4))
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for name, of in model.predict_on_batch(x).items():
        np.testing.assert_array_equal(again.predict_on_batch(x)[name], of)
    assert again.compiled
    assert isinstance(again.loss["classes"], losses.FocalLoss)
    model.save_weights(tmp_path / "model.weights.h5")
    third = small(weights=tmp_path / "model.weights.h5", size=(64, 64))
    np.testing.assert_array_equal(
        third.predict_on_batch(x)["boxes"], model.predict_on_batch(x)["boxes"]
    )


def test_mixed_precision_answers_in_float32(small):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        outputs = small(classes=3).predict_on_batch(np.zeros((1, 64, 64, 3), "uint8"))
    finally:
        keras.config.set_dtype_policy("float32")
    assert {of.dtype for of in outputs.values()} == {np.dtype("float32")}


def test_a_backbone_of_ones_own():
    backbone = resnet.backbone(18, small=True, width=1 / 16)
    with pytest.raises(ValueError, match="expected a backbone with the maps c3, c4, c5, got c3"):
        retinanet.build(keras.Model(backbone.input, {"c3": backbone.output["c3"]}))


def test_the_shipped_weights_find_shapes():
    path = retinanet.SHIPPED["shapes"]
    assert path.stat().st_size < 5e6
    model = retinanet.build(weights="shapes")
    rows = shapes.load("val", count=24)
    assert evaluate(model, rows).loc["all", "AP"] > 0.75  # of all 500: 0.846
    raw = next(rows.as_numpy_iterator())
    twice = raw["image"].repeat(2, axis=0).repeat(2, axis=1)
    once, twice = (detect(model, rgb) for rgb in (raw["image"], twice))
    assert once["labels"].tolist() == twice["labels"].tolist() != []
    np.testing.assert_allclose(2 * once["boxes"], twice["boxes"], atol=4)
