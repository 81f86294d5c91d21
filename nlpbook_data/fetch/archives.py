"""Unpack the declared files of a zip, tar.gz or gz, in one piece or in parts, and nothing else.

What an archive says of itself is not trusted: a name that leaves the folder, a link or a device
refuses all of it, and the bytes that come out are counted, whatever its headers promise.
"""

import errno
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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Self, cast

from tqdm.auto import tqdm

from nlpbook_data.errors import InputError

# Text packs 3 to 20 times, the worst markup 100 times; deflate itself ends at 1,032.
RATIO = 200
HARMLESS = 100_000_000  # bytes that no ratio makes a bomb
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
        parts: the archive, or its parts in order, which are read as one stream.
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
        with ExitStack() as stack:
            packed = io.BufferedReader(stack.enter_context(_Joined(parts)), BLOCK)
            bar = stack.enter_context(
                tqdm(
                    **{"unit": "B", "unit_scale": True, "disable": None, "delay": 2},
                    desc=f"unpack {parts[0].name}",
                    leave=False,
                )
            )
            budget = _Budget(max(HARMLESS, RATIO * packed.raw.size), bar)
            magic = packed.peek(4)[:4]
            if magic[:2] == b"PK":
                found = _unpack_zip(packed, folder, targets, budget)
            elif magic[:2] == b"\x1f\x8b":
                stream = stack.enter_context(gzip.GzipFile(fileobj=packed))
                if re.search(r"\.tar\.gz|\.tgz", parts[0].name):
                    found = _unpack_tar(cast(BinaryIO, stream), targets, budget)
                elif len(members) > 1:
                    raise ArchiveError(f"it is a single file, not {', '.join(members)}")
                else:
                    _check_space(folder, packed.raw.size)
                    found = members
                    _write(cast(BinaryIO, stream), targets[members[0]], budget)
            else:
                raise ArchiveError(f"it is neither zip nor gzip, but begins with {magic!r}")
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


class _Joined(io.RawIOBase):
    """The parts of a file read as one, seekable."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._files: list[BinaryIO] = []
        self._starts, self.size, self._position = [], 0, 0
        try:
            for part in parts:
                self._files.append(part.open("rb", buffering=0))
                self._starts.append(self.size)
                self.size += part.stat().st_size
        except OSError:
            self.close()
            raise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if origin + offset < 0:
            raise ValueError("a place before the beginning")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: Any) -> int:  # a writable buffer
        for file, start in reversed(list(zip(self._files, self._starts, strict=True))):
            if start <= self._position:
                file.seek(self._position - start)
                count = cast(io.BufferedReader, file).readinto(buffer)
                self._position += count
                return count
        return 0

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


class _Budget:
    """Count the bytes that come out of an archive, up to what an honest one could hold."""

    def __init__(self, limit: int, bar: tqdm) -> None:
        self.limit, self.bar, self.spent = limit, bar, 0

    def spend(self, count: int) -> None:
        self.spent += count
        self.bar.update(count)
        if self.spent > self.limit:
            raise ArchiveError(
                f"it unpacks to more than {self.limit:,} bytes, {RATIO} times its own size, as "
                "bombs do"
            )


class _Metered(io.RawIOBase):
    """A stream whose bytes, read or skipped, count against a budget."""

    def __init__(self, stream: BinaryIO, budget: _Budget) -> None:
        self._stream, self._budget = stream, budget

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._budget.spend(len(block))
        return block


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


def _unpack_tar(
    stream: BinaryIO, targets: dict[str, Path], budget: _Budget
) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    metered = _Metered(stream, budget)
    with tarfile.open(fileobj=metered, mode="r|", tarinfo=_TarInfo, bufsize=BLOCK) as tar:
        for entry in tar:
            # tarfile keeps every header that it has seen; typeshed does not know the list
            tar.members.clear()  # type: ignore[attr-defined]
            _check_name(entry.name)
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise ArchiveError(f"{entry.name!r} is a link, a device or a sparse file")
            if member := _wanted(entry.name, targets, found):
                _check_space(targets[member].parent, entry.size)
                _write(cast(BinaryIO, tar.extractfile(entry)), targets[member], None, entry.size)
    while metered.read(BLOCK):  # up to the checksum of gzip
        pass
    return found


def _unpack_zip(
    packed: BinaryIO, folder: Path, targets: dict[str, Path], budget: _Budget
) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    chosen: dict[str, zipfile.ZipInfo] = {}
    with zipfile.ZipFile(packed) as archive:
        for entry in archive.infolist():
            _check_name(entry.orig_filename)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(f"{entry.filename!r} is a link or a device")
            if not entry.is_dir() and (member := _wanted(entry.filename, targets, found)):
                chosen[member] = entry
        _check_space(folder, sum(entry.file_size for entry in chosen.values()))
        for member, entry in chosen.items():
            if entry.flag_bits & 1:
                raise ArchiveError(f"{entry.filename!r} is locked with a password")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Python's other decompressors cannot be told how much to put out at once
                raise ArchiveError(f"{entry.filename!r} is packed otherwise than by deflate")
            with archive.open(entry) as stream:
                _write(cast(BinaryIO, stream), targets[member], budget, entry.file_size)
    return found


def _check_name(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name) or "\0" in name:
        raise ArchiveError(f"{name!r} would lie outside the folder")


def _wanted(name: str, targets: dict[str, Path], found: dict[str, tuple[int, str]]) -> str | None:
    """Return the member that `name` is the best match of so far, and note it in `found`."""
    path = unicodedata.normalize("NFC", str(PurePosixPath(name.replace("\\", "/"))))
    ranks = {}
    for member in targets:
        if path == member:
            ranks[member] = 3
        elif path.endswith(f"/{member}"):
            ranks[member] = 2
        elif PurePosixPath(path).name == PurePosixPath(member).name:
            ranks[member] = 1
    if not ranks:
        return None
    member = max(ranks, key=lambda member: ranks[member])
    rank, other = found.get(member, (0, ""))
    if rank == ranks[member]:
        raise ArchiveError(f"{other!r} and {name!r} could both be {member}")
    if rank > ranks[member]:
        return None
    found[member] = ranks[member], name
    return member


def _check_space(folder: Path, size: int) -> None:
    while not folder.exists():
        folder = folder.parent
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


def _write(stream: BinaryIO, path: Path, budget: _Budget | None, size: int | None = None) -> None:
    """Copy `stream` to `path` and flush it to disk; `size` is what must come."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    try:
        with path.open("wb") as file:
            for block in _blocks(stream):
                if budget:
                    budget.spend(len(block))
                file.write(block)
                written += len(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno is not None:
            error.filename = error.filename or str(path)
        raise
    if size is not None and written != size:
        raise EOFError(f"{written:,} of {size:,} bytes")
