import keras
import numpy as np
import pytest
from PIL import Image

from keras_vision import images
from keras_vision.classification import resnet
from keras_vision.datasets import samples
from keras_vision.metric_learning import TripletLoss, embed, embedder, siamese
from keras_vision.metric_learning.data import by_id
from keras_vision.rows import Rows


def small(**settings):
    return embedder.build(resnet.backbone(18, width=1 / 16, small=True), **settings)


@pytest.fixture(scope="module")
def model():
    return small(dim=8, short=24)


@pytest.fixture(scope="module")
def photos():
    return list(samples.photos().values())[:3]


def test_unit_vectors_of_one_and_of_several(model, photos, tmp_path):
    Image.fromarray(photos[0]).save(tmp_path / "one.png")
    one, again = embed(model, photos[0]), embed(model, tmp_path / "one.png")
    assert (one.shape, one.dtype) == ((8,), np.float32)
    np.testing.assert_allclose(one, again, atol=1e-6)
    several = embed(model, photos)
    assert (several.shape, several.dtype) == ((3, 8), np.float32)
    np.testing.assert_allclose(np.linalg.norm(several, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(several[0], one, atol=1e-5)
    batch = embed(model, np.stack([photo[:40, :50] for photo in photos]))
    assert batch.shape == (3, 8)
    later = embed(model, iter(photos))
    assert iter(later) is later
    np.testing.assert_allclose(np.stack(list(later)), several, atol=1e-5)
    for nothing in ([], np.zeros((0, 30, 40, 3), "uint8")):
        assert (embed(model, nothing).shape, embed(model, nothing).dtype) == ((0, 8), np.float32)


def test_photos_are_seen_at_the_size_that_the_model_wants(model, photos):
    shapes, predict = [], model.predict_on_batch
    model.predict_on_batch = lambda x: shapes.append(x.shape) or predict(x)
    embed(model, photos[0][:120, :200])
    embed(model, photos[0][:120, :200], short=60)
    model.predict_on_batch = predict
    assert shapes == [(1, 24, 40, 3), (1, 60, 100, 3)]


def test_without_a_layer_of_its_own(photos):
    backbone = resnet.backbone(18, width=1 / 16, small=True)
    found = embed(embedder.build(backbone, dim=None, short=24), photos[0])
    maps = backbone(np.asarray(images.scaled(photos[0], 24))[None])
    means = np.mean(maps["c5"], axis=(0, 1, 2))
    np.testing.assert_allclose(found, means / np.linalg.norm(means), atol=1e-5)


def test_saved_loaded_and_mixed(model, photos, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(embed(again, photos), embed(model, photos))
    model.save_weights(tmp_path / "model.weights.h5")
    again = small(dim=8, short=24, weights=str(tmp_path / "model.weights.h5"))
    np.testing.assert_array_equal(embed(again, photos), embed(model, photos))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = small(dim=8, short=24)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    found = embed(mixed, photos)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-3)


def test_few_pictures_are_learned_by_heart(photos):
    crops = np.stack([photo[:32, :32] for photo in photos for _ in range(4)])
    noise = np.random.default_rng(0).normal(0, 20, crops.shape)
    rows = Rows(
        {
            "image": np.clip(crops + noise, 0, 255).astype("uint8"),
            "label": np.repeat(np.arange(3, dtype="int32"), 4),
        }
    )
    model = small(dim=4)
    model.compile(keras.optimizers.Adam(3e-3), TripletLoss(mining="semi_hard"))
    history = model.fit(by_id(rows, 3, 4)(), steps_per_epoch=30, shuffle=False, verbose=0).history
    vectors = embed(model, rows.columns["image"].numpy())
    away = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    same = np.repeat(np.arange(3), 4)[:, None] == np.repeat(np.arange(3), 4)
    assert away[same].max() < away[~same].min(), history


@pytest.mark.parametrize(
    "photo", [np.full((4, 4, 3), np.nan), np.zeros((0, 4, 3)), "no.png", np.zeros((2, 2, 7))]
)
def test_what_is_no_photo(model, photo):
    with pytest.raises((ValueError, FileNotFoundError)):
        embed(model, photo)


@pytest.mark.parametrize("short", [0, -3, 2.5, "8"])
def test_what_is_no_side(model, photos, short):
    with pytest.raises(ValueError, match=f"short must be a whole number .* not {short}"):
        embed(model, photos[0], short=short)


def test_what_is_no_embedder(photos):
    with pytest.raises(ValueError, match=r"expected an embedder.*got resnet18_backbone"):
        embed(resnet.backbone(18, width=1 / 16), photos[0])
    with pytest.raises(ValueError, match=r"expected a backbone, such as .*, or weights"):
        embedder.build()
    with pytest.raises(
        ValueError, match=r"'c9': maps.*backbone has \['c1', 'c2', 'c3', 'c4', 'c5'\]"
    ):
        small(at="c9")
    plain = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)], name="plain"
    )
    with pytest.raises(ValueError, match=r"photos -> \{'c5': maps, ...\}.*plain has no names"):
        embedder.build(plain)
    with pytest.raises(FileNotFoundError, match="nothing"):
        small(weights="nothing")


def test_siamese(model, photos, tmp_path):
    twin = siamese.build(model)
    assert twin.output_shape == (None,)
    forth, back = (siamese.verify(twin, *pair) for pair in (photos[:2], photos[1::-1]))
    assert forth == pytest.approx(back, abs=1e-6)
    first, second = (embed(model, photo) for photo in photos[:2])
    kernel, bias = twin.get_layer("same").get_weights()
    logit = np.abs(first - second) @ kernel[:, 0] + bias[0]
    assert forth == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)
    twin.save(tmp_path / "twin.keras")
    again = keras.saving.load_model(tmp_path / "twin.keras")
    assert siamese.verify(again, *photos[:2]) == forth
    a, b = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    for wrong in (model, keras.Model([a, b], model(a) - model(b))):
        with pytest.raises(ValueError, match="expected a network of two photos"):
            siamese.verify(wrong, *photos[:2])


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_siamese_sure_of_itself_and_mixed(model, photos, logit):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        twin = siamese.build(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert twin.output.dtype == "float32"
    twin.get_layer("same").set_weights([np.zeros((8, 1)), np.array([logit])])
    with np.errstate(over="raise"):
        assert siamese.verify(twin, *photos[:2]) == (logit > 0)
