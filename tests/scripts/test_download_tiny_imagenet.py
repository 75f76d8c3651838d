import hashlib
import importlib.util
import io
import shutil
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "download_tiny_imagenet.py"
SPEC = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)

NOISE = np.random.default_rng(0).bytes(300_000)  # does not compress: several chunks to send
FILES = {
    "tiny-imagenet-200/wnids.txt": b"n01443537\n",
    "tiny-imagenet-200/train/n01443537/images/n01443537_0.JPEG": NOISE,
}
PART = "tiny-imagenet-200.zip.part"


def zipped(files):
    """Bytes of a zip file of {name or ZipInfo: content}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


REFUSED = "tiny-imagenet-200.zip.refused"


def there(folder):
    """{path below folder: content}."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def server(monkeypatch):
    """Serves `data` at `url`, and notes each Range that is `asked` for.

    It can be told to know no `ranges`, hang up (`drop`) after so many bytes, keep the `length` to
    itself, answer with an `error`, and `shift` the place where it says that it goes on.
    """
    monkeypatch.setenv("no_proxy", "*")
    state = SimpleNamespace(data=zipped(FILES), asked=[])
    state.ranges, state.drop, state.length, state.error, state.shift = True, None, True, 0, 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self, state)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}/tiny.zip"
        yield state
        http.shutdown()
        thread.join()


def answer(handler, state):
    state.asked.append(handler.headers["Range"])
    asked = state.asked[-1] if state.ranges else None
    size = len(state.data)
    begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    beyond = asked and begin >= size
    if state.error or beyond:
        return handler.send_error(state.error or 416)
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {begin + state.shift}-{size - 1}/{size}")
    if state.length:
        handler.send_header("Content-Length", str(size - begin))
    handler.end_headers()
    return handler.wfile.write(state.data[begin : state.drop])


def run(server, folder, *more):
    return script.main([str(folder), "--url", server.url, *more])


def fails(server, folder, match, *more):
    with pytest.raises(SystemExit, match=match) as stopped:
        run(server, folder, *more)
    assert stopped.value.code not in (0, None)


def test_downloads_and_unpacks(server, tmp_path):
    folder = tmp_path / "new" / "data"
    assert run(server, folder) == 0
    assert there(folder) == FILES
    assert [path.name for path in folder.iterdir()] == [script.NAME]  # nothing else is left
    assert server.asked == [None]


def test_a_second_run_asks_for_nothing(server, tmp_path, capsys):
    run(server, tmp_path)
    capsys.readouterr()
    assert run(server, tmp_path) == 0
    assert len(server.asked) == 1
    assert "is there" in capsys.readouterr().out


def test_a_dropped_connection_is_told_and_resumed(server, tmp_path):
    server.drop = 100_000
    fails(server, tmp_path, r"connection lost after 100,000 of 3.*\n.*again")
    assert there(tmp_path) == {PART: server.data[:100_000]}
    server.drop = None
    assert run(server, tmp_path) == 0
    assert server.asked == [None, "bytes=100000-"]
    assert there(tmp_path) == FILES


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.drop, server.ranges = 100_000, False
    fails(server, tmp_path, "connection lost")
    server.drop = None
    assert run(server, tmp_path) == 0
    assert there(tmp_path) == FILES


@pytest.mark.parametrize("ranges", [True, False])
def test_a_part_that_is_whole_already_is_used(server, tmp_path, ranges):
    (tmp_path / PART).write_bytes(server.data)
    server.ranges, server.drop = ranges, 0
    assert run(server, tmp_path) == 0
    assert there(tmp_path) == FILES


def test_a_part_longer_than_the_archive_is_fetched_anew(server, tmp_path):
    (tmp_path / PART).write_bytes(server.data + b"more")
    assert run(server, tmp_path) == 0
    assert server.asked == [f"bytes={len(server.data) + 4}-", None]


def test_a_part_of_another_archive_is_found_out(server, tmp_path):
    (tmp_path / PART).write_bytes(bytes(100_000))
    fails(server, tmp_path, "corrupt")
    assert list(there(tmp_path)) == [REFUSED]
    assert run(server, tmp_path) == 0


def test_a_server_that_continues_elsewhere_is_refused(server, tmp_path):
    (tmp_path / PART).write_bytes(server.data[:1000])
    server.shift = 5
    fails(server, tmp_path, "from 1000 on, the server sent 'bytes 1005-")
    assert there(tmp_path) == {PART: server.data[:1000]}


def test_a_server_that_hides_the_length(server, tmp_path):
    server.length = False
    assert run(server, tmp_path) == 0
    assert there(tmp_path) == FILES


