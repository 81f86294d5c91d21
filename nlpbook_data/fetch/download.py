"""Download files: resumable, retried, a few at a time, refused where they cannot be right.

A file comes as ``X.partial``; ``X.partial.json`` beside it says which version of the server's file
that is, so that a later attempt, or process, continues that version and no other.
"""

import errno
import json
import logging
import math
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
from anyio.from_thread import start_blocking_portal
from tqdm.auto import tqdm

from nlpbook_data.corpora.declaration import RawFile
from nlpbook_data.errors import InputError, first_line

logger = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds without a byte
PATIENCE = 60.0  # the longest Retry-After that is waited for, in seconds
# Two hide the round trips between small files, and one transfer fills the line of a big one; more
# is what hosts such as GitHub answer with 429.
PER_HOST = 2
GAIN = 1 << 20  # bytes after which a connection that breaks counts as the first to do so

# Text packs 3 to 20 times, the worst markup 100 times; deflate itself ends at 1,032.
RATIO = 200
HARMLESS = 100_000_000  # bytes that no ratio makes a bomb
MOST = 20_000_000_000  # bytes of a file of which nothing is known

PARTIAL = ".partial"


class WrongFile(InputError):
    """A whole file, but not the one that it should be."""


@dataclass(frozen=True)
class Download:
    """A file of a corpus on its way to `folder`; `known` is what the official one is like."""

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

    def refused(self, what: str) -> InputError:
        """Return the error for an answer that is no use, `what` being what the address did."""
        return InputError(
            f"{self.corpus}: {self.url} {what}. Nothing was kept; try again later, or put the file "
            f"at {self.folder / self.file}."
        )


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
        keep: called with each when all of it is on disk, to check and rename it; one call at a
            time, not in the caller's thread. It may raise WrongFile.
        attempts: how many failures in a row are the end.

    Raises:
        InputError: the first error, which ends all downloads; what has come of those stays.
    """
    try:
        client = httpx.AsyncClient(
            follow_redirects=True,
            timeout=TIMEOUT,
            # ranges of a compressed answer would count its bytes, not the file's
            headers={"User-Agent": "nlpbook-data", "Accept-Encoding": "identity"},
        )
    except (ValueError, ImportError) as error:
        raise InputError(f"The proxy that the environment names is no use ({error}).") from error
    # An event loop in a thread of its own: a notebook's loop is in nobody's way, and Ctrl-C in this
    # thread ends at once even a download whose server says nothing.
    with start_blocking_portal() as portal:
        portal.call(_download_all, client, downloads, keep, attempts)


async def _download_all(
    client: httpx.AsyncClient,
    downloads: Sequence[Download],
    keep: Callable[[Download], None],
    attempts: int,
) -> None:
    hosts: defaultdict[str, anyio.Semaphore] = defaultdict(lambda: anyio.Semaphore(PER_HOST))
    one_at_a_time = anyio.CapacityLimiter(1)

    async def complete(download: Download) -> None:
        async with hosts[urlsplit(download.url).netloc]:
            for again in (True, False):
                continued = await _download(client, download, attempts)
                try:
                    _refuse_late(download)
                    await anyio.to_thread.run_sync(keep, download, limiter=one_at_a_time)
                    break
                except InputError as error:
                    download.discard()
                    if not (again and continued and isinstance(error, WrongFile)):
                        raise
                    logger.warning("%s: what had come before was not its start.", download.url)
            download.state.unlink(missing_ok=True)

    try:
        async with client, anyio.create_task_group() as group:
            for download in downloads:
                group.start_soon(complete, download)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0]  # noqa: B904  its cause is its own


async def _download(client: httpx.AsyncClient, download: Download, attempts: int) -> bool:
    """Complete the partial file; return whether some of it came from an earlier answer."""
    failures, best = 0, 0
    look = {"unit": "B", "unit_scale": True, "disable": None, "delay": 2, "leave": False}
    with tqdm(desc=download.file, **look) as bar:
        while True:
            try:
                return await _attempt(client, download, bar)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                have = download.partial.stat().st_size if download.partial.exists() else 0
                failures = 1 if have >= best + GAIN else failures + 1
                best = max(best, have)
                wait = _wait(error, failures)
                if failures >= attempts or wait > PATIENCE:
                    first = first_line(error)
                    long = PATIENCE < wait < math.inf
                    later = f" It asks to wait {wait:,.0f} seconds." if long else ""
                    raise InputError(
                        f"{download.corpus}: {download.url} could not be fetched ({first}).{later} "
                        f"Check the network, or put the file at {download.folder / download.file}."
                    ) from error
            await _pause(wait)


async def _pause(seconds: float) -> None:
    await anyio.sleep(seconds)


def _wait(error: Exception, failures: int) -> float:
    """Return the seconds until it makes sense to ask again: infinite where it never will."""
    asked = 0.0
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects)):
        return math.inf
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status < 500 and status not in (408, 425, 429):
            return math.inf
        value = error.response.headers.get("Retry-After", "").strip()
        with suppress(ValueError, TypeError):  # it says nothing sensible
            date = None if value.isdigit() else parsedate_to_datetime(value)
            asked = (date - datetime.now(UTC)).total_seconds() if date else float(value)
    return max(2.0 ** (failures - 1), asked)


async def _attempt(client: httpx.AsyncClient, download: Download, bar: tqdm) -> bool:
    """Append what is missing to the partial file; return whether older bytes were used."""
    version, have = _begun(download)
    if have and version.total == have:
        return True  # the process was killed between the last byte and the rename
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and version.validator:
        headers["If-Range"] = version.validator
    async with client.stream("GET", download.url, headers=headers) as response:
        for step in (*response.history, response):
            if download.url.startswith("https:") and step.url.scheme != "https":
                raise download.refused(f"leads to an address without https, {step.url}")
        continued = have > 0 and response.status_code in (206, 416)
        if continued and not _continues(response, have, version):
            download.discard()
            raise httpx.RemoteProtocolError("what had come is not the start of what is there")
        response.raise_for_status()
        if response.status_code != (206 if continued else 200):
            raise httpx.RemoteProtocolError(f"status {response.status_code} was not asked for")
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding not in ("identity", "gzip", "x-gzip", "deflate"):  # such as gzip in gzip
            raise download.refused(f"packs the file by {encoding}, which was not asked for")
        # a .gz that the server calls gzip-encoded is wanted as it is
        raw = not _is_encoded(response) or bool(re.search(r"\.t?gz[a-z]{0,2}$", download.file))
        have = have if continued else 0
        given = response.headers.get("Content-Range" if continued else "Content-Length", "")
        length = given.rpartition("/")[2]
        total = int(length) if raw and length.isdigit() else None
        _refuse_early(download, response, total)
        if total is not None:
            check_space(download.folder, total - have)
        if not continued:
            _begin(download, response, total, raw)
        bar.reset(total)
        bar.update(have)
        with download.partial.open("ab") as stream:
            async for chunk in response.aiter_raw() if raw else response.aiter_bytes():
                stream.write(chunk)
                have += len(chunk)
                bar.update(len(chunk))
                _refuse_excess(download, have, 0 if raw else response.num_bytes_downloaded)
            stream.flush()
            os.fsync(stream.fileno())
        if total is not None and have < total:  # a server may send less than the range asked for
            raise httpx.RemoteProtocolError(f"{have:,} of {total:,} bytes came")
        told = total is not None or not raw or "Transfer-Encoding" in response.headers
        if not told and download.known.bytes is None and download.known.sha256 is None:
            text = "%s did not say how long it is: the %d bytes that came are taken to be all."
            logger.warning(text, download.url, have)
    return continued


def check_space(folder: Path, size: int) -> None:
    """Raise the OSError of a full disk where `folder` has no room for `size` more bytes."""
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


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
    given = response.headers.get("Content-Range", "").strip()
    same = re.fullmatch(rf"bytes {have}-\d+/({version.total or r'[0-9]+'}|\*)", given)
    if not same or response.status_code != 206 or _is_encoded(response):
        return False
    if version.etag and response.headers.get("ETag") != version.etag:
        return False
    # a server that was asked If-Range may leave the date out
    return response.headers.get("Last-Modified", version.last_modified) == version.last_modified


def _is_encoded(response: httpx.Response) -> bool:
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"


def _refuse_early(download: Download, response: httpx.Response, total: int | None) -> None:
    """Refuse by its headers an answer that need not be read to be wrong."""
    known = download.known.bytes
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    wrong = None not in (total, known) and total != known
    if kind in ("text/html", "application/xhtml+xml") and (wrong or not download.known.sha256):
        _refuse_page(download)
    if wrong:
        raise download.refused(f"gave {total:,} bytes, where the official file has {known:,} bytes")


def _refuse_excess(download: Download, have: int, packed: int) -> None:
    """Refuse more bytes than the file can have; `packed` came, where they were unpacked."""
    known, what = download.known.bytes, ""
    if known is not None and have > known:
        what = f"gave more than the {known:,} bytes of the official file"
    elif have > MOST:
        what = f"gave more than {MOST:,} bytes, as no corpus has"
    elif packed and have > max(HARMLESS, RATIO * packed):
        what = f"gave {have:,} bytes that had been packed into {packed:,}, as bombs are"
    if what:
        download.discard()
        raise download.refused(what)


def _refuse_late(download: Download) -> None:
    """Refuse a page that came in place of a file, and an answer with nothing in it."""
    with download.partial.open("rb") as stream:
        head = stream.read(1024)
    if not head and download.known.bytes != 0:
        raise download.refused("gave an empty file")
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith(b"<") and (b"<!doctype html" in head or b"<html" in head):
        _refuse_page(download)


def _refuse_page(download: Download) -> None:
    if not download.file.lower().endswith((".html", ".htm", ".xhtml")):
        raise download.refused(
            f"answered with an HTML page instead of {download.file} (to log in, about a quota, or "
            "about a scan for viruses?)"
        )
