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
    assert samples.load("val", size=32).element_spec["image"].shape == (32, 32, 3)


def test_an_unknown_split():
    with pytest.raises(ValueError, match="no split 'test', expected one of train, val"):
        samples.load("test")


def test_a_folder_of_ones_own(tmp_path):
    with pytest.raises(FileNotFoundError, match="no photo"):
        samples.load("train", tmp_path)
    (tmp_path / "mine.jpg").write_bytes((samples.FOLDER / "cat.jpg").read_bytes())
    assert {raw["name"] for raw in samples.load("val", tmp_path).as_numpy_iterator()} == {b"mine"}
