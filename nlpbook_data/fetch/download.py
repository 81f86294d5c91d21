"""Download files: resumable, retried, a few at a time, refused where they cannot be right.

A file comes as ``X.partial``; ``X.partial.json`` beside it says which version of the server's file
that is, so that a later attempt, or process, continues that version and no other.
"""

import errno
import json
import logging
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from tqdm.auto import tqdm

from nlpbook_data.corpora.declaration import RawFile
from nlpbook_data.errors import InputError

logger = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds without a byte
PATIENCE = 60.0  # the longest Retry-After that is waited for, in seconds
# Two hide the round trips between small files, and one transfer fills the line of a big one; more
# is what hosts such as GitHub answer with 429.
PER_HOST = 2
GAIN = 1 << 20  # bytes after which a connection that breaks counts as the first to do so

PARTIAL = ".partial"


class WrongFile(InputError):
    """A whole file, but not the one that it should be."""


class _Stopped(Exception):
    """Another download failed, or the user does not want to wait."""


class _StartAgain(Exception):
    """What had come is not the beginning of what the server has, and was deleted."""


@dataclass(frozen=True)
class Download:
    """A file on its way.

    Attributes:
        corpus: the corpus' name, for messages.
        file: its name in the corpus.
        url: where it comes from.
        folder: where it goes.
        known: what the official one is like.
    """

    corpus: str
    file: str
    url: str
    folder: Path
    known: RawFile

    @property
    def partial(self) -> Path:
        return self.folder / f"{self.file}{PARTIAL}"

    @property
    def state(self) -> Path:
        return self.folder / f"{self.file}{PARTIAL}.json"

    def discard(self) -> None:
        """Forget what has come."""
        self.partial.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Version:
    """Which version of the server's file the bytes of a partial file are from."""

    url: str
    etag: str | None = None
    last_modified: str | None = None
    total: int | None = None

    @property
    def validator(self) -> str | None:
        """What If-Range takes: an ETag that promises equal bytes, else the date."""
        strong = self.etag and not self.etag.startswith("W/")
        return self.etag if strong else self.last_modified


def download_all(
    downloads: Sequence[Download], keep: Callable[[Download], None], attempts: int
) -> None:
    """Complete the partial files of `downloads`, two of each host at once.

    Args:
        downloads: what is to come.
        keep: called with each when all of it is on disk, to check and rename it, in its thread;
            it may raise WrongFile.
        attempts: how many failures in a row are the end.

    Raises:
        InputError: the first error, which ends all downloads; what has come of those stays.
    """
    stop, taking = threading.Event(), threading.Lock()
    queues: dict[str, deque[Download]] = {}
    for download in downloads:
        queues.setdefault(urlsplit(download.url).netloc, deque()).append(download)
    errors: list[BaseException] = []
    try:
        client = httpx.Client(
            follow_redirects=True,
            timeout=TIMEOUT,
            # ranges of a compressed answer would count its bytes, not the file's
            headers={"User-Agent": "nlpbook-data", "Accept-Encoding": "identity"},
        )
    except (ValueError, ImportError) as error:
        raise InputError(f"The proxy that the environment names is no use ({error}).") from error

    def work(queue: deque[Download]) -> None:
        try:
            while not stop.is_set():
                with taking:
                    download = queue.popleft() if queue else None
                if download is None:
                    return
                _complete(client, download, keep, attempts, stop)
        except _Stopped:
            pass
        except BaseException as error:
            errors.append(error)
            stop.set()

    with client:
        threads = [
            threading.Thread(target=work, args=(queue,), daemon=True)
            for queue in queues.values()
            for _ in range(min(PER_HOST, len(queue)))
        ]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not stop.wait(0.02):
                pass
        finally:
            stop.set()
            for thread in threads:
                thread.join(2)  # one that still waits for its server writes nothing any more
    if errors:
        raise errors[0]


