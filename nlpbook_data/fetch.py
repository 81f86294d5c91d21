"""Download a corpus' raw files: atomic, resumable, checked, with a manifest written beside them."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path

import httpx
from filelock import FileLock
from tqdm.auto import tqdm

from nlpbook_data.cache import write_text
from nlpbook_data.corpus import Corpus
from nlpbook_data.errors import InputError

logger = logging.getLogger(__name__)

ATTEMPTS = 4


def fetch_corpus(corpus: Corpus, folder: Path, missing: Iterable[str]) -> None:
    """Download the `missing` files of `corpus` into `folder` and record them in its manifest.

    Raises:
        InputError: the corpus has no URLs, the network or the server fails, or a file is not
            the official one where that is known.
    """
    missing = list(missing)
    if corpus.packaged or corpus.urls is None:
        raise InputError(
            f"{folder / missing[0]}: no such file, and {corpus.name} cannot be downloaded by "
            f"itself. {'Install the package again.' if corpus.packaged else corpus.homepage}"
        )
    urls = corpus.urls()
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror}). Pass a --corpus_dir you can write to."
        ) from error
    with FileLock(folder / ".fetch.lock") as lock:
        try:
            for file in missing:
                if not (folder / file).is_file():  # another process may have fetched it meanwhile
                    _fetch_file(corpus, urls[file], folder, file)
        except BaseException:
            with suppress(OSError):  # a folder that holds what was fetched stays
                Path(lock.lock_file).unlink()
                for path in made:
                    path.rmdir()
            raise


def _fetch_file(corpus: Corpus, url: str, folder: Path, file: str) -> None:
    known = corpus.files.get(file)
    partial = folder / f"{file}.partial"
    partial.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            _download(url, partial)
            break
        except (httpx.HTTPError, ConnectionError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            gone = status is not None and status < 500 and status not in (408, 429)
            if gone or attempt == ATTEMPTS - 1:
                first = (str(error) or type(error).__name__).splitlines()[0]
                raise InputError(
                    f"{corpus.name}: {url} could not be fetched ({first}). "
                    f"Check the network, or put the file at {folder / file}."
                ) from error
            time.sleep(2**attempt)
    with partial.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    size = partial.stat().st_size
    if known and sha256 != known.sha256:
        partial.unlink()
        raise InputError(
            f"{corpus.name}: {url} gave {size:,} bytes with sha256 {sha256}, where the official "
            f"file has {known.bytes:,} bytes and {known.sha256}. Nothing was kept; try again later."
        )
    os.replace(partial, folder / file)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"files": {}}
    manifest.setdefault("note", f"Fetched {date.today()} from {url.rsplit('/', 1)[0]}.")
    manifest["files"][file] = {"bytes": size, "sha256": sha256}
    if known:
        manifest["files"][file]["rows"] = known.rows
    write_text(path, json.dumps(manifest, indent=1, ensure_ascii=False))


def _download(url: str, partial: Path) -> None:
    """Append what is missing of `url` to `partial`, then flush it to disk."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # ranges of a compressed answer count its bytes
    if have:
        headers["Range"] = f"bytes={have}-"
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as response:
        if response.status_code == 416:  # what lies there is not a beginning of this file
            partial.unlink()
            raise ConnectionError("the server refused to continue the partial file")
        response.raise_for_status()
        resumed = response.status_code == 206
        length = int(response.headers.get("Content-Length", 0))
        with (
            partial.open("ab" if resumed else "wb") as stream,
            tqdm(
                total=length + have * resumed or None,
                initial=have * resumed,
                unit="B",
                unit_scale=True,
                desc=partial.stem,
                disable=None,
            ) as bar,
        ):
            for chunk in response.iter_bytes():
                stream.write(chunk)
                bar.update(len(chunk))
            stream.flush()
            os.fsync(stream.fileno())
