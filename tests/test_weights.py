import errno
import hashlib
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_vision import downloads, weights
from keras_vision.classification import mnist_convnet


def network(*units, outputs=1, name="small"):
    x = inputs = keras.Input((4,))
    for count in units:
        x = keras.layers.Dense(count)(x)
    return keras.Model(inputs, [x] * outputs if outputs > 1 else x, name=name)


@pytest.fixture
def saved(tmp_path):
    """A function that saves a network of these layers, after a step: (path, network)."""

    def save(*units, suffix=".weights.h5"):
        path, model = tmp_path / f"{'_'.join(map(str, units))}{suffix}", network(*units)
        model.compile("adam", "mse")
        model.fit(np.ones((2, 4)), np.ones((2, units[-1])), verbose=0)
        model.save(path) if suffix == ".keras" else model.save_weights(path)
        return path, model

    return save


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_file_that_fits(saved, suffix, outputs):
    path, model = saved(3, 2, suffix=suffix)
    twin = network(3, 2, outputs=outputs)
    weights.load(twin, path)
    for a, b in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ((3,), r"lacks nothing, and has layers/dense_1/vars/0 \(3, 2\), .* beyond"),
        ((3, 2, 5), r"lacks dense\w*/kernel \(2, 5\), dense\w*/bias \(5,\), and has nothing"),
        ((7, 2), r"lacks dense\w*/kernel \(4, 7\), .*, and has layers/dense/vars/0 \(4, 3\)"),
    ],
)
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_file_of_another_network(saved, suffix, units, message):
    path, _ = saved(3, 2, suffix=suffix)
    with pytest.raises(ValueError, match=f"small cannot take these weights. {path} {message}"):
        weights.load(network(*units), path)


def test_the_same_arrays_in_another_order(saved):
    path, _ = saved(4, 4, 2)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match="lacks nothing, and has"):
        weights.load(model, path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x89HDF\r\n\x1a\n" + bytes(100)])
@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras"])
def test_no_weights_at_all(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"small cannot take .*{path} is no whole file of weig"):
        weights.load(network(2), path)


def test_a_zip_without_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match=r"a\.keras is no whole file of weights"):
        weights.load(network(2), tmp_path / "a.keras")


def test_another_kind_of_file(tmp_path):
    with pytest.raises(ValueError, match=r"a\.bin: expected a file of weights, \.keras or \.h5"):
        weights.load(network(2), tmp_path / "a.bin")


def test_an_importer_of_ones_own(tmp_path):
    def ones(model, path):
        model.set_weights([np.ones_like(array) for array in model.get_weights()])

    def broken(model, path):
        raise KeyError("conv1")

    path, model = tmp_path / "a.npy", network(2)
    weights.load(model, path, {".npy": ones})
    assert model.get_weights()[0].all()
    with pytest.raises(ValueError, match=rf"small cannot take these weights\. {path}: 'conv1'"):
        weights.load(model, path, {".npy": broken})


def test_mutated_files(saved):
    """Whatever became of its bytes, a file loads, or is refused by one error with its name."""
    path, _ = saved(3, 2)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refusals = []
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 40)):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data))] if rng.random() < 0.3 else data)
        try:
            weights.load(network(3, 2), path)
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > 50
    assert all(str(path) in told and "\n" not in told for told in refusals)


@pytest.mark.parametrize("name", ["imagenet", "nowhere.keras"])
def test_a_name_that_is_none(name):
    with pytest.raises(FileNotFoundError, match=f"weights='{name}' is neither .*'mnist'"):
        mnist_convnet.build(weights=name)


SHIPPED = {"own": "own.weights.h5"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def find(server, home):
    """Finds weights="net", which the server has; its hash is that of what it has now."""
    server.data = np.random.default_rng(0).bytes(300_000)
    sha256 = hashlib.sha256(server.data).hexdigest()
    published = {"net": (f"{server.url}/net-01.pth", f"sha256:{sha256[:8]}"), "other": ("", "")}
    return lambda name="net": weights.find(name, SHIPPED, published)


def test_published_weights_are_fetched_once(server, home, find, capsys):
    whole, path = server.data, find()
    assert path == home / "net-01.pth"
    assert path.read_bytes() == whole
    assert "net-01.pth" in capsys.readouterr().err  # the progress bar
    server.error = 500
    assert find() == path
    assert server.asked == [None]
    assert [file.name for file in home.iterdir()] == ["net-01.pth"]


def test_the_whole_hash(server, home):
    server.data = b"weights"
    published = {
        "net": (f"{server.url}/net.pth", f"sha256:{hashlib.sha256(b'weights').hexdigest()}")
    }
    assert weights.find("net", {}, published).read_bytes() == b"weights"


def test_an_unknown_name_is_told_all_names(find):
    with pytest.raises(
        FileNotFoundError, match=r"'x' is neither .*\['own'\], nor .*'net', 'other'"
    ):
        find("x")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [({"error": 404}, "HTTP Error 404"), ({"drop": 100_000}, "connection lost after 100,000 of")],
)
def test_what_cannot_be_fetched(server, home, find, fault, reason):
    vars(server).update(fault)
    with pytest.raises(OSError, match=f"weights='net' .*{server.url}") as raised:
        find()
    for told in (reason, f"{home / 'net-01.pth'}", r"KERAS_HOME", "['own'] come with"):
        assert told in str(raised.value)
    assert not (home / "net-01.pth").exists()
    server.error, server.drop = 0, None
    assert find().read_bytes() == server.data  # and goes on where it was
    assert server.asked[-1] == ("bytes=100000-" if "drop" in fault else None)


