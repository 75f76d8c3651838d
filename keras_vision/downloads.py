"""Datasets from the web: fetched, checked and unpacked, going on where an earlier run stopped.

Nothing that was there is overwritten, and what is there under its final name is whole.
"""

import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

import filelock
from tqdm import tqdm

from keras_vision import archives

TIMEOUT = 60  # seconds without a byte


def install_or_exit(folder, url, name, proof, digest=None, growth=1.0):
    """`install` for scripts: what stops it ends the process, and a message says what to do."""
    try:
        install(folder, url, name, proof, digest, growth)
    except KeyboardInterrupt:
        raise SystemExit("\nInterrupted: the same command goes on from here.") from None
    except (OSError, http.client.HTTPException) as error:
        reason = f"{type(error).__name__}: {error}\nFrom {url} to {folder}."
        hint = "When that is mended, the same command goes on from here;"
        own = f"an archive fetched by other means is taken from {Path(folder) / name}.zip."
        raise SystemExit(f"{reason} {hint} {own}") from error
    except (RuntimeError, ValueError) as error:
        raise SystemExit(str(error)) from error


def install(folder, url, name, proof, digest=None, growth=1.0):
    """Leaves folder/name, whole, from the zip file at `url`, which is deleted in the end.

    What an earlier run finished is not done again. An archive that lies at folder/name.zip is
    taken instead of the one at `url`.

    proof: path of a file below `name`; an archive or a folder without it is another one.
    digest: of the archive, such as "md5:0123...", of any algorithm that hashlib knows.
    growth: size of the files on disk over that of the archive, for the room to ask for.

    Raises ValueError if archive or folder are not what they should be, RuntimeError if another
    process is at work on the same, OSError or http.client.HTTPException if network or disk fail.
    """
    target = Path(folder) / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with only_download(target):
            if not target.exists():  # by now another process may have done it
                archive = target.with_name(f"{name}.zip")
                fetch(url, archive, digest, growth)
                refuse_if(archives.flaw(archive, f"{name}/{proof}"), archive)
                need(target.parent, archives.size_on_disk(archive))
                archives.unpack(archive, target)
                archive.unlink()
    if not (target / proof).is_file():
        raise ValueError(f"{target} exists, but without {proof}: move it away and run again.")
    print(f"{target} is there.")


@contextmanager
def only_download(target, wait=False):
    """Refuses a second process at work on `target`, or makes it wait. Locks die with theirs."""
    lock = target.with_name(f"{target.name}.lock")
    try:
        with filelock.FileLock(lock, blocking=wait):
            yield
    except filelock.Timeout:
        raise RuntimeError(
            f"Another process is fetching {target}: wait until it is done."
        ) from None
    with suppress(OSError):  # only now that `target` is there may two processes think they hold it
        lock.unlink()


def fetch(url, path, digest=None, growth=0.0):
    """Leaves the file of `url` at `path`, whole. One that is there is checked and not fetched."""
    if not path.exists():
        download(url, path, growth)
    print(f"Checking {path} ...")
    refuse_if(wrong_sum(path, digest), path)


def download(url, path, growth=0.0):
    """Fetches into `path`.part, going on at its end, and renames it when it is whole."""
    part = path.with_name(f"{path.name}.part")
    have = part.stat().st_size if part.exists() else 0
    with response_from(url, have) as response:
        begin = first_byte(response, have)
        length = length_of(response)
        total = None if length is None else begin + length
        if have != total or not have:
            need(part.parent, (1 + growth) * (total or 0) - begin)
            save(response, part, begin, total)
    size = part.stat().st_size
    if total not in (size, None):
        raise ConnectionError(f"connection lost after {size:,} of {total:,} bytes")
    part.rename(path)


def response_from(url, begin):
    """Open response that asks for the bytes from `begin` on, or for all if none are left."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"expected an address http://... or https://..., got {url!r}")
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


def length_of(response):
    """How many bytes the response has, or None if the server does not say."""
    text = response.headers["Content-Length"]
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,15}", text):
        raise ConnectionError(f"the server sent Content-Length: {text[:40]!r}, which is no size")
    return int(text)


def save(response, part, begin, total):
    name = part.name.removesuffix(".part")
    bar = tqdm(desc=name, initial=begin, total=total, unit="B", unit_scale=True)
    with bar, open(part, "ab" if begin else "wb") as file:
        while chunk := response.read(1 << 16):
            file.write(chunk)
            bar.update(len(chunk))


def wrong_sum(path, digest):
    """What is wrong with the file, whose digest, such as "md5:0123...", starts so; or None."""
    if not digest:
        return None
    algorithm, _, expected = digest.partition(":")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found.startswith(expected.lower()):
        return None
    return f"its {algorithm.upper()} sum is {found}, expected {expected}"


def is_page(path):
    """Whether a file is a web page, as servers and proxies send in place of another."""
    with open(path, "rb") as file:
        return file.read(64).lstrip().startswith(b"<")


def refuse_if(problem, path):
    """Moves the file aside and raises ValueError if there is a problem."""
    if problem:
        aside = path.rename(free_name(path.with_name(f"{path.name}.refused")))
        raise ValueError(f"{path}: {problem}. It is now {aside}; run again to fetch it anew.")


def free_name(path):
    """`path`, or the first of path-2, path-3, ... that is not taken."""
    names = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(name for name in chain([path], names) if not os.path.lexists(name))


def need(folder, size):
    """Raises OSError if the disk has less than `size` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < size:
        room = f"{free / 1e6:,.0f} MB are free, {size / 1e6:,.0f} MB are needed"
        raise OSError(f"{folder}: {room}: make room there")
