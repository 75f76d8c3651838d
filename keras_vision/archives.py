"""Zip archives: read through before anything is written, then unpacked as a whole."""

import errno
import shutil
import stat
import zipfile

from tqdm import tqdm

BLOCK = 4096  # bytes a disk gives to the smallest file: thousands of them fill twice their size
FULL = (errno.ENOSPC, errno.EDQUOT)


def flaw(archive, proof):
    """What is wrong with the file, or None: broken, unsafe, or without the member `proof`.

    Reads all of it, writes nothing. Raises ValueError, which names the member, if one is whole
    but encrypted or compressed in a way that zipfile does not know.
    """
    try:
        with zipfile.ZipFile(archive) as files:
            unsafe = [member.orig_filename for member in files.infolist() if escapes(member)]
            if unsafe:
                return f"refused, a member could be written outside of the folder: {unsafe[0]!r}"
            if proof not in files.namelist():
                return f"holds no {proof}"
            unknown = unreadable(files)
    except Exception as error:  # zipfile fails in many ways: BadZipFile, zlib.error, OSError, ...
        return f"corrupt or not a zip file ({error})"
    if unknown:
        raise cannot_unpack(archive, *unknown)
    return None


def escapes(member):
    """Whether a zip member may be written outside of the folder: absolute, drive, .., link."""
    path = member.orig_filename.replace("\\", "/")
    link = stat.S_ISLNK(member.external_attr >> 16)
    return link or path.startswith("/") or ":" in path or ".." in path.split("/")


def unreadable(files):
    """(name, reason) of the first member that is encrypted or compressed in an unknown way."""
    for member in files.infolist():
        try:
            with files.open(member) as content:
                while content.read(1 << 20):  # wrong checksums are raised at the end
                    pass
        except RuntimeError as error:
            return member.filename, "encrypted" if member.flag_bits & 1 else error
    return None


def cannot_unpack(archive, member, reason):
    reason = getattr(reason, "strerror", None) or reason
    fix = f"Unpack the archive with another program as {archive.with_suffix('')}"
    others = "choose another folder, or move the archive away to fetch it anew"
    return ValueError(
        f"{archive}: {member!r} cannot be unpacked here ({reason}). {fix}, {others}."
    )


def size_on_disk(archive):
    """Bytes that the members will fill."""
    with zipfile.ZipFile(archive) as files:
        return sum(-(-member.file_size // BLOCK) * BLOCK for member in files.infolist())


def unpack(archive, target):
    """Moves the archive's folder `target.name` to `target` once it is whole, beside it till then.

    Raises ValueError, which names the member, if one cannot exist on this disk.
    """
    staging = target.with_name(f"{target.name}.unpacking")
    if staging.exists():  # left by an interrupted run
        shutil.rmtree(staging)
    with zipfile.ZipFile(archive) as files:
        for member in tqdm(files.infolist(), "unpack", unit=" files"):
            try:
                files.extract(member, staging)
            except (OSError, ValueError) as error:  # too long, not in this alphabet, a folder, ...
                if getattr(error, "errno", None) in FULL:
                    raise
                shutil.rmtree(staging, ignore_errors=True)
                raise cannot_unpack(archive, member.filename, error) from error
    (staging / target.name).rename(target)
    shutil.rmtree(staging)