def test_no_network(home, unused_port):
    published = {"net": (f"http://127.0.0.1:{unused_port}/net.pth", "01")}
    with pytest.raises(OSError, match=f"cannot be fetched .*{unused_port}.*refused.*taken from"):
        weights.find("net", SHIPPED, published)


def test_a_server_that_falls_silent(server, find, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    server.halfway = threading.Event()
    with pytest.raises(OSError, match=r"cannot be fetched .* timed out"):
        find()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"other bytes", "its SHA256 sum is .*, expected"),
        (b"<html>Log in</html>", "a web page: does a proxy want a login"),
    ],
)
def test_wrong_bytes_are_deleted(server, home, find, content, told):
    whole, server.data = server.data, content
    with pytest.raises(ValueError, match=rf"net-01\.pth was cut short or .*{told}.*deleted"):
        find()
    assert not list(home.glob("net-01.pth*"))
    server.data = whole
    assert find().read_bytes() == whole


def test_a_cached_file_that_was_cut_is_deleted(server, home, find):
    find().write_bytes(server.data[:1000])
    with pytest.raises(ValueError, match="was cut short"):
        find()
    assert find().read_bytes() == server.data


def test_a_file_put_there_by_hand(server, home, find):
    home.mkdir(parents=True)
    (home / "net-01.pth").write_bytes(server.data)
    find()
    assert server.asked == []


def test_a_cache_that_cannot_be_written(find, home):
    home.parent.parent.mkdir(exist_ok=True)
    home.parent.write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"cannot be fetched .*home.*KERAS_HOME names another"):
        find()


def test_a_full_disk(server, home, find, monkeypatch):
    def write_some(response, part, begin, total):
        part.write_bytes(response.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "save", write_some)
    with pytest.raises(OSError, match=r"cannot be fetched .*No space left"):
        find()
    assert not list(home.glob("*.pth*[!k]"))  # nothing but the lock


def test_interrupted(server, home, find, monkeypatch):
    def write_some(response, part, begin, total):
        part.write_bytes(response.read(1000))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "save", write_some)
        with pytest.raises(KeyboardInterrupt):
            find()
    assert find().read_bytes() == server.data
    assert server.asked == [None, "bytes=1000-"]


START = 300  # seconds that a process may take until it asks, on a machine that is busy
FETCH = """
import sys
from keras_vision import weights
print(weights.find("net", {}, {"net": (sys.argv[1], sys.argv[2])}))
"""


@pytest.mark.slow
def test_two_processes_and_one_killed(server, home):
    """The second waits for the first, and goes on where it was killed."""
    server.data = np.random.default_rng(0).bytes(300_000)
    sha256 = hashlib.sha256(server.data).hexdigest()
    server.halfway = threading.Event()
    digest = f"sha256:{sha256}"
    command = [sys.executable, "-c", FETCH, f"{server.url}/net.pth", digest]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipe) as first:
        try:
            assert server.halfway.wait(START)
            second = subprocess.Popen(command, **pipe)
            with pytest.raises(subprocess.TimeoutExpired):
                second.communicate(timeout=5)
            assert len(server.asked) == 1
            server.halfway = None
        finally:
            first.kill()
    out, err = second.communicate(timeout=START)
    assert second.returncode == 0, err
    assert Path(out.strip()).read_bytes() == server.data
    server.go.set()
    first.communicate()
    assert server.asked[1].startswith("bytes=")


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "other"])
def test_a_damaged_model_is_told(damage, tmp_path):
    inputs = keras.Input((2,))
    path = tmp_path / "model.keras"
    keras.Model(inputs, keras.layers.Dense(400)(inputs)).save(path)
    whole = bytearray(path.read_bytes())
    if damage == "flipped":
        whole[len(whole) // 2] ^= 255
    path.write_bytes({"cut": whole[:-99], "flipped": whole, "text": b"weights"}.get(damage, b""))
    if damage == "other":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "a")
    with pytest.raises(ValueError, match=rf"{path.name} is no whole \.keras file"):
        weights.saved_model(path)
