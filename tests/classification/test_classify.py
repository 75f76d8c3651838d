import numpy as np
import pytest
from PIL import Image

from keras_vision.classification import classify, mnist_convnet
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
    assert classify(model, path)["label"].tolist() == [labels[0]]


def test_nearly_as_good_as_on_the_bare_digits(model):
    images, labels = mnist.arrays("test", mnist.SUBSET)
    table = classify(model, np.repeat(images[..., None], 3, -1))
    assert (table["label"] == labels).mean() > 0.985


def test_which_photo_is_blank(model):
    digit = mnist.arrays("test", mnist.SUBSET)[0][0]
    with pytest.raises(ValueError, match=r"photo 2 of 2: expected the photo of one digit"):
        classify(model, [digit, np.full((30, 30, 3), 255, "uint8")])


def test_no_photo_no_row(model):
    assert len(classify(model, [])) == 0
