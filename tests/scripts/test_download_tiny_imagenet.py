import hashlib
import io
import zipfile

import download_tiny_imagenet as script
import pytest

ELSEWHERE = "--url", "http://127.0.0.1/is-not-asked"


@pytest.fixture
def archive(tmp_path):
    """One in the official layout that lies where the script looks first."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as files:
        files.writestr("tiny-imagenet-200/wnids.txt", "n01443537\n")
    path = tmp_path / "tiny-imagenet-200.zip"
    path.write_bytes(buffer.getvalue())
    return path


def test_the_archive_of_the_default_address_has_the_published_sum(archive):
    with pytest.raises(SystemExit, match="expected 90528d7ca1a48142e341f4ef8d21d0de"):
        script.main([str(archive.parent)])


def test_one_of_another_address_is_taken_by_its_content(archive):
    assert script.main([str(archive.parent), *ELSEWHERE]) == 0
    assert (archive.parent / "tiny-imagenet-200" / "wnids.txt").read_text() == "n01443537\n"
    assert not archive.exists()


def test_or_by_its_sum(archive):
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    arguments = [str(archive.parent), *ELSEWHERE, "--md5"]
    with pytest.raises(SystemExit, match=f"MD5 sum is {md5}, expected 0+"):
        script.main([*arguments, "0" * 32])
    archive.with_name(f"{archive.name}.refused").rename(archive)
    assert script.main([*arguments, md5]) == 0
