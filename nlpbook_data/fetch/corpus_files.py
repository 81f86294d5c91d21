"""Bring a corpus' raw files into its folder, checked, and recorded in a manifest beside them.

A file gets its name by a rename, when all of it is on disk and checked. What lies beside it until
then: ``X.partial`` and ``X.partial.json``, a download; ``X.fetched``, a whole archive that goes
once it is unpacked; ``X.unpacked``, a member of an archive; and ``.fetch.lock``.
"""

import errno
import json
import logging
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nlpbook_data.corpora.declaration import Archive, Corpus, RawFile, read_manifest
from nlpbook_data.data.cache import hash_file, write_text
from nlpbook_data.errors import InputError
from nlpbook_data.fetch.archives import UNPACKED, ArchiveError, unpack
from nlpbook_data.fetch.download import PARTIAL, Download, WrongFile, download_all

logger = logging.getLogger(__name__)

ATTEMPTS = 4
FETCHED = ".fetched"


def fetch_corpus(corpus: Corpus, folder: Path, missing: Iterable[str]) -> None:
    """Bring the `missing` raw files of `corpus` into `folder` and record them in its manifest.

    Archives that lie there are unpacked without the network and stay; what else is missing is
    downloaded. Files that are there are left alone. A manifest that was written by hand keeps its
    content and gains the new files.

    Raises:
        InputError: a file cannot be downloaded and is not there, the network or the server fails,
            the disk is full, a file is not the official one or not the one that the manifest
            records, an archive is damaged or dangerous. Nothing is left under a file's name.
    """
    missing = list(dict.fromkeys(missing))
    try:
        # refuses what comes by hand before a folder is made
        if not any(_plan(corpus, folder, missing)) and not _leftovers(corpus, folder):
            return
        with _locked(folder, missing):
            # another process may have fetched some meanwhile
            urls, archives = _plan(corpus, folder, missing)
            _refuse_another_draw(corpus, folder, [*urls, *chain(*archives.values())])
            if urls:
                _download(corpus, folder, urls, {part for a in archives for part in a.files})
            for archive, members in archives.items():
                _unpack(corpus, folder, archive, members)
            for path in _leftovers(corpus, folder):
                path.unlink()
    except OSError as error:
        raise InputError(_disk_message(error, folder)) from error


def _plan(
    corpus: Corpus, folder: Path, missing: Sequence[str]
) -> tuple[dict[str, str], dict[Archive, list[str]]]:
    """Return what to download, ``{file name: URL}``, and which members to unpack from what."""
    missing = [file for file in missing if "*" in file or not (folder / file).is_file()]
    urls = corpus.urls() if corpus.urls and missing else {}
    downloads, archives, by_hand = {}, defaultdict(list), []
    for file in missing:
        archive = next((a for a in corpus.archives if file in a.members), None)
        parts = [part for part in archive.files if not _whole(folder, part)] if archive else []
        if file in urls and (parts or not archive):
            downloads[file] = urls[file]
        elif archive and urls.keys() >= set(parts):
            archives[archive].append(file)
            downloads |= {part: urls[part] for part in parts}
        else:
            by_hand.append(file)
    if by_hand:
        more = f" (and {len(by_hand) - 1} more)" if len(by_hand) > 1 else ""
        advice = corpus.by_hand or f"Get it from {corpus.homepage}"
        if corpus.packaged:
            advice = "Install the package again"
        raise InputError(
            f"{folder / by_hand[0]}{more}: no such file, and {corpus.name} cannot be downloaded by "
            f"itself. {advice.rstrip('.')}. Its folder is {folder} ({corpus.homepage})."
        )
    return downloads, archives


def _whole(folder: Path, part: str) -> Path | None:
    """Return where an archive (or a part of one) lies whole: a user's own, or one we fetched."""
    paths = (folder / part, folder / f"{part}{FETCHED}")
    return next((path for path in paths if path.is_file()), None)


@contextmanager
def _locked(folder: Path, missing: Sequence[str]) -> Iterator[None]:
    """Make `folder`, hold its lock, and on an error take away what was made and is empty."""
    inner = {parent for file in missing for parent in (folder / file).parents}
    made = [path for path in inner | {folder, *folder.parents} if not path.exists()]
    lock = FileLock(folder / ".fetch.lock")
    try:
        for last in (False, False, True):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    logger.warning("%s: another process fetches into it; waiting.", folder)
                    lock.acquire()
                break
            except FileNotFoundError:  # that process failed and took its folder away
                if last:
                    raise
    except (OSError, NotImplementedError) as error:
        what = "cannot be written to" if folder.is_dir() else "cannot be made"
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{folder}: {what} ({reason}). Pass a --corpus_dir you can write to."
        ) from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        for path in sorted(made, reverse=True):  # children first
            with suppress(OSError):  # a folder that holds what was fetched stays
                path.rmdir()
        raise
    finally:
        lock.release()


# Checking and recording


def _known(corpus: Corpus, file: str) -> RawFile:
    return corpus.files.get(file, RawFile())


def _recorded(folder: Path, file: str) -> str | None:
    """Return the sha256 that the manifest has of `file`."""
    return (read_manifest(folder) or {"files": {}})["files"].get(file, {}).get("sha256")


