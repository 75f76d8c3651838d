import hashlib
import io
import zipfile

import download_coco as script
import pytest

PROOFS = {
    "annotations": "instances_val2017.json",
    "val2017": "000000000139.jpg",
    "train2017": "000000000009.jpg",
}


def archive(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as files:
        files.writestr(f"{name}/{PROOFS[name]}", name)
    return buffer.getvalue()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Archives that lie where the script looks first, and whose sums it takes for the known."""
    (tmp_path / "coco").mkdir()
    for name, (path, _, *rest) in script.ARCHIVES.items():
        data = archive(name)
        (tmp_path / "coco" / f"{name}.zip").write_bytes(data)
        digest = f"md5:{hashlib.md5(data, usedforsecurity=False).hexdigest()}"
        monkeypatch.setitem(script.ARCHIVES, name, (path, digest, *rest))
    return tmp_path


def held(folder):
    files = (path for path in (folder / "coco").rglob("*") if path.is_file())
    return sorted(path.relative_to(folder / "coco").as_posix() for path in files)


def test_all_is_unpacked_side_by_side(here):
    assert script.main([str(here)]) == 0
    assert held(here) == sorted(f"{name}/{proof}" for name, proof in PROOFS.items())
    assert script.main([str(here)]) == 0


def test_one_split(here):
    assert script.main([str(here), "--splits", "val"]) == 0
    whole = ["annotations/instances_val2017.json", "val2017/000000000139.jpg"]
    assert held(here) == [whole[0], "train2017.zip", whole[1]]


@pytest.mark.parametrize(
    ("name", "md5"),
    [
        ("annotations", "f4bbac642086de4f52a3fdda2de5fa2c"),
        ("val2017", "442b8da7639aecaf257c1dceb8ba8c80"),
        ("train2017", "cced6f7f71b7629ddf16f17bbcfab6b2"),
    ],
)
def test_the_archives_have_the_published_sums(tmp_path, name, md5):
    (tmp_path / "coco").mkdir()
    for other in PROOFS:
        (tmp_path / "coco" / other).mkdir()
        (tmp_path / "coco" / other / PROOFS[other]).touch()
    (tmp_path / "coco" / name / PROOFS[name]).unlink()
    (tmp_path / "coco" / name).rmdir()
    (tmp_path / "coco" / f"{name}.zip").write_bytes(archive(name))
    with pytest.raises(SystemExit, match=f"expected {md5}"):
        script.main([str(tmp_path)])


def test_addresses_of_the_archives(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        script.downloads, "install_or_exit", lambda folder, url, *rest: asked.append(url)
    )
    script.main([str(tmp_path)])
    official = "http://images.cocodataset.org"
    assert asked == [
        f"{official}/annotations/annotations_trainval2017.zip",
        f"{official}/zips/val2017.zip",
        f"{official}/zips/train2017.zip",
    ]


def test_goes_on_where_it_stopped(here, server):
    whole = here / "coco" / "val2017.zip"
    server.data = whole.read_bytes()
    whole.with_name("val2017.zip.part").write_bytes(server.data[:50])
    whole.unlink()
    assert script.main([str(here), "--splits", "val", "--url", server.url]) == 0
    assert server.asked == ["bytes=50-"]
    assert (here / "coco" / "val2017" / PROOFS["val2017"]).read_text() == "val2017"


def test_a_full_disk_is_told(here, server, monkeypatch):
    archive = here / "coco" / "train2017.zip"
    server.data = archive.read_bytes()
    archive.unlink()
    size = len(server.data)
    usage = script.downloads.shutil.disk_usage(here)
    free = usage._replace(free=2 * size)  # room for the archive, but not for what is in it
    monkeypatch.setattr(script.downloads.shutil, "disk_usage", lambda folder: free)
    with pytest.raises(SystemExit, match=r"are free, .* are needed: make room there"):
        script.main([str(here), "--splits", "train", "--url", server.url])
    assert not archive.exists()
