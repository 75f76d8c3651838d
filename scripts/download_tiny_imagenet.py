"""Downloads Tiny ImageNet (CS231n, 248 MB) and unpacks it as DIR/tiny-imagenet-200.

python scripts/download_tiny_imagenet.py DIR

After an interruption the same command goes on where it stopped. An archive fetched by other means
is taken from DIR/tiny-imagenet-200.zip; once unpacked it is deleted. It takes 750 MB of disk on
the way and 480 MB in the end. The photos are ImageNet's: its terms hold, research only.
"""

import argparse
import hashlib
import http.client
import shutil
import stat
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from tqdm import tqdm

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
NAME = "tiny-imagenet-200"
BLOCK = 4096  # bytes a disk gives to the smallest file: these 120,000 fill twice their size
TIMEOUT = 60  # seconds without a byte


def main(argv=None):
    """Returns 0 when the dataset is there; else raises SystemExit, which says what to do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to put it")
    parser.add_argument("--url", default=URL, help="of the archive (%(default)s)")
    parser.add_argument("--md5", help="of the archive; known for the default address")
    args = parser.parse_args(argv)
    if not args.url.startswith(("http://", "https://")):
        parser.error(f"--url must be http:// or https://, got {args.url!r}")
    md5 = args.md5 or (MD5 if args.url == URL else None)
    try:
        install(args.folder, args.url, md5)
    except KeyboardInterrupt:
        raise SystemExit("\nInterrupted: the same command goes on from here.") from None
    except (OSError, http.client.HTTPException) as error:
        reason = f"{type(error).__name__}: {error}"
        hint = "Run the same command again to go on from here."
        raise SystemExit(f"{reason}\nFrom {args.url} to {args.folder}. {hint}") from error
    return 0


def install(folder, url, md5=None):
    """Leaves folder/tiny-imagenet-200, whole. What an earlier run finished is not done again."""
    target, archive = folder / NAME, folder / f"{NAME}.zip"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if not archive.exists():
            download(url, archive)
        check(archive, md5)
        unpack(archive, target)
        archive.unlink()
    if not (target / "wnids.txt").is_file():
        raise SystemExit(f"{target} exists, but without wnids.txt: move it away and run again.")
    print(f"{target} is there.")


def download(url, archive):
    """Fetches into `archive`.part, going on at its end, and renames it when it is whole."""
    part = archive.with_name(f"{archive.name}.part")
    have = part.stat().st_size if part.exists() else 0
    with response_from(url, have) as response:
        begin = first_byte(response, have)
        length = response.headers["Content-Length"]
        total = begin + int(length) if length else None
        if have != total or not have:
            need(part.parent, 3 * (total or 0) - begin)  # unpacked it is twice as large
            save(response, part, begin, total)
    size = part.stat().st_size
    if total not in (size, None):
        raise ConnectionError(f"connection lost after {size:,} of {total:,} bytes")
    part.rename(archive)


def response_from(url, begin):
    """Open response that asks for the bytes from `begin` on, or for all if none are left."""
    headers = {"Range": f"bytes={begin}-"} if begin else {}
    try:
        request = urllib.request.Request(url, headers=headers)
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if begin and error.code == 416:  # nothing follows: the part is whole, or another file's
            return response_from(url, 0)
        raise


def first_byte(response, asked):
    """Where the response begins: as asked, or at 0 if the server knows no ranges."""
    if response.status != 206:
        return 0
    place = response.headers["Content-Range"] or ""
    if not place.startswith(f"bytes {asked}-"):
        raise ConnectionError(f"asked for the bytes from {asked} on, the server sent {place!r}")
    return asked


def save(response, part, begin, total):
    bar = tqdm(desc="download", initial=begin, total=total, unit="B", unit_scale=True)
    with bar, open(part, "ab" if begin else "wb") as file:
        while chunk := response.read(1 << 16):
            file.write(chunk)
            bar.update(len(chunk))


def check(archive, md5=None):
    """Raises SystemExit, and moves the archive aside, unless it is whole and safe to unpack."""
    print(f"Checking {archive} ...")
    problem = wrong_sum(archive, md5) or wrong_members(archive)
    if problem:
        aside = archive.replace(archive.with_suffix(".zip.refused"))
        raise SystemExit(f"{archive}: {problem}. It is now {aside}; run again to fetch it anew.")


def wrong_sum(archive, md5):
    if not md5:
        return None
    with open(archive, "rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    return None if found == md5.lower() else f"its MD5 sum is {found}, expected {md5}"


def wrong_members(archive):
    """What is wrong with the zip file, or None. Reads all of it, writes nothing."""
    try:
        with zipfile.ZipFile(archive) as files:
            unsafe = [member.orig_filename for member in files.infolist() if escapes(member)]
            if unsafe:
                return f"refused, a member could be written outside of the folder: {unsafe[0]!r}"
            if f"{NAME}/wnids.txt" not in files.namelist():
                return f"holds no {NAME}/wnids.txt"
            broken = files.testzip()
            return f"corrupt, wrong checksum of {broken}" if broken else None
    except Exception as error:  # zipfile fails in many ways: BadZipFile, zlib.error, OSError, ...
        return f"corrupt or not a zip file ({error})"


def escapes(member):
    """Whether a zip member may be written outside of the folder: absolute, drive, .., link."""
    path = member.orig_filename.replace("\\", "/")
    link = stat.S_ISLNK(member.external_attr >> 16)
    return link or path.startswith("/") or ":" in path or ".." in path.split("/")


def unpack(archive, target):
    """Unpacks beside `target` and renames at the end, so that what is at `target` is whole."""
    staging = target.with_name(f"{NAME}.unpacking")
    if staging.exists():  # left by an interrupted run
        shutil.rmtree(staging)
    with zipfile.ZipFile(archive) as files:
        members = files.infolist()
        need(target.parent, sum(-(-member.file_size // BLOCK) * BLOCK for member in members))
        for member in tqdm(members, "unpack", unit=" files"):
            files.extract(member, staging)
    (staging / NAME).rename(target)
    shutil.rmtree(staging)


def need(folder, size):
    """Raises SystemExit if the disk has less than `size` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < size:
        room = f"{free / 1e6:,.0f} MB are free, {size / 1e6:,.0f} MB are needed"
        raise SystemExit(f"{folder}: {room}. Make room and run the same command again.")


if __name__ == "__main__":
    raise SystemExit(main())
