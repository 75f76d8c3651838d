import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_vision.__main__ import main


@pytest.fixture
def photos(tmp_path):
    """Two photos, 20x30 and 40x30 pixels."""
    paths = [tmp_path / "a.jpg", tmp_path / "b.png"]
    for number, path in enumerate(paths, 1):
        noise = (
            np.random.default_rng(number).integers(0, 256, (20 * number, 30, 3)).astype("uint8")
        )
        Image.fromarray(noise).save(path)
    return paths


def opened(path):
    with Image.open(path) as image:
        image.load()
    return image


def colorize(*arguments):
    return main(["colorize", *map(str, arguments)])


def test_colours_into_a_new_folder(photos, tmp_path, capsys):
    out = tmp_path / "deep" / "coloured"
    assert colorize(*photos, "--out", out) == 0
    assert f"2 of 2 photos are in {out}" in capsys.readouterr().out
    assert opened(out / "a.jpg").size == (30, 20)
    assert opened(out / "b.png").size == (30, 40)


def test_never_overwrites_unless_told(photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_text("mine")
    assert "b.png exists already" in colorize(*photos, "--out", out)
    assert (out / "b.png").read_text() == "mine"
    assert not (out / "a.jpg").exists()
    assert colorize(*photos, "--out", out, "--overwrite") == 0
    assert opened(out / "b.png").size == (30, 40)


def test_a_photo_is_never_replaced_by_its_coloured_self(photos, tmp_path):
    before = photos[0].read_bytes()
    message = colorize(photos[0], "--out", tmp_path, "--overwrite")
    assert "would be overwritten" in message
    assert photos[0].read_bytes() == before


def test_two_photos_of_one_name(photos, tmp_path):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "a.jpg"
    twin.write_bytes(photos[0].read_bytes())
    assert "Several of the photos" in colorize(photos[0], twin, "--out", tmp_path / "out")


def test_a_format_we_cannot_write_becomes_png(photos, tmp_path):
    gif = tmp_path / "c.gif"
    opened(photos[0]).convert("P").save(gif)
    assert colorize(gif, "--out", tmp_path / "out") == 0
    assert opened(tmp_path / "out" / "c.png").format == "PNG"


def test_a_broken_photo_is_named_and_the_others_are_coloured(photos, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(photos[0].read_bytes()[:300])
    out = tmp_path / "out"
    assert colorize(tmp_path / "broken.jpg", *photos, "--out", out) == 1
    captured = capsys.readouterr()
    assert "broken.jpg" in captured.err
    assert "2 of 3 photos" in captured.out


def test_a_folder_that_cannot_be_made(photos, tmp_path):
    (tmp_path / "file").write_text("")
    assert "keras_vision: " in colorize(*photos, "--out", tmp_path / "file" / "out")


def test_wrong_weights_are_one_line(photos, tmp_path):
    message = colorize(*photos, "--out", tmp_path / "out", "--weights", "nowhere.keras")
    assert "nowhere.keras" in message
    assert "\n" not in message


def test_from_a_shell(photos, tmp_path):
    command = [sys.executable, "-m", "keras_vision", "colorize", str(photos[0]), "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1 of 1 photos are in out"
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120).returncode == 1