def _refuse_another_draw(corpus: Corpus, folder: Path, files: Iterable[str]) -> None:
    """Refuse to fetch the official file where a manifest by hand describes another."""
    if "fetched" in (read_manifest(folder) or {}):
        return
    for file in files:
        recorded, official = _recorded(folder, file), _known(corpus, file).sha256
        if recorded and official and recorded != official:
            raise InputError(
                f"{folder / file}: not there. {folder / 'manifest.json'} describes it with sha256 "
                f"{recorded}, where the official file has {official}. Put that file there, or "
                "delete its entry from the manifest to fetch the official one."
            )


def _check(corpus: Corpus, folder: Path, file: str, path: Path, origin: str) -> dict[str, Any]:
    """Return the manifest's entry for `path`, which is about to become `file`."""
    known, recorded = _known(corpus, file), _recorded(folder, file)
    sha256, size = hash_file(path), path.stat().st_size
    if known.sha256 not in (None, sha256) or known.bytes not in (None, size):
        length = "" if known.bytes is None else f"{known.bytes:,} bytes"
        checksum = "" if known.sha256 is None else f"sha256 {known.sha256}"
        official = " and ".join(filter(None, (length, checksum)))
        raise WrongFile(
            f"{corpus.name}: {origin} gave {size:,} bytes with sha256 {sha256}, where the official "
            f"file has {official}. Nothing was kept; try again later."
        )
    if known.sha256 is None and recorded not in (None, sha256):
        raise WrongFile(
            f"{corpus.name}: {origin} gave a file with sha256 {sha256}, where the manifest in "
            f"{folder} records {recorded} for {file}: it has changed since. Nothing was kept; "
            "delete its entry from the manifest to take the new one."
        )
    rows = {"rows": known.rows} if known.rows and known.sha256 else {}
    return {"bytes": size, "sha256": sha256, **rows}


def _keep(folder: Path, file: str, temporary: Path, entry: Mapping[str, Any], origin: str) -> None:
    """Record `entry` in the manifest and give `temporary` its name.

    In this order a process that dies in between leaves an entry whose file is missing and will be
    fetched again, and never a file that nothing vouches for.
    """
    today = str(date.today())
    new: dict[str, Any] = {"note": f"Fetched {today} from {origin}.", "fetched": today, "files": {}}
    manifest = read_manifest(folder) or new
    if manifest["files"].get(file) != entry:
        manifest["files"][file] = entry
        write_text(folder / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False))
    os.replace(temporary, folder / file)


def _download(corpus: Corpus, folder: Path, urls: dict[str, str], parts: set[str]) -> None:
    """Download files; `parts` of archives stay beside the files that will be unpacked."""

    def keep(download: Download) -> None:
        entry = _check(corpus, folder, download.file, download.partial, download.url)
        if download.file in parts:
            os.replace(download.partial, folder / f"{download.file}{FETCHED}")
        else:
            _keep(folder, download.file, download.partial, entry, download.url.rpartition("/")[0])

    downloads = [
        Download(corpus.name, file, url, folder, _known(corpus, file)) for file, url in urls.items()
    ]
    download_all(downloads, keep, ATTEMPTS)


def _unpack(corpus: Corpus, folder: Path, archive: Archive, members: Sequence[str]) -> None:
    """Unpack `members`; an archive of our own is deleted, as it is when it was no good."""
    parts = [path for part in archive.files if (path := _whole(folder, part))]  # all of them
    ours = [path for path in parts if path.name.endswith(FETCHED)]
    unpacked: dict[str, Path] = {}
    try:
        unpacked = unpack(parts, folder, members)
        entries = {
            member: _check(corpus, folder, member, path, f"{parts[0]} ({member})")
            for member, path in unpacked.items()
        }
    except (ArchiveError, WrongFile) as error:
        for path in [*unpacked.values(), *ours]:
            path.unlink()
        lying = ", ".join(str(path) for path in parts if path not in ours)
        advice = f"Delete {lying} to fetch it anew" if lying else "It was deleted; try again later"
        raise InputError(f"{error} {advice}.") from error
    for member, path in unpacked.items():
        _keep(folder, member, path, entries[member], archive.files[0])
    for path in ours:
        path.unlink()


def _leftovers(corpus: Corpus, folder: Path) -> list[Path]:
    """Return what killed processes left beside files that are whole."""
    done = {file for file in corpus.file_names if "*" not in file and (folder / file).is_file()}
    parts = [part for a in corpus.archives if done.issuperset(a.members) for part in a.files]
    endings = (PARTIAL, f"{PARTIAL}.json", FETCHED, UNPACKED)
    paths = [folder / f"{file}{ending}" for file in [*done, *parts] for ending in endings]
    return [path for path in [*paths, *folder.glob(".manifest.json.*.partial")] if path.is_file()]


def _disk_message(error: OSError, folder: Path) -> str:
    place = error.filename or folder
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None), errno.EFBIG):
        free = shutil.disk_usage(folder).free
        return (
            f"{place}: no space left ({free:,} bytes are free). Make room and fetch again, which "
            "goes on where it stopped."
        )
    return f"{place}: cannot be read or written ({error.strerror or error})."
