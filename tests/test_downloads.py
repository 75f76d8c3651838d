import hashlib
import io
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from keras_vision import downloads

NAME, PROOF = "animals", "wnids.txt"
ARCHIVE, PART, REFUSED = (f"{NAME}.zip{suffix}" for suffix in ("", ".part", ".refused"))
NOISE = np.random.default_rng(0).bytes(300_000)  # does not compress: several chunks to send
FILES = {f"{NAME}/{PROOF}": b"n01443537\n", f"{NAME}/train/n01443537_0.JPEG": NOISE}


def zipped(files):
    """Bytes of a zip file of {name or ZipInfo: content}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


WHOLE = zipped(FILES)


def there(folder):
    """{path below folder: content}, without the lock, which stays where a download failed."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(autouse=True)
def archive(server):
    server.data = WHOLE
    server.url += "/animals.zip"


def install(server, folder, digest=None):
    downloads.install_or_exit(folder, server.url, NAME, PROOF, digest, growth=2)


def fails(server, folder, match, digest=None):
    with pytest.raises(SystemExit, match=match) as stopped:
        install(server, folder, digest)
    assert stopped.value.code not in (0, None)


def test_downloads_and_unpacks(server, tmp_path):
    folder = tmp_path / "new" / "data"
    install(server, folder)
    assert there(folder) == FILES
    assert [path.name for path in folder.iterdir()] == [NAME]  # nothing else is left
    assert server.asked == [None]


def test_a_second_run_asks_for_nothing(server, tmp_path, capsys):
    install(server, tmp_path)
    capsys.readouterr()
    install(server, tmp_path)
    assert len(server.asked) == 1
    assert "is there" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_dropped_connection_is_told_and_resumed(server, tmp_path):
    server.drop = 100_000
    fails(server, tmp_path, r"connection lost after 100,000 of 3.*\n.*goes on from here")
    assert there(tmp_path) == {PART: server.data[:100_000]}
    server.drop = None
    install(server, tmp_path)
    assert server.asked == [None, "bytes=100000-"]
    assert there(tmp_path) == FILES


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.drop, server.ranges = 100_000, False
    fails(server, tmp_path, "connection lost")
    server.drop = None
    install(server, tmp_path)
    assert there(tmp_path) == FILES


@pytest.mark.parametrize("ranges", [True, False])
def test_a_part_that_is_whole_already_is_used(server, tmp_path, ranges):
    (tmp_path / PART).write_bytes(server.data)
    server.ranges, server.drop = ranges, 0
    install(server, tmp_path)
    assert there(tmp_path) == FILES


def test_a_part_longer_than_the_archive_is_fetched_anew(server, tmp_path):
    (tmp_path / PART).write_bytes(server.data + b"more")
    install(server, tmp_path)
    assert server.asked == [f"bytes={len(server.data) + 4}-", None]


def test_a_part_of_another_archive_is_found_out(server, tmp_path):
    (tmp_path / PART).write_bytes(bytes(100_000))
    fails(server, tmp_path, "corrupt")
    assert list(there(tmp_path)) == [REFUSED]
    install(server, tmp_path)


def test_a_server_that_continues_elsewhere_is_refused(server, tmp_path):
    (tmp_path / PART).write_bytes(server.data[:1000])
    server.shift = 5
    fails(server, tmp_path, "from 1000 on, the server sent 'bytes 1005-")
    assert there(tmp_path) == {PART: server.data[:1000]}


def test_a_server_that_hides_the_length(server, tmp_path):
    server.length = False
    install(server, tmp_path)
    assert there(tmp_path) == FILES


@pytest.mark.parametrize("length", ["abc", "-5", "1_000", "9" * 16, "9" * 5000, "  "])
def test_a_length_that_is_no_size_is_told(server, tmp_path, length):
    server.length = length
    fails(server, tmp_path, rf"sent Content-Length: '{length.strip()[:40]}', which is no size\n")
    assert there(tmp_path) == {}


def test_no_server(server, tmp_path, unused_port):
    server.url = f"http://127.0.0.1:{unused_port}/animals.zip"
    fails(server, tmp_path, rf"(?s)URLError.*{server.url}.*fetched by other means.*{ARCHIVE}")


def test_no_such_page(server, tmp_path):
    server.error = 404
    fails(server, tmp_path, rf"(?s)404.*{server.url}")
    assert there(tmp_path) == {}


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.zip", "a.zip", "file:///a.zip"])
def test_other_addresses_are_refused(tmp_path, url):
    fails(SimpleNamespace(url=url), tmp_path, f"expected an address http.*'{url}'")


