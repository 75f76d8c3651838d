import keras
import numpy as np
import pytest
from PIL import Image

from keras_vision import tiles
from keras_vision.__main__ import main
from keras_vision.datasets import samples
from keras_vision.restoration import denoise, denoiser


def noisy(photo, deviation):
    noise = np.random.default_rng(0).normal(0, deviation, photo.shape)
    return np.clip(np.rint(photo + noise), 0, 255).astype("uint8")


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.fixture(scope="module")
def model():
    return denoiser.build(weights="photos")


@pytest.fixture(scope="module")
def photo():
    return samples.photos()["coffee"][:160, :200]


def test_untrained_networks_let_pictures_pass(photo):
    for build in (denoiser.build, denoiser.dncnn):
        np.testing.assert_array_equal(denoise(build(filters=4), photo), photo)


@pytest.mark.parametrize(("deviation", "gain"), [(15, 5), (25, 6.5), (50, 8)])
def test_noise_goes(model, photo, deviation, gain):
    found = denoise(model, noisy(photo, deviation))
    assert (found.dtype, found.shape) == (np.uint8, photo.shape)
    assert psnr(found, photo) > psnr(noisy(photo, deviation), photo) + gain


def test_a_clean_photo_stays_as_it_is(model, photo):
    assert psnr(denoise(model, photo), photo) > 35


def test_grey_photos_stay_grey(model, photo):
    grey = np.asarray(Image.fromarray(photo).convert("L"))
    found = denoise(model, noisy(grey, 25))
    assert found.shape == (*grey.shape, 3)
    assert (found == found[..., :1]).all()
    assert psnr(found.mean(-1), grey) > psnr(noisy(grey, 25), grey) + 6


def test_networks_of_other_channels():
    with pytest.raises(ValueError, match="channels must be one of 1, 3, not 4"):
        denoiser.build(channels=4)


def test_networks_of_one_channel(photo):
    found = denoise(denoiser.build(channels=1, filters=4), photo)
    np.testing.assert_array_equal(found[..., 0], np.asarray(Image.fromarray(photo).convert("L")))
    assert (found == found[..., :1]).all()


def test_sizes_batches_and_pieces(model, photo, monkeypatch, tmp_path):
    rough = noisy(photo, 25)
    whole = denoise(model, rough)
    path = tmp_path / "rough.png"
    Image.fromarray(rough).save(path)
    mixed = denoise(model, [path, rough[:1, :1], rough[:33, :47]])
    assert [one.shape for one in mixed] == [whole.shape, (1, 1, 3), (33, 47, 3)]
    np.testing.assert_array_equal(mixed[0], whole)
    assert denoise(model, np.stack([rough] * 2)).shape == (2, *whole.shape)
    monkeypatch.setattr(tiles, "WHOLE", 10_000)
    monkeypatch.setattr(tiles, "CORE", 64)
    assert np.abs(denoise(model, rough).astype(int) - whole).max() <= 1


def test_from_a_shell(photo, tmp_path):
    path = tmp_path / "rough.png"
    Image.fromarray(noisy(photo, 25)).save(path)
    assert main(["denoise", str(path), "--out", str(tmp_path / "clean")]) == 0
    found = np.asarray(Image.open(tmp_path / "clean" / "rough.png"))
    assert psnr(found, photo) > psnr(noisy(photo, 25), photo) + 6


@pytest.mark.parametrize(("size", "filters"), [(None, 4), (60, 3)])
def test_what_is_no_denoiser(photo, size, filters):
    inputs = keras.Input((size, size, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(filters, 1)(inputs), name="four")
    with pytest.raises(ValueError, match=r"expected a denoiser.*got four"):
        denoise(model, photo)


def test_shipped_weights_are_small():
    assert denoiser.SHIPPED["photos"].stat().st_size < 3e6