def _complete(
    client: httpx.Client,
    download: Download,
    keep: Callable[[Download], None],
    attempts: int,
    stop: threading.Event,
) -> None:
    try:
        for last in (False, True):
            continued = _download(client, download, attempts, stop)
            try:
                _refuse_page(download)
                if stop.is_set():
                    raise _Stopped
                keep(download)
                break
            except InputError as error:
                download.discard()
                if last or not (continued and isinstance(error, WrongFile)):
                    raise
                logger.warning("%s: what had come before was not its beginning.", download.url)
        download.state.unlink(missing_ok=True)
    except OSError as error:
        error.filename = error.filename or str(download.partial)
        raise


def _download(
    client: httpx.Client, download: Download, attempts: int, stop: threading.Event
) -> bool:
    """Complete the partial file; return whether some of it came from an earlier answer."""
    failures, best = 0, 0
    bar = tqdm(
        **{"unit": "B", "unit_scale": True, "disable": None, "delay": 2, "leave": False},
        desc=download.file,
    )
    with bar:
        while True:
            try:
                return _attempt(client, download, bar, stop)
            except _StartAgain:
                continue
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                have = download.partial.stat().st_size if download.partial.exists() else 0
                failures = 1 if have >= best + GAIN else failures + 1
                best = max(best, have)
                wait = max(2.0 ** (failures - 1), _retry_after(error))
                if _is_final(error) or failures >= attempts or wait > PATIENCE:
                    first = (str(error) or type(error).__name__).splitlines()[0]
                    later = f" It asks to wait {wait:,.0f} seconds." if wait > PATIENCE else ""
                    raise InputError(
                        f"{download.corpus}: {download.url} could not be fetched ({first}).{later} "
                        f"Check the network, or put the file at {download.folder / download.file}."
                    ) from error
            _pause(stop, wait)


