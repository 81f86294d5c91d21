"""Unpack the declared files of a zip, tar.gz or gz, in one piece or in parts, and nothing else.

What an archive says of itself is not trusted: no name in it decides where a file goes, a name that
leaves the folder, a link or a device refuses all of it, and what comes out is bounded, whatever its
headers promise.
"""

import gzip
import io
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, Self, cast

from tqdm.auto import tqdm

from nlpbook_data.errors import InputError
from nlpbook_data.fetch.download import HARMLESS, RATIO, check_space

UNPACKED = ".unpacked"  # the ending of a member that is not yet checked
BLOCK = 1 << 20

_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, ValueError, RuntimeError, LookupError, ArithmeticError, struct.error),
)


class ArchiveError(InputError):
    """An archive that is damaged, dangerous or not what it was declared to be."""


def unpack(parts: Sequence[Path], folder: Path, members: Sequence[str]) -> dict[str, Path]:
    """Write `members` of an archive into `folder` as ``<member>.unpacked`` and flush them.

    The archive is read to its end (and its checksums with it) before this returns, so that one
    bad member refuses all of them. Memory does not grow with sizes.

    Args:
        parts: the archive, or its parts in order, which are read as one.
        folder: where the members go; their own folders are made.
        members: paths relative to `folder`. Of the archive's files the one with that path counts,
            else the one whose path ends with it, else the one with its base name.

    Returns:
        ``{member: path of the temporary file}``, which the caller checks and renames.

    Raises:
        ArchiveError: it is damaged, cut off, a bomb, holds links, devices, names outside the
            folder or no such member; nothing is left behind.
        OSError: the disk is full or cannot be written to.
    """
    name = str(parts[0]) + (f" and {len(parts) - 1} more parts" if len(parts) > 1 else "")
    targets = {member: folder / f"{member}{UNPACKED}" for member in members}
    done = False
    try:
        found = _unpack(parts, targets)
        if absent := [member for member in members if member not in found]:
            raise ArchiveError(f"it holds no {', '.join(absent)}")
        done = True
        return targets
    except ArchiveError as error:
        raise ArchiveError(f"{name}: not unpacked, as {error}.") from error
    except _DAMAGE as error:
        what = str(error) or type(error).__name__
        raise ArchiveError(f"{name}: damaged or cut off ({what}).") from error
    finally:
        if not done:
            for path in targets.values():
                path.unlink(missing_ok=True)


def _unpack(parts: Sequence[Path], targets: dict[str, Path]) -> Collection[str]:
    """Write what is found of `targets`, and return which members that was."""
    sizes = [part.stat().st_size for part in parts]
    size = sum(sizes)
    limit = max(HARMLESS, RATIO * size)
    for path in targets.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    look = {"unit": "B", "unit_scale": True, "disable": None, "delay": 2, "leave": False}
    with ExitStack() as stack:
        files = [stack.enter_context(part.open("rb", buffering=0)) for part in parts]
        joined = io.BufferedReader(_Joined(files, sizes), BLOCK)
        magic = joined.peek(4)[:4]
        packed = stack.enter_context(
            tqdm.wrapattr(joined, "read", total=size, desc=f"unpack {parts[0].name}", **look)
        )
        if magic[:2] == b"PK":
            return _unpack_zip(packed, targets, limit)
        if magic[:2] != b"\x1f\x8b":
            raise ArchiveError(f"it is neither zip nor gzip, but begins with {magic!r}")
        stream = _Bounded(stack.enter_context(gzip.GzipFile(fileobj=packed)), limit)
        if re.search(r"\.tar\.gz|\.tgz", parts[0].name):
            return _unpack_tar(stream, targets)
        if len(targets) > 1:
            raise ArchiveError(f"it is a single file, not {', '.join(targets)}")
        (path,) = targets.values()
        check_space(path.parent, size)
        _write(stream, path)
        return targets


