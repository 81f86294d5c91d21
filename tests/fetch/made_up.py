"""A corpus that is nowhere, archives in memory, and what a fetch leaves in a folder."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from datasets import Features, Value

from nlpbook_data import Corpus
from nlpbook_data.corpora.declaration import Split


def made_up(url: str | None, downloads: tuple[str, ...], **options: Any) -> Corpus:
    """Return a corpus of raw files, by default its `downloads`, at `url`."""
    files = options.pop("raw", downloads)
    return Corpus(
        name="made-up",
        task="pretrain",
        title="지어낸 말뭉치",
        features=Features(text=Value("string")),
        splits={"train": Split("all of it", files=files)},
        license="CC0-1.0",
        homepage="https://example.org",
        urls=None if url is None else lambda: {file: f"{url}/{file}" for file in downloads},
        **options,
    )


def as_zip(
    files: dict[str, bytes],
    method: int = zipfile.ZIP_DEFLATED,
    mode: int = stat.S_IFREG,
    level: int | None = None,
) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method, compresslevel=level) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.filename = name  # as it is, where ZipInfo would mend it
            entry.external_attr = (mode | 0o644) << 16
            archive.writestr(entry, data, method, level)
    return packed.getvalue()


def as_tar(files: dict[str, bytes | tarfile.TarInfo], **options: Any) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", **options) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name) if isinstance(data, bytes) else data
            entry.size = len(data) if isinstance(data, bytes) else 0
            archive.addfile(entry, io.BytesIO(data) if entry.size else None)
    return packed.getvalue()


def in_parts(data: bytes, names: tuple[str, ...]) -> dict[str, bytes]:
    size = len(data) // len(names) + 1
    return {f"/{name}": data[i * size :][:size] for i, name in enumerate(names)}


def left(folder: Path) -> set[str]:
    """Return the files in `folder`, but for the lock."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - {".fetch.lock"}
