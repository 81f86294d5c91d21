"""Read text files: lines, csv and tsv, and plain text as Arrow tables."""

import codecs
import csv
import gzip
import io
import logging
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import pyarrow as pa
import pyarrow.compute as pc

from nlpbook_data.errors import InputError, first_line
from nlpbook_data.reading.values import FETCH_AGAIN, Files, malformed

logger = logging.getLogger(__name__)

T = TypeVar("T")

BLOCK_BYTES = 1 << 23
# No line of a text corpus is this long, but a damaged file without line breaks is.
MAX_LINE_BYTES = 1 << 26
# A longer cell means a missing quote or line break; it would be tokenized for minutes and then
# truncated to 128 tokens.
MAX_CHARACTERS = 1_000_000
# The first bytes of compressed files, and their endings, which follow that of the format.
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
COMPRESSED = (".gz", ".zst", ".zstd")
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MEMORY_BYTES = 1 << 26
HANGUL = re.compile("[가-힣]")


def packing_of(path: Path) -> str:
    """Return the ending that names the compression, empty for none: ``.gz`` for ``a.csv.gz``."""
    return path.suffix if path.suffix.lower() in COMPRESSED else ""


def format_of(path: Path) -> str:
    """Return the ending that names the format, in lower case: ``.csv`` for ``a.csv.gz``."""
    return (Path(path.stem) if packing_of(path) else path).suffix.lower()


def open_bytes(path: Path) -> BinaryIO:
    """Open a file; gzip and zstd are decompressed, UTF-16 with BOM is converted to UTF-8."""
    file = open_unpacked(path)
    head = file.read(2)
    file.seek(0)
    if head in UTF_16:
        try:
            with file:
                return io.BytesIO(file.read().decode("utf-16").encode())
        except UnicodeError as error:
            raise _damaged(path, error) from error
    return file


def open_unpacked(path: Path) -> BinaryIO:
    """Open a file; gzip and zstd are decompressed."""
    file: BinaryIO = path.open("rb")
    head = file.read(4)
    file.seek(0)
    try:
        if head.startswith(GZIP):
            return _spooled(cast(BinaryIO, gzip.GzipFile(fileobj=file)))
        if head == ZSTD:
            file.close()
            return _spooled(cast(BinaryIO, pa.input_stream(str(path), compression="zstd")))
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error
    return file


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: damaged, or cut off, where gzip, zstd or UTF-16 is read "
        f"({first_line(error)}). Write it again, as UTF-8."
    )


def is_packed(path: Path) -> bool:
    """Whether a file is compressed by gzip or zstd, by its first bytes."""
    with path.open("rb") as file:
        return file.read(4).startswith((GZIP, ZSTD))


def is_utf16(path: Path) -> bool:
    """Whether a text file begins with the BOM of UTF-16."""
    with open_unpacked(path) as file:
        return file.read(2) in UTF_16


def _spooled(source: BinaryIO) -> BinaryIO:
    """Copy `source` into a temporary file, in memory or, if it is large, on disk."""
    target = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)
    with source:
        shutil.copyfileobj(source, target, 1 << 20)
    target.seek(0)
    return cast(BinaryIO, target)


def read_whole(path: Path) -> str:
    """Return the text of a file in UTF-8 or cp949."""
    with open_bytes(path) as file:
        return file.read().decode(find_encoding(path)).removeprefix("\ufeff")


def read_lines(
    path: Path, encoding: str = "utf-8", advice: str = FETCH_AGAIN
) -> Iterator[tuple[str, str]]:
    r"""Yield ``(place, line)`` of UTF-8 with or without BOM; lines end in \n or \r\n."""
    with open_bytes(path) as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{path}, line {number}"
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                said = f"not {encoding.upper()} ({error.reason})"
                raise InputError(f"{place}: {said}. {advice}") from error
            if "\0" in text:
                raise InputError(f"{place}: a NUL, which no text holds. {advice}")
            if number == 1:
                text = text.removeprefix("\ufeff")
            yield place, text.removesuffix("\n").removesuffix("\r")


def csv_rows(
    path: Path, lines: Iterable[str], advice: str, separator: str = ","
) -> Iterator[tuple[int, list[str]]]:
    """Yield ``(number of its first line, cells)`` by row (RFC 4180); a blank line has no cells."""
    limit = csv.field_size_limit(MAX_CHARACTERS)  # the csv module has only this global limit
    reader = csv.reader(lines, strict=True, delimiter=separator)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, the row of line {number}: {error}. {advice}") from error
    finally:
        csv.field_size_limit(limit)


