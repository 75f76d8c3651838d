import os
import re

import pytest
from PIL import Image

from keras_vision.__main__ import main
from keras_vision.datasets import samples


@pytest.fixture
def photos(tmp_path):
    for name, photo in list(samples.photos().items())[:4]:
        (tmp_path / "photos" / "inner").mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "photos" / "inner" / f"{name}.jpg")
    return tmp_path / "photos"


def test_finds_the_photo_itself_first(photos, capsys):
    name, photo = list(samples.photos().items())[2]
    query = photos.parent / "query.png"
    Image.fromarray(photo[:-9, 5:]).save(query)
    (photos / "broken.jpg").write_bytes(b"no photo")
    assert main(["search", str(query), "--among", str(photos), "--top", "2"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{query}: inner/{name}.jpg (0.")
    assert printed.out.count("(") == 2
    assert "broken.jpg" in printed.err


def test_a_photo_of_the_folder_does_not_find_itself(photos, capsys):
    names = sorted(path.name for path in (photos / "inner").iterdir())
    assert main(["search", str(photos / "inner" / names[0]), "--among", str(photos)]) == 0
    found = re.findall(r"inner/(\S+) \(", capsys.readouterr().out)
    assert sorted(found) == names[1:]


def test_names_of_any_bytes_and_kinds(photos, capsys):
    photo = next(iter(samples.photos().values()))
    Image.fromarray(photo).save(photos / "second.webp")
    (photos / "second.webp").rename(photos / os.fsdecode(b"caf\xe9.webp"))
    query = photos.parent / "query.png"
    Image.fromarray(photo).save(query)
    assert main(["search", str(query), "--among", str(photos), "--top", "2"]) == 0
    assert re.search(r"caf\S+\.webp \(0\.", capsys.readouterr().out)


def test_no_answer_is_asked_for(photos):
    why = main(["search", "a.jpg", "--among", str(photos), "--top", "0"])
    assert "--top must be 1 or more, not 0" in why


def test_nothing_to_search_among(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "one.jpg").write_bytes(b"no photo")
    why = main(["search", "a.jpg", "--among", str(tmp_path / "broken")])
    assert "not one of its pictures can be read" in why
    (tmp_path / "empty").mkdir()
    assert "not one picture" in main(["search", "a.jpg", "--among", str(tmp_path / "empty")])
    assert "not one picture" in main(["search", "a.jpg", "--among", str(tmp_path / "none")])
