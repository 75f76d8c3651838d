"""The script that trains embedders, with tiny settings and datasets."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import train_embedder
from PIL import Image

from keras_vision import images

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_embedder.py"
SEEN, PEOPLE = train_embedder.SEEN, train_embedder.SEEN + 3
TINY = ["--width", 0.0625, "--dim", 8, "--ids", 2, "--pictures", 2, "--steps", 4, "--epochs", 2]


@pytest.fixture(scope="module")
def orl(tmp_path_factory):
    """Three photos of each person, who are bright or dark."""
    root = tmp_path_factory.mktemp("faces")
    random = np.random.default_rng(0)
    for person in range(1, PEOPLE + 1):
        folder = root / f"s{person}"
        folder.mkdir()
        for number in range(1, 4):
            face = random.integers(0, 100, (112, 92)) + 6 * person
            Image.fromarray(face.astype("uint8")).save(folder / f"{number}.pgm")
    return root


@pytest.fixture(scope="module")
def omniglot(tmp_path_factory):
    """Two alphabets to learn of, and two to tell apart, of 20 characters by two drawers."""
    root = tmp_path_factory.mktemp("omniglot")
    random = np.random.default_rng(0)
    for split in ("background", "evaluation"):
        for place in range(40):
            alphabet, number = divmod(place, 20)
            folder = root / f"images_{split}/Alphabet{alphabet}/character{number + 1:02}"
            folder.mkdir(parents=True)
            for drawer in (1, 2):
                ink = Image.fromarray(random.integers(0, 2, (105, 105), np.uint8) * 255)
                ink.convert("1").save(folder / f"{place:04}_{drawer:02}.png")
    return root


def run(*arguments):
    command = list(map(str, (sys.executable, SCRIPT, *arguments)))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_people_to_test_on_are_never_seen(orl):
    train, test = train_embedder.loaded("orl", orl, 16)
    people = [set(np.unique(rows.columns["label"])) for rows in (train, test)]
    assert [len(of) for of in people] == [SEEN, PEOPLE - SEEN]
    assert not people[0] & people[1]
    (first, *_) = test.as_numpy_iterator()
    photo = images.read(orl / test.class_names[int(first["label"])] / "1.pgm")
    np.testing.assert_array_equal(first["image"], images.scaled(photo, 16))


def test_characters_to_learn_of_are_turned_and_those_to_test_on_are_not(omniglot):
    train, test = train_embedder.loaded("omniglot", omniglot, 16)
    assert len(train) == 4 * len(test) == 4 * 40 * 2
    assert len(np.unique(train.columns["label"])) == 4 * 40


def test_pixels_are_vectors_less_their_mean():
    photos = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype("uint8")
    rows = train_embedder.Rows({"image": photos, "label": np.arange(3)})
    flat = photos.reshape(3, -1) - photos.reshape(3, -1).mean(1, keepdims=True)
    expected = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    found = train_embedder.of_pixels(rows).predict(photos, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "settings", "rows"),
    [
        ("omniglot", ["--short", 16], ["one_shot", "one_shot_within_alphabet"]),
        (
            *("orl", ["--short", 32, "--pretrained", "--loss", "triplet"]),
            ["equal_error_rate", "recall_at_1", "map_at_r"],
        ),
    ],
)
def test_it_trains_and_goes_on_beside_pixels_and_chance(
    dataset, settings, rows, request, tmp_path
):
    root = request.getfixturevalue(dataset)
    first, second = (run(dataset, root, *TINY, *settings, "--out", tmp_path) for _ in range(2))
    assert "epochs already" not in first
    assert "epochs already" in second
    table = [line.split() for line in first.splitlines()[-len(rows) - 1 :]]
    assert table == [line.split() for line in second.splitlines()[-len(rows) - 1 :]]
    assert table[0] == ["pixels", "random", "network", "trained"]
    assert set(rows) == {line[0] for line in table[1:]}
    numbers = np.array([line[1:] for line in table[1:]], float)
    assert ((numbers >= 0) & (numbers <= 1)).all()
    history = pd.read_csv(tmp_path / "history.csv")
    assert history[rows[0]].iloc[-1] == pytest.approx(numbers[0, 2], abs=6e-4)