def read_csv(files: Files, header: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield ``(place, cells)`` for each row of official csv files with this `header`."""
    for path in files:
        lines = (f"{line}\n" for _, line in read_lines(path))
        rows = csv_rows(path, lines, FETCH_AGAIN)
        yield from _under(((f"{path}, line {n}", cells) for n, cells in rows), path, header, ",")


def read_tsv(files: Files, header: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield ``(place, cells)`` for each line below `header`, without quoting, as in Korpora."""
    for path in files:
        rows = ((place, line.split("\t")) for place, line in read_lines(path))
        yield from _under(rows, path, header, "⇥")


def _under(
    rows: Iterator[tuple[str, list[str]]], path: Path, header: Sequence[str], separator: str
) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows after the first, which must be `header`; all have its number of cells."""
    place, first = next(rows, (f"{path}, line 1", []))
    if first != list(header):
        raise malformed(place, separator.join(first), f"the header {separator.join(header)}")
    for place, cells in rows:
        if len(cells) != len(header):
            raise malformed(place, separator.join(cells), f"a row of {separator.join(header)}")
        yield place, cells


def beside(
    rows: Iterable[tuple[str, T]], path: Path, rows_path: Path
) -> Iterator[tuple[str, T, str]]:
    """Yield ``(place, row, line)``: the n-th line of `path` belongs to the n-th row of `rows_path`.

    Files of different lengths are refused.
    """
    lines = read_lines(path)
    for number, (row, line) in enumerate(zip_longest(rows, lines), start=1):
        if row is None or line is None:
            longer, shorter = (path, rows_path) if row is None else (rows_path, path)
            raise InputError(
                f"{shorter} ends after {number - 1:,} rows, where {longer} has another. Fetch both "
                "files again."
            )
        yield *row, line[1]


class Undecodable(InputError):
    """A text file with bytes that are neither UTF-8 nor cp949."""


def find_encoding(path: Path) -> str:
    """Return `_find_encoding`, which reads a file and warns only once, until the file changes."""
    stat = path.stat()
    return _find_encoding(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=64)
def _find_encoding(path: Path, state: tuple[int, int, int]) -> str:
    """Return ``"utf-8"`` or ``"cp949"``; raise InputError naming the line otherwise.

    A NUL means UTF-16 without BOM, or a damaged file: no text contains it. A file with valid UTF-8
    Hangul before its first bad byte is broken UTF-8: read as cp949 it would silently become other
    letters.
    """
    line, hangul = 1, False
    with open_bytes(path) as file:
        while block := file.read(1 << 20) + file.readline():  # whole lines
            _refuse_nul(path, line, block)
            try:
                hangul = HANGUL.search(block.decode()) is not None or hangul
            except UnicodeDecodeError as error:
                hangul = HANGUL.search(block[: error.start].decode()) is not None or hangul
                line += block.count(b"\n", 0, error.start)
                break
            line += block.count(b"\n")
        else:
            return "utf-8"
        if not hangul:
            file.seek(0)
            content = file.read()
            _refuse_nul(path, 1, content)
            try:
                content.decode("cp949")
                logger.warning("%s: read as cp949 (not UTF-8).", path)
                return "cp949"
            except UnicodeDecodeError as error:
                line = content.count(b"\n", 0, error.start) + 1
    raise Undecodable(
        f"{path}, line {line}: a byte that is neither UTF-8 nor cp949. The file is damaged, cut "
        "off or in another encoding; save it as UTF-8."
    )


def _refuse_nul(path: Path, line: int, data: bytes) -> None:
    if b"\0" in data:
        line += data.count(b"\n", 0, data.index(b"\0"))
        raise InputError(
            f"{path}, line {line}: a NUL, which no text holds. The file is damaged, in another "
            "encoding, or no text at all, such as a workbook; save it as UTF-8."
        )


def tables_of_lines(path: Path) -> Iterator[pa.Table]:
    r"""Yield the lines of a plain-text file as tables of ``text``; lines end in \n or \r\n.

    No Python object is made for a line.
    """
    for number, data in read_blocks(path, b"\n", "a line"):
        try:
            text = pa.array([data]).cast(pa.string())
        except pa.ArrowInvalid:
            decode(path, number, data)  # says in which line
            raise
        yield pa.table({"text": pc.split_pattern(text, "\n").flatten()})


def read_blocks(path: Path, mark: bytes, unit: str) -> Iterator[tuple[int, bytes]]:
    r"""Yield ``(number of its first line, UTF-8)`` of pieces of an official file of gigabytes.

    A piece is some megabytes long and ends before a line break at which `mark` stands (that line
    break is left out). Line breaks are \n or \r\n in the file and \n in a piece. `unit` is the
    word for what stands between two marks.
    """
    number, rest = 1, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            data = rest + block
            # only the new block can hold a mark, apart from one that crosses the blocks
            cut = data.rfind(mark, max(0, len(rest) - len(mark)))
            if cut >= 0:
                yield number, _clean(path, number, data[:cut])
                number += data.count(b"\n", 0, cut + 1)
            rest = data[cut + 1 :]
            if len(rest) > MAX_LINE_BYTES:
                raise InputError(
                    f"{path}, line {number}: {unit} longer than {MAX_LINE_BYTES:,} bytes. "
                    f"{FETCH_AGAIN}"
                )
    if rest:
        yield number, _clean(path, number, rest)


def _clean(path: Path, number: int, data: bytes) -> bytes:
    """Return `data`, which begins at line `number`, without a BOM and carriage returns."""
    data = data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
    if b"\0" in data:
        line = number + data.count(b"\n", 0, data.index(b"\0"))
        raise InputError(f"{path}, line {line}: a NUL, which no text holds. {FETCH_AGAIN}")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").removesuffix(b"\r")
    return data


def decode(path: Path, number: int, data: bytes) -> str:
    """Return the text of `data`, which begins at line `number` of `path`."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = number + data.count(b"\n", 0, error.start)
        raise InputError(
            f"{path}, line {line}: not UTF-8 ({error.reason}). {FETCH_AGAIN}"
        ) from error
