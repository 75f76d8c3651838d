import keras
import numpy as np
import pytest
from PIL import Image

from keras_vision import colorization
from keras_vision.classification import classify, mnist_convnet, resnet
from keras_vision.classification.classify import central
from keras_vision.datasets import mnist


@pytest.fixture(scope="module")
def model():
    return mnist_convnet.build(weights="mnist")


def test_digits_of_all_kinds(model, tmp_path):
    images, labels = mnist.arrays("test", mnist.SUBSET)
    path = tmp_path / "digit.png"
    Image.fromarray(255 - images[0]).resize((200, 200)).convert("RGBA").save(path)
    photos = [path, images[1], Image.fromarray(images[2]), np.dstack([images[3]] * 3)]
    table = classify(model, photos)
    assert table["label"].tolist() == labels[:4].tolist()
    assert table["probability"].between(0.5, 1).all()
    assert table["name"].tolist() == [str(label) for label in labels[:4]]
    assert table["photo"].tolist() == [str(path), 1, 2, 3]
    assert classify(model, path)["label"].tolist() == [labels[0]]
    assert classify(model, iter(photos))["photo"].tolist() == [0, 1, 2, 3]


def test_nearly_as_good_as_on_the_bare_digits(model):
    images, labels = mnist.arrays("test", mnist.SUBSET)
    table = classify(model, np.repeat(images[..., None], 3, -1))
    assert (table["label"] == labels).mean() > 0.985


def test_which_photo_is_blank(model):
    digit = mnist.arrays("test", mnist.SUBSET)[0][0]
    with pytest.raises(ValueError, match=r"image 2 of 2: expected the photo of one digit"):
        classify(model, [digit, np.full((30, 30, 3), 255, "uint8")])


def test_no_photo_no_row(model):
    assert len(classify(model, [])) == 0


def brightest(height, width):
    """A classifier of colour pictures: which channel is the brightest in the middle?"""
    x = inputs = keras.Input((height, width, 3))
    x = keras.layers.CenterCrop(2, 2)(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize("size", [(32, 48), (None, None)])
def test_any_classifier(size):
    photos = [np.zeros((90, 120, 3), "uint8"), np.zeros((300, 31, 3), "uint8")]
    for channel, photo in enumerate(photos):
        photo[photo.shape[0] // 2 - 9 : photo.shape[0] // 2 + 9, :, channel + 1] = 200
    table = classify(brightest(*size), photos, names=("red", "green", "blue"))
    assert table["name"].tolist() == ["green", "blue"]
    assert table["probability"].between(0.99, 1).all()


def test_the_middle_of_a_photo():
    rows = np.repeat(np.arange(224, dtype="uint8")[:, None, None], 300, axis=1)
    rows = np.repeat(rows, 3, axis=2)
    seen = central(rows, 98, 98)
    assert seen.shape == (98, 98, 3)
    assert abs(int(seen[0, 0, 0]) - 14) <= 1
    assert abs(int(seen[-1, 0, 0]) - 209) <= 1


def test_own_preparation_and_what_does_not_fit():
    twelve = keras.Model(inputs := keras.Input((5,)), keras.layers.Dense(12)(inputs))
    photo = np.zeros((8, 8, 3), "uint8")
    with pytest.raises(ValueError, match=r"got one of \(None, 5\).*prepare="):
        classify(twelve, photo)
    assert len(classify(twelve, photo, prepare=lambda rgb: rgb[0, :5, 0] / 1.0)) == 1
    with pytest.raises(ValueError, match="expected names of 12 classes, got 2"):
        classify(twelve, photo, ("a", "b"), prepare=lambda rgb: rgb[0, :5, 0])
    for top in (0, 13):
        with pytest.raises(ValueError, match=f"top must be 1 to 12, .* not {top}"):
            classify(twelve, photo, top=top, prepare=lambda rgb: rgb[0, :5, 0])


def test_several_answers_a_photo():
    photos = np.zeros((2, 40, 40, 3), "uint8")
    photos[0], photos[1] = (30, 20, 10), (1, 2, 3)
    table = classify(brightest(32, 32), photos, ("red", "green", "blue"), top=2)
    assert list(table) == ["photo", "rank", "label", "name", "probability"]
    assert table["photo"].tolist() == [0, 0, 1, 1]
    assert table["rank"].tolist() == [1, 2, 1, 2]
    assert table["label"].tolist() == [0, 1, 2, 1]
    assert table["name"].tolist() == ["red", "green", "blue", "green"]
    expected = 1 / (1 + np.exp([-10, 10]) + np.exp([-20, -10]))
    np.testing.assert_allclose(table["probability"][:2], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "model", [resnet.backbone(18, width=1 / 16), colorization.build(width=1 / 32)]
)
def test_what_is_no_classifier_is_told(model):
    with pytest.raises(ValueError, match=r"expected a classifier, .* \(B, classes\).* backbone"):
        classify(model, np.zeros((32, 32, 3), "uint8"))


def test_pixels_in_0_to_1_are_noticed():
    photo = np.random.default_rng(0).uniform(0, 1, (32, 32, 3))
    with pytest.raises(ValueError, match=r"look like 0\.\.1; multiply by 255"):
        classify(brightest(32, 32), photo)


def test_a_photo_smaller_than_what_the_network_sees():
    assert len(classify(brightest(64, 64), np.full((5, 3, 3), 9, "uint8"))) == 1
