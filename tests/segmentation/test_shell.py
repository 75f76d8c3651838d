import numpy as np
from PIL import Image

from keras_vision.__main__ import main


def segment(*arguments):
    return main(["segment", *map(str, arguments)])


def test_labels_are_drawn(nearest_colour, flag, tmp_path):
    model, photo, out = tmp_path / "model.keras", tmp_path / "flag.png", tmp_path / "out"
    nearest_colour().save(model)
    Image.fromarray(flag[0]).save(photo)
    assert segment(photo, "--out", out, "--weights", model) == 0
    drawn = np.asarray(Image.open(out / "flag.png"))
    assert drawn.shape[0] == 60
    assert drawn.shape[1] > 90  # beside it stands what the colours mean
    assert (drawn[:, :90] != flag[0]).mean() > 0.9
    assert "flag.png exists" in segment(photo, "--out", out, "--weights", model)


def test_a_photo_that_fails_does_not_stop_the_others(nearest_colour, flag, tmp_path, capsys):
    model, photo, out = tmp_path / "model.keras", tmp_path / "flag.png", tmp_path / "out"
    nearest_colour(20).save(model)
    Image.fromarray(flag[0]).save(photo)
    (tmp_path / "bad.png").write_text("no photo")
    assert segment(tmp_path / "bad.png", photo, "--out", out, "--weights", model) == 1
    assert (out / "flag.png").exists()
    assert "bad.png" in capsys.readouterr().err


def test_weights_that_are_missing(tmp_path):
    told = segment("a.png", "--out", tmp_path / "out", "--weights", tmp_path / "no.keras")
    assert "no.keras is missing" in told
