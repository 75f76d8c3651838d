import os
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vision.datasets import omniglot
from keras_vision.pipeline import BatchData

# Neither alphabets, nor characters, nor drawers are whole; and they are written out of order.
FILES = {
    "background": [
        "Syriac_(Serto)/character02/0900_20.png",
        "Greek/character10/0402_01.png",
        "Greek/character02/0394_07.png",
        "Greek/character02/0394_05.png",
    ],
    "evaluation": ["Angelic/character01/0965_01.png"],
}
NAMES = [f"images_background/{name}" for name in sorted(FILES["background"])]


def drawing(number):
    return np.random.default_rng(number).integers(0, 2, (105, 105), np.uint8) * np.uint8(255)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert("1").save(path)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "omniglot"
    for split, names in FILES.items():
        for number, name in enumerate(names):
            write(root / f"images_{split}" / name, drawing(number))
    (root / "images_background/.DS_Store").write_text("")
    (root / "images_background/Greek/character02/._0394_05.png").write_text("")
    return root


def read(split, root, **options):
    return list(omniglot.load(split, root, **options).as_numpy_iterator())


def names(raws):
    return [raw["name"].decode() for raw in raws]


def column(raws, name):
    return [int(raw[name]) for raw in raws]


def test_drawings_and_numbers(root):
    rows = omniglot.load("background", str(root))
    raws = list(rows.as_numpy_iterator())
    assert names(raws) == NAMES
    assert column(raws, "label") == [0, 0, 1, 2]
    assert column(raws, "alphabet") == [0, 0, 0, 1]
    assert column(raws, "drawer") == [4, 6, 0, 19]
    characters = ("Greek/character02", "Greek/character10", "Syriac_(Serto)/character02")
    assert rows.class_names == characters
    for raw, number in zip(raws, [3, 2, 1, 0], strict=True):
        np.testing.assert_array_equal(raw["image"], drawing(number)[..., None])
        with Image.open(root / raw["name"].decode()) as image:
            assert image.mode == "1"
            np.testing.assert_array_equal(raw["image"][..., 0], np.asarray(image.convert("L")))


def test_each_split_has_its_own_numbers(root):
    (raw,) = read("evaluation", root)
    assert names([raw]) == ["images_evaluation/Angelic/character01/0965_01.png"]
    assert [int(raw[name]) for name in ("label", "alphabet", "drawer")] == [0, 0, 0]
    assert omniglot.load("evaluation", root).class_names == ("Angelic/character01",)


def test_shapes_types_and_length_are_known(root):
    rows = omniglot.load("background", root)
    assert rows.element_spec == {
        "image": tf.TensorSpec((105, 105, 1), tf.uint8),
        "label": tf.TensorSpec((), tf.int32),
        "alphabet": tf.TensorSpec((), tf.int32),
        "drawer": tf.TensorSpec((), tf.int32),
        "name": tf.TensorSpec((), tf.string),
    }
    assert len(rows) == 4


def test_a_selection_keeps_names_and_numbers(root):
    rows = omniglot.load("background", root)
    greek = rows.select(rows.columns["alphabet"].numpy() == 0)
    assert names(greek.as_numpy_iterator()) == NAMES[:3]
    last = rows.select([3])
    assert (last.class_names, column(last, "label")) == (rows.class_names, [2])


def test_shuffled_batches(root):
    rows = omniglot.load("background", root)
    batches = iter(BatchData(rows, 4)(seed=1))
    sums = {2: drawing(0).sum(), 1: drawing(1).sum()}
    orders = set()
    for _ in range(5):
        x, y = next(batches)
        assert (x.shape, sorted(y.numpy().tolist())) == ((4, 105, 105, 1), [0, 0, 1, 2])
        orders.add(tuple(y.numpy()))
        for image, label in zip(x.numpy(), y.numpy(), strict=True):
            assert image.sum() == sums.get(label, image.sum())
    assert len(orders) > 1


def test_the_directory_may_change_between_load_and_reading(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    rows = omniglot.load("background", root.name)
    monkeypatch.chdir("/")
    assert len(list(rows)) == 4


def test_names_in_any_encoding(root):
    alphabet = bytes(root) + b"/images_background/Caf\xe9"  # Latin-1, which is no UTF-8
    os.rename(root / "images_background/Greek", alphabet)
    assert read("background", root)[0]["name"].startswith(b"images_background/Caf\xe9/")


HELP = r"(?s:.*images_background/<alphabet>/character01.*brendenlake/omniglot)"


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'train', expected one of background, evalu"):
        omniglot.load("train", root)


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone/images_background is missing" + HELP):
        omniglot.load("background", tmp_path / "gone")


def test_root_one_level_too_high(root):
    with pytest.raises(FileNotFoundError, match=f"one level too high, pass '{root}'" + HELP):
        omniglot.load("evaluation", root.parent)


def test_root_one_level_too_low(root):
    for place in ("images_background", "images_evaluation"):
        with pytest.raises(FileNotFoundError, match=f"one level too low, pass '{root}'" + HELP):
            omniglot.load("background", root / place)


def test_archives_that_nobody_unpacked(tmp_path):
    (tmp_path / "images_evaluation.zip").write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match=r"unpack '.*images_evaluation\.zip' there" + HELP):
        omniglot.load("evaluation", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"images_background is missing\n" + HELP):
        omniglot.load("background", tmp_path)