def test_no_server(server, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        server.url = f"http://127.0.0.1:{free.getsockname()[1]}/tiny.zip"
    fails(server, tmp_path, rf"(?s)URLError.*{server.url}.*again")


def test_no_such_page(server, tmp_path):
    server.error = 404
    fails(server, tmp_path, rf"(?s)404.*{server.url}")
    assert there(tmp_path) == {}


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/tiny.zip", "tiny.zip", "file:///tiny.zip"])
def test_other_addresses_are_refused(tmp_path, url, capsys):
    with pytest.raises(SystemExit):
        script.main([str(tmp_path), "--url", url])
    assert url in capsys.readouterr().err


def test_ctrl_c_keeps_what_came(server, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "save", interrupted)
    fails(server, tmp_path, "same command")


def test_md5(server, tmp_path):
    md5 = hashlib.md5(server.data, usedforsecurity=False).hexdigest()
    fails(server, tmp_path, f"MD5 sum is {md5}, expected 0+", "--md5", "0" * 32)
    assert list(there(tmp_path)) == [REFUSED]
    assert run(server, tmp_path, "--md5", md5.upper()) == 0


def test_md5_of_the_default_address_is_the_published_one(server, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "URL", server.url)
    fails(server, tmp_path, "expected 90528d7ca1a48142e341f4ef8d21d0de")


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "tiny-imagenet-200/../../evil",
        "/evil",
        "C:/evil",
        "C:evil",
        "..\\evil",
        "tiny-imagenet-200\\..\\..\\evil",
        "\\\\server\\share\\evil",
    ],
)
def test_paths_that_escape_are_refused_before_anything_is_written(server, tmp_path, name):
    server.data = zipped(FILES | {name: b"evil"})
    folder = tmp_path / "a" / "b"
    fails(server, folder, "refused")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [REFUSED]


def test_a_link_is_refused(server, tmp_path):
    link = zipfile.ZipInfo("tiny-imagenet-200/link")
    link.external_attr = 0o120777 << 16
    server.data = zipped(FILES | {link: b"/etc"})
    fails(server, tmp_path, "refused.*tiny-imagenet-200/link")
    assert list(there(tmp_path)) == [REFUSED]


def corrupted(data):
    """One byte of the long member changed: zip file and members still look well."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (corrupted(zipped(FILES)), "corrupt"),
        (zipped(FILES)[:-200], "corrupt or not a zip file"),
        (b"<html>404</html>", "corrupt or not a zip file"),
        (b"", "corrupt or not a zip file"),
        (zipped({"else.txt": b""}), "holds no tiny-imagenet-200/wnids.txt"),
    ],
    ids=["corrupt", "cut", "page", "empty", "other"],
)
def test_bad_archives_are_named_and_moved_aside(server, tmp_path, data, match):
    """And not deleted: one brought by the user may have cost hours."""
    server.data = data
    fails(server, tmp_path, rf"tiny-imagenet-200\.zip: {match}.*{REFUSED}; run again")
    assert (tmp_path / REFUSED).read_bytes() == data
    assert len(list(tmp_path.iterdir())) == 1


def test_an_interrupted_unpack_is_done_again(server, tmp_path, monkeypatch):
    extract, taken = zipfile.ZipFile.extract, []

    def interrupted(self, member, path):
        if taken:
            raise KeyboardInterrupt
        taken.append(extract(self, member, path))

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extract", interrupted)
        fails(server, tmp_path, "Interrupted")
    assert taken
    assert not (tmp_path / script.NAME).exists()
    (tmp_path / f"{script.NAME}.unpacking" / script.NAME / "stale").write_text("")
    assert run(server, tmp_path) == 0
    assert there(tmp_path) == FILES
    assert len(server.asked) == 1  # the archive had been kept


@pytest.mark.parametrize("step", ["download", "unpack"])
def test_a_full_disk_is_told_first(server, tmp_path, monkeypatch, step):
    if step == "unpack":
        (tmp_path / "tiny-imagenet-200.zip").write_bytes(server.data)
    before = there(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=2 * len(FILES))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    fails(server, tmp_path, "0 MB are free, [01] MB are needed")
    assert there(tmp_path) == before


def test_an_archive_that_lies_there_is_used(server, tmp_path):
    (tmp_path / "tiny-imagenet-200.zip").write_bytes(server.data)
    assert run(server, tmp_path) == 0
    assert there(tmp_path) == FILES
    assert server.asked == []


def test_a_folder_that_is_something_else_is_left_alone(server, tmp_path):
    (tmp_path / "tiny-imagenet-200").mkdir()
    fails(server, tmp_path, "without wnids.txt")
    assert (server.asked, list(tmp_path.iterdir())) == ([], [tmp_path / "tiny-imagenet-200"])