def test_ctrl_c_keeps_what_came(server, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "save", interrupted)
        fails(server, tmp_path, "same command goes on")
    install(server, tmp_path)


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_digest(server, tmp_path, algorithm):
    found = hashlib.new(algorithm, server.data).hexdigest()
    match = f"{algorithm.upper()} sum is {found}, expected 0+"
    fails(server, tmp_path, match, f"{algorithm}:{'0' * len(found)}")
    assert list(there(tmp_path)) == [REFUSED]
    install(server, tmp_path, f"{algorithm}:{found.upper()}")


def corrupted(data):
    """One byte of the long member changed: zip file and members still look well."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (corrupted(WHOLE), "corrupt.*n01443537_0.JPEG"),
        (WHOLE[:-200], "corrupt or not a zip file"),
        (b"<html>404</html>", "corrupt or not a zip file"),
        (b"", "corrupt or not a zip file"),
        (zipped({"else.txt": b""}), "holds no animals/wnids.txt"),
    ],
    ids=["corrupt", "cut", "page", "empty", "other"],
)
def test_bad_archives_are_named_and_moved_aside(server, tmp_path, data, match):
    """And not deleted: one brought by the user may have cost hours."""
    server.data = data
    fails(server, tmp_path, rf"animals\.zip: {match}.*{REFUSED}; run again")
    assert there(tmp_path) == {REFUSED: data}


def test_what_was_moved_aside_before_is_kept(server, tmp_path):
    mine = [b"first", b"second", b"third"]
    for data in mine:
        (tmp_path / ARCHIVE).write_bytes(data)
        fails(server, tmp_path, "corrupt")
    asides = REFUSED, f"{REFUSED}-2", f"{REFUSED}-3"
    assert there(tmp_path) == dict(zip(asides, mine, strict=True))


@pytest.mark.parametrize("step", ["download", "unpack"])
def test_a_full_disk_is_told_first(server, tmp_path, monkeypatch, step):
    if step == "unpack":
        (tmp_path / ARCHIVE).write_bytes(server.data)
    before = there(tmp_path)
    usage = downloads.shutil.disk_usage(tmp_path)._replace(free=4)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage)
    fails(server, tmp_path, "0 MB are free, [01] MB are needed")
    assert there(tmp_path) == before


def test_an_archive_that_lies_there_is_used(server, tmp_path):
    (tmp_path / ARCHIVE).write_bytes(server.data)
    install(server, tmp_path)
    assert there(tmp_path) == FILES
    assert server.asked == []


def test_a_folder_that_is_something_else_is_left_alone(server, tmp_path):
    (tmp_path / NAME).mkdir()
    fails(server, tmp_path, "without wnids.txt")
    assert (server.asked, list(tmp_path.iterdir())) == ([], [tmp_path / NAME])


def process(server, folder):
    """The same in a process of its own."""
    code = (
        "import sys; from keras_vision import downloads; downloads.install_or_exit(*sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, folder, server.url, NAME, PROOF]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("end", ["done", "killed"])
def test_a_second_process_is_refused_until_the_first_has_ended(server, tmp_path, end):
    server.halfway = threading.Event()
    first = process(server, tmp_path)
    assert server.halfway.wait(300)  # seconds, on a machine that is busy
    second = process(server, tmp_path)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 1
    assert errors.splitlines()[-1].startswith(f"Another process is fetching {tmp_path / NAME}")
    assert server.asked == [None]
    if end == "killed":
        first.kill()
    server.go.set()
    first.communicate(timeout=60)
    assert first.returncode == (0 if end == "done" else -9)
    install(server, tmp_path)
    assert there(tmp_path) == FILES
    assert len(server.asked) == (1 if end == "done" else 2)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_what_another_process_finished_just_before_is_left_alone(server, tmp_path, monkeypatch):
    @contextmanager
    def late(target):
        target.mkdir()
        (target / PROOF).write_text("theirs")
        yield

    monkeypatch.setattr(downloads, "only_download", late)
    install(server, tmp_path)
    assert there(tmp_path) == {f"{NAME}/{PROOF}": b"theirs"}
    assert server.asked == []


def test_a_single_file_is_fetched_and_checked(server, tmp_path):
    path = tmp_path / "weights.h5"
    digest = f"sha256:{hashlib.sha256(server.data).hexdigest()}"
    for _ in range(2):
        downloads.fetch(server.url, path, digest)
        assert there(tmp_path) == {"weights.h5": server.data}
    assert server.asked == [None]


def test_no_framework_is_loaded():
    code = "import sys, keras_vision.downloads; print({'keras', 'tensorflow'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