def _pause(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise _Stopped


def _is_final(error: Exception) -> bool:
    """Whether asking again is no use: nearly all of 4xx, and addresses that are none."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return status < 500 and status not in (408, 425, 429)
    return isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects))


def _retry_after(error: Exception) -> float:
    """Return the seconds that the server asks to wait, 0 where it says nothing sensible."""
    value = ""
    if isinstance(error, httpx.HTTPStatusError):
        value = error.response.headers.get("Retry-After", "").strip()
    try:
        if value.isdigit():
            return float(value)
        return (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def _attempt(client: httpx.Client, download: Download, bar: tqdm, stop: threading.Event) -> bool:
    """Append what is missing to the partial file; return whether older bytes were used."""
    version, have = _begun(download)
    if have and version.total == have:
        return True  # the process was killed between the last byte and the rename
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and version.validator:
        headers["If-Range"] = version.validator
    with client.stream("GET", download.url, headers=headers) as response:
        if stop.is_set():
            raise _Stopped
        if have and response.status_code in (206, 416) and not _continues(response, have, version):
            download.discard()
            raise _StartAgain
        response.raise_for_status()
        have = have if response.status_code == 206 else 0
        if response.status_code not in (200, 206) or (response.status_code == 206 and not have):
            raise httpx.RemoteProtocolError(f"status {response.status_code} to a plain request")
        # a .gz that the server calls gzip-encoded is wanted as it is
        raw = not _is_encoded(response) or re.search(r"\.t?gz[a-z]{0,2}$", download.file)
        total = _total(response, have) if raw else None
        _refuse_early(download, response, total)
        if total is not None and total - have > shutil.disk_usage(download.folder).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(download.partial))
        if not have:
            _begin(download, response, total, bool(raw))
        bar.reset(total)
        bar.update(have)
        size = have
        with download.partial.open("ab") as stream:
            for chunk in response.iter_raw() if raw else response.iter_bytes():
                if stop.is_set():
                    raise _Stopped
                stream.write(chunk)
                size += len(chunk)
                bar.update(len(chunk))
                if download.known.bytes is not None and size > download.known.bytes:
                    download.discard()
                    raise _wrong_size(download, f"more than {download.known.bytes:,} bytes")
            stream.flush()
            os.fsync(stream.fileno())
        if total is not None and size < total:  # a server may send less than the range asked for
            raise httpx.RemoteProtocolError(f"{size:,} of {total:,} bytes came")
        if raw and total is None and "Transfer-Encoding" not in response.headers:
            if download.known.bytes is None and download.known.sha256 is None:
                logger.warning(
                    "%s did not say how long it is: the %d bytes that came are taken to be all.",
                    *(download.url, size),
                )
    return have > 0


def _begun(download: Download) -> tuple[_Version, int]:
    """Return what is known of the partial file, and its length: 0 where it cannot be continued."""
    try:
        version = _Version(**json.loads(download.state.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # killed before it was written, or of another make
        version = _Version(download.url)
    if version.total is None:
        version = replace(version, total=download.known.bytes)
    have = download.partial.stat().st_size if download.partial.is_file() else 0
    # without a validator only the checksum tells whether old and new bytes belong together
    safe = version.url == download.url and (version.validator or download.known.sha256)
    if have and (not safe or (version.total is not None and have > version.total)):
        download.discard()
        return _Version(download.url), 0
    return version, have


def _begin(download: Download, response: httpx.Response, total: int | None, raw: bool) -> None:
    """Empty the partial file, then note which version will come: never the other way round."""
    download.partial.parent.mkdir(parents=True, exist_ok=True)
    download.partial.open("wb").close()
    headers = response.headers if raw else {}
    version = _Version(download.url, headers.get("ETag"), headers.get("Last-Modified"), total)
    download.state.write_text(json.dumps(asdict(version)), encoding="utf-8")


def _continues(response: httpx.Response, have: int, version: _Version) -> bool:
    """Whether the answer goes on at byte `have` of the version that the partial file is from."""
    asked = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
    )
    if response.status_code != 206 or asked is None or int(asked[1]) != have:
        return False
    if version.total is not None and asked[2] not in ("*", str(version.total)):
        return False
    if version.etag and response.headers.get("ETag") != version.etag:
        return False
    # a server that was asked If-Range may leave the date out
    date = response.headers.get("Last-Modified", version.last_modified)
    return date == version.last_modified and not _is_encoded(response)


def _is_encoded(response: httpx.Response) -> bool:
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"


def _total(response: httpx.Response, have: int) -> int | None:
    """Return the length of the whole file, where the answer tells it."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    if response.status_code == 206 and total != "*":
        return int(total)
    length = response.headers.get("Content-Length")
    return None if length is None else have + int(length)


def _refuse_early(download: Download, response: httpx.Response, total: int | None) -> None:
    """Refuse by its headers an answer that need not be read to be wrong."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    wrong = None not in (total, download.known.bytes) and total != download.known.bytes
    if kind in ("text/html", "application/xhtml+xml") and not _may_be_page(download.file):
        if wrong or download.known.sha256 is None:
            raise _page(download)
    if wrong:
        raise _wrong_size(download, f"{total:,} bytes")


def _wrong_size(download: Download, given: str) -> InputError:
    return InputError(
        f"{download.corpus}: {download.url} gave {given}, where the official file has "
        f"{download.known.bytes:,} bytes. Nothing was kept; try again later, or put the file at "
        f"{download.folder / download.file}."
    )


def _refuse_page(download: Download) -> None:
    """Refuse a page that came in place of a file, and an answer with nothing in it."""
    with download.partial.open("rb") as stream:
        head = stream.read(1024)
    if not head and download.known.bytes != 0:
        raise InputError(
            f"{download.corpus}: {download.url} gave an empty file. Nothing was kept; try again "
            f"later, or put the file at {download.folder / download.file}."
        )
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith(b"<") and (b"<!doctype html" in head or b"<html" in head):
        if not _may_be_page(download.file):
            raise _page(download)


def _may_be_page(file: str) -> bool:
    return file.lower().endswith((".html", ".htm", ".xhtml"))


def _page(download: Download) -> InputError:
    return InputError(
        f"{download.corpus}: {download.url} answered with an HTML page instead of {download.file} "
        "(to log in, about a quota, or about a scan for viruses?). Nothing was kept. Open the "
        f"address in a browser and put the file at {download.folder / download.file}."
    )
