import numpy as np
import pytest

from keras_vision.datasets import samples


def test_photos_are_in_colour_and_licensed():
    photos = samples.photos()
    assert list(photos) == ["astronaut", "cat", "coffee", "dahlia", "pavilion", "rocket"]
    licences = (samples.FOLDER / "README.md").read_text()
    for name, rgb in photos.items():
        assert f"{name}.jpg" in licences
        assert rgb.dtype == np.uint8
        assert max(rgb.shape) in (451, 480)
        assert np.ptp(rgb.astype(int), axis=-1).mean() > 10


def test_crops_for_training_and_validation_share_no_pixel():
    crops = {split: list(samples.load(split).as_numpy_iterator()) for split in ("train", "val")}
    assert len(crops["train"]) == len(samples.load("train")) > 200
    assert {crop["name"] for crop in crops["val"]} == {n.encode() for n in samples.photos()}
    columns = {
        split: {
            column.tobytes()
            for crop in crops[split]
            for column in np.moveaxis(crop["image"], 1, 0)
            if np.ptp(column) > 100  # one black column is like another
        }
        for split in crops
    }
    assert not columns["train"] & columns["val"]
    assert all(crop["image"].shape == (64, 64, 3) for crop in crops["train"])


def test_another_size():
    assert samples.load("val", 32).element_spec["image"].shape == (32, 32, 3)


def test_an_unknown_split():
    with pytest.raises(ValueError, match="'train' or 'val', not 'test'"):
        samples.load("test")
