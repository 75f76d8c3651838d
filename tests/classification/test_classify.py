import keras
import numpy as np
import pytest
from PIL import Image

from keras_vision.classification import classify, mnist_convnet
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
    with pytest.raises(ValueError, match=r"got one from \(None, 5\) to \(None, 12\).*prepare="):
        classify(twelve, photo)
    assert len(classify(twelve, photo, prepare=lambda rgb: rgb[0, :5, 0] / 1.0)) == 1
    with pytest.raises(ValueError, match="expected names of 12 classes, got 2"):
        classify(twelve, photo, ("a", "b"), lambda rgb: rgb[0, :5, 0])
