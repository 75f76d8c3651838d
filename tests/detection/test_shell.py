import json

import numpy as np
import pytest
from PIL import Image

from keras_vision.__main__ import main
from keras_vision.datasets import shapes


@pytest.fixture
def weights(trained, tmp_path):
    path = tmp_path / "model.keras"
    trained[0].save(path)
    return path


@pytest.fixture
def photos(trained, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path, raw in zip(paths, trained[1], strict=False):
        Image.fromarray(raw["image"]).save(path)
    return paths


def detect(*arguments):
    return main(["detect", *map(str, arguments)])


def test_boxes_are_drawn_and_written(weights, photos, trained, tmp_path):
    out, found = tmp_path / "found", tmp_path / "found.json"
    assert detect(*photos, "--out", out, "--weights", weights, "--json", found) == 0
    table = json.loads(found.read_text())
    assert [entry["photo"] for entry in table] == list(map(str, photos))
    for entry, path, raw in zip(table, photos, trained[1], strict=False):
        assert set(entry["labels"]) >= set(raw["labels"].tolist())
        drawn = np.asarray(Image.open(out / path.name))
        assert drawn.shape == raw["image"].shape
        assert (drawn != raw["image"]).any()


def test_a_json_that_is_there_stays(weights, photos, tmp_path):
    mine = tmp_path / "mine.json"
    mine.write_text("[1]")
    told = detect(photos[0], "--out", tmp_path / "out", "--weights", weights, "--json", mine)
    assert "mine.json" in told
    assert mine.read_text() == "[1]"


def test_a_photo_that_fails_does_not_stop_the_others(weights, photos, tmp_path, capsys):
    (tmp_path / "bad.png").write_text("no photo")
    found = tmp_path / "found.json"
    arguments = (tmp_path / "bad.png", photos[1], "--out", tmp_path / "out", "--weights", weights)
    assert detect(*arguments, "--json", found) == 1
    assert [entry["photo"] for entry in json.loads(found.read_text())] == [str(photos[1])]
    assert "bad.png" in capsys.readouterr().err


def test_the_shipped_weights_need_no_file(photos, tmp_path):
    found = tmp_path / "found.json"
    assert detect(*photos, "--out", tmp_path / "out", "--weights", "shapes", "--json", found) == 0
    names = {name for entry in json.loads(found.read_text()) for name in entry["names"]}
    assert set() < names <= set(shapes.class_names)
