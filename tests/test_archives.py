import errno
import io
import zipfile

import pytest

from keras_vision import archives, downloads

NAME = "animals"
FILES = {f"{NAME}/wnids.txt": b"n01443537\n", f"{NAME}/cat.JPEG": b"a cat"}


def zipped(files):
    """Bytes of a zip file of [(name or ZipInfo, content)]."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def install(folder, data):
    """Installs the zip file `data` as one that lies in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.zip").write_bytes(data)
    downloads.install(folder, "http://127.0.0.1/is-not-asked", NAME, "wnids.txt")


def names(folder):
    """Of the files, but for the lock, which stays where something failed."""
    paths = (path for path in folder.rglob("*") if path.suffix != ".lock")
    return [path.name for path in paths if path.is_file()]


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        f"{NAME}/../../evil",
        "/evil",
        "C:/evil",
        "C:evil",
        "..\\evil",
        f"{NAME}\\..\\..\\evil",
        "\\\\server\\share\\evil",
    ],
)
def test_paths_that_escape_are_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"refused.*evil.*animals\.zip\.refused; run again"):
        install(tmp_path / "a" / "b", zipped([*FILES.items(), (name, b"evil")]))
    assert names(tmp_path) == [f"{NAME}.zip.refused"]


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo(f"{NAME}/link")
    link.external_attr = 0o120777 << 16
    with pytest.raises(ValueError, match=f"refused.*{NAME}/link"):
        install(tmp_path, zipped([*FILES.items(), (link, b"/etc")]))
    assert names(tmp_path) == [f"{NAME}.zip.refused"]


def changed(data, offset, value):
    """A zip file's bytes with a field of its last member's two headers set to a value."""
    data, local, central = bytearray(data), data.rindex(b"PK\3\4"), data.rindex(b"PK\1\2")
    data[local + offset] = data[central + offset + 2] = value
    return bytes(data)


ENCRYPTED = changed(zipped(FILES.items()), offset=6, value=1)
DEFLATE64 = changed(zipped(FILES.items()), offset=8, value=9)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (ENCRYPTED, r"'animals/cat.JPEG' .*\(encrypted\)"),
        (DEFLATE64, r"'animals/cat.JPEG' .*\(.*compression.*\)"),
        (zipped([*FILES.items(), (f"{NAME}/{'x' * 300}", b"")]), r"'animals/x{300}' .*too long"),
        (zipped([*FILES.items(), (f"{NAME}/cat.JPEG/x", b"")]), "'animals/cat.JPEG/x' .*irectory"),
        (zipped([*FILES.items(), (f"{NAME}/cat.JPEG/", b"")]), "'animals/cat.JPEG/' .*exists"),
        (zipped([*FILES.items(), (NAME, b"")]), "'animals' .*irectory"),
    ],
    ids=[
        "encrypted",
        "compression",
        "long name",
        "file, then folder",
        "both",
        "folder, then file",
    ],
)
def test_a_member_that_cannot_be_unpacked_is_named_and_the_archive_kept(tmp_path, data, match):
    way_out = f"Unpack the archive with another program as {tmp_path / NAME}, choose another"
    with pytest.raises(ValueError, match=f"{match}.*{way_out}"):
        install(tmp_path, data)
    assert names(tmp_path) == [f"{NAME}.zip"]
    assert (tmp_path / f"{NAME}.zip").read_bytes() == data


def test_a_disk_that_fills_up_while_unpacking_is_not_the_members_fault(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            install(tmp_path, zipped(FILES.items()))
    install(tmp_path, zipped(FILES.items()))


def test_an_interrupted_unpack_is_done_again(tmp_path, monkeypatch):
    extract, taken = zipfile.ZipFile.extract, []

    def interrupted(self, member, path):
        if taken:
            raise KeyboardInterrupt
        taken.append(extract(self, member, path))

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extract", interrupted)
        with pytest.raises(KeyboardInterrupt):
            install(tmp_path, zipped(FILES.items()))
    assert taken
    assert not (tmp_path / NAME).exists()
    (tmp_path / f"{NAME}.unpacking" / NAME / "stale").write_text("")
    downloads.install(tmp_path, "http://127.0.0.1/is-not-asked", NAME, "wnids.txt")
    assert sorted(names(tmp_path)) == ["cat.JPEG", "wnids.txt"]


def test_size_on_disk_counts_whole_blocks(tmp_path):
    sizes = 0, 1, 4096, 4097
    path = tmp_path / "a.zip"
    path.write_bytes(zipped([(str(size), bytes(size)) for size in sizes]))
    assert archives.size_on_disk(path) == (0 + 1 + 1 + 2) * 4096


def test_what_lies_beside_the_folder_in_the_archive_is_left_out(tmp_path):
    install(tmp_path, zipped([("__MACOSX/x", b""), *FILES.items()]))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