def test_an_archive_may_stay_beside_what_it_held(root):
    (root / "images_evaluation.zip").write_bytes(b"PK")
    assert len(read("evaluation", root)) == 1


@pytest.mark.parametrize("place", ["images_background", "images_background/Arcadian",
                                   "images_background/Greek/character03"])  # fmt: skip
@pytest.mark.parametrize("skip_broken", [False, True])
def test_an_empty_folder(root, place, skip_broken):
    if place == "images_background":
        (root / place).rename(root / "elsewhere")
    (root / place).mkdir()
    problem = f"{place}: not one {'drawing' if 'character' in place else 'folder'} in it"
    with pytest.raises(FileNotFoundError, match=problem + HELP):
        omniglot.load("background", root, skip_broken)


@pytest.mark.parametrize("place", ["", "/Greek"])
def test_drawings_beside_the_folders(root, place):
    write(root / f"images_background{place}/0001_01.png", drawing(0))
    with pytest.raises(ValueError, match=r"beside the folders: 0001_01\.png" + HELP):
        omniglot.load("background", root)


STRANGE = ["notes.txt", "0394_00.png", "0394_21.png", "394_01.png", "0394_1.png", "0394_01.jpg",
           "0394_01.png.bak", "folder"]  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_not_named_as_a_drawing_is_named(root, name):
    (root / "images_background/Greek/character02" / name).mkdir()
    problem = f"Greek/character02: not named as a drawing of 01..20 is: {name}"
    with pytest.raises(ValueError, match=problem + HELP):
        omniglot.load("background", root)


def of_size(*size):
    return lambda path: Image.new("1", size).save(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def page(path):
    path.write_text("<html>404 not found</html>")


def gone(path):
    path.unlink()


DAMAGES = [
    (of_size(105, 104), "not 105x105 pixels"), (of_size(28, 28), "not 105x105 pixels"), (cut, ""),
    (empty, ""), (page, ""),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), [*DAMAGES, (gone, "")])
def test_a_broken_drawing_is_named_when_its_turn_comes(root, damage, message):
    rows = omniglot.load("background", root)
    damage(root / NAMES[1])
    raws = iter(rows)
    next(raws)
    problem = f"{NAMES[1]} cannot be read; skip_broken=True.*{message}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=problem):
        next(raws)


def test_broken_drawings_are_left_out_if_asked(root):
    expected = read("background", root)
    for number, (damage, _) in enumerate(DAMAGES, 8):
        path = root / f"images_background/Greek/character02/0394_{number:02d}.png"
        write(path, drawing(number))
        damage(path)
    lost = r"0394_08\.png, .*0394_09\.png, .*0394_12\.png"
    with pytest.warns(UserWarning, match=f"5 of 9 rows .* left out: .*{lost}"):
        raws = read("background", root, skip_broken=True)
    np.testing.assert_equal(raws, expected)


def test_the_warning_is_of_the_line_that_loads(root):
    empty(root / NAMES[0])
    with pytest.warns(UserWarning, match="left out") as caught:
        omniglot.load("background", root, skip_broken=True)
    assert caught[0].filename == __file__


def test_nothing_is_warned_of_if_all_is_well(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names(read("background", root, skip_broken=True)) == NAMES


def test_all_broken(root):
    empty(root / "images_evaluation" / FILES["evaluation"][0])
    with (
        pytest.warns(UserWarning, match="1 of 1"),
        pytest.raises(FileNotFoundError, match="not one drawing can be read" + HELP),
    ):
        omniglot.load("evaluation", root, skip_broken=True)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("split", "alphabets", "characters"), [("background", 12, 313), ("evaluation", 6, 148)]
)
def test_real_drawings(data_root, split, alphabets, characters):
    root = data_root / "omniglot"
    rows = omniglot.load(split, root)
    labels, of_alphabet, drawers = (
        rows.columns[name].numpy() for name in ("label", "alphabet", "drawer")
    )
    assert len(rows) == 20 * characters
    assert np.bincount(labels).tolist() == [20] * characters
    assert np.unique(of_alphabet).tolist() == list(range(alphabets))
    np.testing.assert_array_equal(drawers.reshape(-1, 20), [range(20)] * characters)
    found = sorted((root / f"images_{split}").glob("*/*/*.png"))
    order = sorted(found, key=lambda path: path.parts)
    assert rows.columns["name"].numpy().tolist() == [
        str(path.relative_to(root)).encode() for path in order
    ]
    letters = sorted({path.parts[-3] for path in found})
    for raw in rows.select(slice(0, None, 37)).as_numpy_iterator():
        path = root / raw["name"].decode()
        assert rows.class_names[raw["label"]] == "/".join(path.parts[-3:-1])
        assert letters[raw["alphabet"]] == path.parts[-3]
        assert int(path.stem[-2:]) == raw["drawer"] + 1
        with Image.open(path) as image:
            np.testing.assert_array_equal(raw["image"][..., 0], np.asarray(image.convert("L")))
        assert set(np.unique(raw["image"])) == {0, 255}
        assert (raw["image"] == 0).mean() < 0.5  # ink is what there is less of