class _Stream(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class _Joined(io.RawIOBase):
    """Files read one after the other as one, seekable."""

    def __init__(self, files: Sequence[io.FileIO], sizes: Sequence[int]) -> None:
        self._files, self._starts = files, [0, *accumulate(sizes)]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + (0, self._position, self._starts[-1])[whence]
        if place < 0:
            raise ValueError("a place before the beginning")
        self._position = place
        return place

    def readinto(self, buffer: Any) -> int:  # a writable buffer
        part = bisect_right(self._starts, self._position) - 1
        if part == len(self._files):
            return 0
        self._files[part].seek(self._position - self._starts[part])
        count = self._files[part].readinto(buffer)
        self._position += count
        return count


class _Bounded:
    """A stream that ends in an error after as many bytes as an honest archive could hold."""

    def __init__(self, stream: _Stream, limit: int) -> None:
        self._stream, self._limit, self._count = stream, limit, 0

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self._count += len(block)
        _refuse_bomb(self._count, self._limit)
        return block


def _refuse_bomb(size: int, limit: int) -> None:
    if size > limit:
        raise ArchiveError(
            f"it unpacks to more than {limit:,} bytes, {RATIO} times its own size, as bombs do"
        )


class _TarInfo(tarfile.TarInfo):
    """A header whose size is sane: tarfile reads those of long names into memory, unasked."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type not in tarfile.SUPPORTED_TYPES + (b"x", b"g", b"X")):
            raise ArchiveError(f"a header of an unknown kind at {header.name!r}")
        if header.type in (b"x", b"g", b"X", b"L", b"K") and header.size > BLOCK:
            raise ArchiveError("a name of more than a megabyte")
        return header


def _unpack_tar(stream: _Bounded, targets: dict[str, Path]) -> Collection[str]:
    found: dict[str, tuple[int, str]] = {}
    with tarfile.open(
        fileobj=cast(BinaryIO, stream), mode="r|", tarinfo=_TarInfo, bufsize=BLOCK
    ) as tar:
        for entry in tar:
            # tarfile keeps every header that it has seen; typeshed does not know the list
            tar.members.clear()  # type: ignore[attr-defined]
            _check_name(entry.name)
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise ArchiveError(f"{entry.name!r} is a link, a device or a sparse file")
            if member := _wanted(entry.name, targets, found):
                check_space(targets[member].parent, entry.size)
                _write(cast(_Stream, tar.extractfile(entry)), targets[member], entry.size)
    while stream.read(BLOCK):  # up to the checksum of gzip
        pass
    return found


def _unpack_zip(packed: BinaryIO, targets: dict[str, Path], limit: int) -> Collection[str]:
    found: dict[str, tuple[int, str]] = {}
    chosen: dict[str, zipfile.ZipInfo] = {}
    with zipfile.ZipFile(packed) as archive:
        for entry in archive.infolist():
            _check_name(entry.orig_filename)
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(f"{entry.filename!r} is a link or a device")
            if not entry.is_dir() and (member := _wanted(entry.filename, targets, found)):
                chosen[member] = entry
        size = sum(entry.file_size for entry in chosen.values())  # of which zipfile reads no more
        _refuse_bomb(size, limit)
        for member, entry in chosen.items():
            if entry.flag_bits & 1:
                raise ArchiveError(f"{entry.filename!r} is locked with a password")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Python's other decompressors cannot be told how much to put out at once
                raise ArchiveError(f"{entry.filename!r} is packed otherwise than by deflate")
            check_space(targets[member].parent, entry.file_size)
            with archive.open(entry) as stream:
                _write(stream, targets[member], entry.file_size)
    return found


def _check_name(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name) or "\0" in name:
        raise ArchiveError(f"{name!r} would lie outside the folder")


def _wanted(name: str, members: Collection[str], found: dict[str, tuple[int, str]]) -> str | None:
    """Return the member that `name` is the best match of so far, and note it in `found`."""
    path = PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/")))
    alike = [member for member in members if path.name == PurePosixPath(member).name]
    if not alike:
        return None
    rank, member = max((f"/{path}".endswith(f"/{m}") + (str(path) == m), m) for m in alike)
    best, other = found.get(member, (-1, ""))
    if rank == best:
        raise ArchiveError(f"{other!r} and {name!r} could both be {member}")
    if rank < best:
        return None
    found[member] = rank, name
    return member


def _write(stream: _Stream, path: Path, size: int | None = None) -> None:
    """Copy `stream` to `path` and flush it to disk; `size` is what must come."""
    with path.open("wb") as file:
        shutil.copyfileobj(stream, file, BLOCK)
        file.flush()
        os.fsync(file.fileno())
        if size not in (None, file.tell()):
            raise EOFError(f"{file.tell():,} of {size:,} bytes")
