import keras
import numpy as np
import pytest

from keras_vision.classification import mobilenet, resnet, transfer

RNG = np.random.default_rng(0)
PHOTOS = RNG.uniform(0, 255, (8, 32, 32, 3)).astype("float32")
LABELS = np.arange(8) % 3


def backbone():
    return resnet.backbone(18, small=True, width=1 / 16)


def changed(model, steps=2):
    """{layer: whether training changed any of its weights, statistics included}."""
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(PHOTOS, LABELS, epochs=steps, verbose=0)
    return {
        name: any(
            (a != b).any() for a, b in zip(old, model.get_layer(name).get_weights(), strict=True)
        )
        for name, old in before.items()
    }


@pytest.mark.parametrize(
    ("until", "free"),
    [
        ("c5", ["classes"]),
        ("c4", ["layer4", "classes"]),
        ("c2", ["layer2", "layer3", "layer4", "classes"]),
        (None, ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "classes"]),
    ],
)
def test_what_is_frozen_stays_statistics_included(until, free):
    base = backbone()
    model = transfer.classifier(base, 3)
    transfer.freeze(base, until)
    for name, differs in changed(model).items():
        assert differs == any(name.startswith(part) for part in free), name


def test_the_last_freeze_holds():
    base = backbone()
    model = transfer.classifier(base, 3)
    transfer.freeze(base)
    transfer.freeze(base, None)
    assert all(changed(model).values())


def test_frozen_maps_are_those_of_inference():
    base = mobilenet.backbone(small=True, width=1 / 8)
    transfer.freeze(base)
    maps = base(PHOTOS, training=True)["c5"]
    np.testing.assert_allclose(maps, base(PHOTOS, training=False)["c5"], atol=1e-6)


def test_saved_and_loaded(tmp_path):
    base = backbone()
    model = transfer.classifier(base, 3)
    transfer.freeze(base, "c4")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict_on_batch(PHOTOS), model.predict_on_batch(PHOTOS))
    assert len(again.trainable_weights) == len(model.trainable_weights)
