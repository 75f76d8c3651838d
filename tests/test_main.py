import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from keras_vision.__main__ import main, planned
from keras_vision.datasets import mnist, tiny_imagenet


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
    for options in ((), ("--overwrite",)):  # which must not be advised at first
        message = colorize(photos[0], "--out", tmp_path, *options)
        assert "would be overwritten: choose another --out" in message
    assert photos[0].read_bytes() == before


def test_two_photos_of_one_name(photos, tmp_path):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "a.jpg"
    twin.write_bytes(photos[0].read_bytes())
    assert "would both become" in colorize(photos[0], twin, "--out", tmp_path / "out")


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


@pytest.mark.slow
def test_from_a_shell(photos, tmp_path):
    command = [sys.executable, "-m", "keras_vision", "colorize", str(photos[0]), "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "1 of 1 photos are in out"
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120).returncode == 1


def digits_in(folder, count):
    """The first digits of MNIST's test split as files, dark on light, and their labels."""
    digits, labels = mnist.arrays("test", mnist.SUBSET)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path, digit in zip(paths, digits, strict=False):
        Image.fromarray(255 - digit).save(path)
    return paths, labels[:count].tolist()


def test_classify_reads_digits(tmp_path, capsys):
    paths, labels = digits_in(tmp_path, 2)
    (tmp_path / "blank.png").write_bytes(b"")
    verb = ["classify", "--model", "mnist_convnet"]
    assert main([*verb, *map(str, paths), str(tmp_path / "blank.png")]) == 1
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.split("%")[0].split()[0] for line in lines] == [f"{path}:" for path in paths]
    assert [int(line.split(": ")[1][0]) for line in lines] == labels
    assert "blank.png" in captured.err


def test_classify_names_what_photos_show_and_writes_a_table(photos, tmp_path, capsys):
    csv = tmp_path / "answers.csv"
    assert main(["classify", *map(str, photos), "--top", "2", "--csv", str(csv)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(photos)
    assert all(line.count("%") == 2 for line in lines)
    table = pd.read_csv(csv)
    assert list(table) == ["photo", "rank", "label", "name", "probability"]
    assert table["rank"].tolist() == [1, 2] * len(photos)
    assert set(table["name"]) <= set(tiny_imagenet.class_names)
    before = csv.read_bytes()
    message = main(["classify", *map(str, photos), "--csv", str(csv)])
    assert "answers.csv" in message
    assert csv.read_bytes() == before


def test_classify_knows_no_such_network(photos):
    message = main(["classify", str(photos[0]), "--model", "resnet51"])
    assert message.startswith("keras_vision: no network 'resnet51', expected one of lenet,")


def test_classify_takes_a_network_of_ones_own(photos, tmp_path, capsys):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    keras.Model(inputs, x).save(tmp_path / "own.keras")
    assert main(["classify", str(photos[0]), "--model", str(tmp_path / "own.keras")]) == 0
    assert capsys.readouterr().out.count("%") == 3
    message = main(["classify", str(photos[0]), "--model", str(tmp_path / "no.keras")])
    assert message.endswith("no.keras is missing")
    message = main(["classify", str(photos[0]), "--weights", "imagenet"])
    assert message == "keras_vision: --weights are of a network: which one, --model?"


def test_inspect_tabulates_networks(tmp_path, capsys):
    csv = tmp_path / "table.csv"
    assert main(["inspect", "resnet18", "--csv", str(csv)]) == 0
    out = capsys.readouterr().out
    assert "11,699,112 parameters, 1.814 billion multiply-adds" in out
    table = pd.read_csv(csv)
    assert table["macs"].sum() == pytest.approx(1.814e9, rel=1e-3)
    assert table.set_index("layer").loc["conv1", "field"] == 7
    assert main(["inspect", "resnet18", "--csv", str(csv)]) == 1
    assert "table.csv" in capsys.readouterr().err
    assert main(["inspect", "lenet", "nothing"]) == 1
    captured = capsys.readouterr()
    assert "61,706 parameters" in captured.out
    assert "no network 'nothing'" in captured.err
    message = main(["inspect", "lenet", "alexnet", "--csv", str(tmp_path / "two.csv")])
    assert message == "keras_vision: --csv takes the table of one network, not of 2"


def test_inspect_reads_files(tmp_path, capsys):
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)]).save(tmp_path / "own.keras")
    assert main(["inspect", str(tmp_path / "own.keras")]) == 0
    assert "27 parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ("--temperature", "nan"),
        ("--temperature", "-1"),
        ("--temperature", "5"),
        ("--size", "0"),
        ("--size", "-5"),
    ],
)
def test_settings_out_of_range(photos, tmp_path, options):
    message = colorize(*photos, "--out", tmp_path / "out", *options)
    assert message.startswith(f"keras_vision: {options[0][2:]} must be")
    assert not list((tmp_path / "out").iterdir())


def test_ten_thousand_names_are_checked_in_a_moment(tmp_path):
    names = [Path(f"folder/{number}.jpg") for number in range(10_000)]
    start = time.perf_counter()
    assert len(planned(names, tmp_path / "out", False)) == 10_000
    assert time.perf_counter() - start < 3


def test_a_name_that_is_too_long_stops_no_other(photos, tmp_path, capsys):
    long = tmp_path / ("x" * 255)
    long.write_bytes(photos[1].read_bytes())  # as .png it would be longer than names may be
    assert colorize(long, *photos, "--out", tmp_path / "out") == 1
    assert "xxx" in capsys.readouterr().err
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_pipe_is_refused(photos, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    assert colorize(tmp_path / "pipe.png", photos[0], "--out", tmp_path / "out") == 1
    assert "it is a pipe" in capsys.readouterr().err


def test_names_that_are_no_text(photos, tmp_path, capsys):
    assert colorize(photos[0], "--out", tmp_path / os.fsdecode(b"out\xff")) == 0
    assert "1 of 1 photos are in" in capsys.readouterr().out


def test_only_the_verb_that_is_called_is_imported():
    code = """
import sys
from keras_vision.__main__ import parsed
parsed(["classify", "a.png"])
print([name for name in sys.modules if name.endswith(".shell")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['keras_vision.classification.shell']"


@pytest.mark.slow
def test_ctrl_c_is_one_line(photos, tmp_path):
    names = [tmp_path / f"{number}.jpg" for number in range(400)]
    for name in names:
        name.write_bytes(photos[0].read_bytes())
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_vision", "colorize", *names, "--out", tmp_path / "out"],
        stderr=subprocess.PIPE,
        text=True,
        # Of a test run in the background the child would inherit that it ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not list((tmp_path / "out").glob("*.jpg")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "keras_vision: stopped; what is done stays."


def test_a_damaged_checkpoint_is_one_line(photos, tmp_path):
    (tmp_path / "eccv16.pth").write_bytes(b"PK")
    options = ("--out", tmp_path / "out", "--weights", tmp_path / "eccv16.pth")
    message = colorize(*photos, *options)
    assert "eccv16.pth is no whole PyTorch checkpoint" in message
    assert "\n" not in message
