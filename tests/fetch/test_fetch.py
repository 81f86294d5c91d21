"""Downloads from a loopback server that misbehaves as real ones do."""

import asyncio
import dataclasses
import hashlib
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import partial
from pathlib import Path

import pytest
from datasets import DatasetDict
from loopback import PAGE, Server, serve
from made_up import left, made_up

from nlpbook_data import Corpus, InputError, load_corpus
from nlpbook_data.corpora import nsmc_raw
from nlpbook_data.corpora.declaration import RawFile, Split
from nlpbook_data.data.corpus import find_corpus, find_splits, list_corpora
from nlpbook_data.fetch.corpus_files import ATTEMPTS, fetch_corpus

TEXTS = [f"{number}번째 줄의 글" for number in range(5000)]
CONTENT = "".join(f"{text}\n" for text in TEXTS).encode()
OTHER = CONTENT.replace("글".encode(), "말".encode())  # as long
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = f"bytes={len(CONTENT) // 2}-"
FILE = "texts.txt"
ETAG = {"ETag": '"1"'}
DATE = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(content=CONTENT) as state:
        yield state


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a download would have slept."""
    slept: list[float] = []

    async def pause(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("nlpbook_data.fetch.download._pause", pause)
    return slept


def corpus(url: str, known: bool = True, files: tuple[str, ...] = (FILE,)) -> Corpus:
    raw = RawFile(bytes=len(CONTENT), sha256=SHA256, rows=len(TEXTS))
    return made_up(url, files, files=dict.fromkeys(files, raw) if known else {})


def fetch(server: Server, folder: Path, known: bool = True) -> None:
    fetch_corpus(corpus(server.url, known), folder, [FILE])


def read_manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def assert_fetched(folder: Path, content: bytes = CONTENT) -> None:
    assert (folder / FILE).read_bytes() == content
    assert left(folder) == {FILE, "manifest.json"}
    assert read_manifest(folder)["files"][FILE]["sha256"] == hashlib.sha256(content).hexdigest()


# What a server may do


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("script", "pauses"),
    [
        *((how, []) for how in ("ranges", "no ranges", "gzip", "no length", "chunked")),
        *((how, []) for how in ("always gzip", "redirect")),
        *((f"{status},{status},ranges", [1, 2]) for status in (500, 503, 429, 408)),
        ("cut no ranges,no ranges", [1]),
        ("chunked cut,chunked", [1]),
        ("206,ranges", [1]),
    ],
)
def test_the_file_comes_in_the_end(server, tmp_path, naps, script, pauses, known):
    server.script = script.split(",")
    fetch(server, tmp_path / "new" / "folder", known)
    assert_fetched(tmp_path / "new" / "folder")
    assert naps == pauses
    assert server.requests[0] == (f"/{FILE}", None)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("how", "requests", "message"),
    [
        *((status, 1, status) for status in ("404", "403", "410", "416", "304")),
        *((status, ATTEMPTS, status) for status in ("500", "503", "204", "206")),
        ("cut no ranges", ATTEMPTS, "closed"),
        ("chunked cut", ATTEMPTS, "closed"),
        ("redirect for ever", 21, "redirect"),
        ("hang", ATTEMPTS, "ReadTimeout"),
        ("deaf", ATTEMPTS, "ReadTimeout"),
    ],
)
def test_a_server_that_is_no_use_is_given_up_soon(
    server, tmp_path, naps, monkeypatch, how, requests, message, known
):
    monkeypatch.setattr("nlpbook_data.fetch.download.TIMEOUT", 0.2)
    server.script = [how]
    with pytest.raises(InputError, match=f"could not be fetched.*{message}") as raised:
        fetch(server, tmp_path, known)
    for part in (f"{server.url}/{FILE}", "Check the network", str(tmp_path / FILE)):
        assert part in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(server.requests) == requests
    assert naps == ([1, 2, 4] if requests == ATTEMPTS else [])
    assert left(tmp_path) <= {f"{FILE}.partial", f"{FILE}.partial.json"}


OF_ANOTHER = f"official file.*{len(CONTENT):,} bytes|of the official"
# what the server does, with which content, whether the official file is known; what is said
REFUSED = [
    # of an official file already the length is wrong
    *(
        (how, content, known, f"{said}|official file has" if known else said)
        for how, content, said in [
            ("page", CONTENT, "HTML page instead"),
            ("page as text", b"\xef\xbb\xbf \n" + PAGE, "HTML page instead"),
            ("ranges", b"", "empty file"),
        ]
        for known in (True, False)
    ),
    *(
        (how, content, True, OF_ANOTHER)
        for how in ("ranges", "chunked")
        for content in (CONTENT[::-1], CONTENT[1:], CONTENT + b"more")
    ),
    ("no length", CONTENT * 100, True, "more than the .* bytes of the official file"),
    ("always gzip", bytes(50_000_000), True, "more than the .* of the official file"),
    ("always gzip", bytes(50_000_000), False, "packed into .*, as bombs are"),
    ("gzip in gzip", CONTENT, False, "packs the file by gzip, gzip, which was not asked for"),
]


@pytest.mark.parametrize(("how", "content", "known", "message"), REFUSED)
def test_what_is_not_the_file_is_refused(
    server, tmp_path, monkeypatch, how, content, known, message
):
    monkeypatch.setattr("nlpbook_data.fetch.download.HARMLESS", 1_000_000)
    server.script, server.content = [how], content
    server.pause = 0.01 if how == "no length" else 0
    with pytest.raises(InputError, match=message) as raised:
        fetch(server, tmp_path, known)
    assert server.url in str(raised.value)
    assert left(tmp_path) == set()
    assert len(server.requests) == 1  # it is not asked again


@pytest.mark.parametrize("how", ["ranges", "no length", "chunked", "always gzip"])
def test_a_file_of_which_nothing_is_known_has_a_limit_too(server, tmp_path, monkeypatch, how):
    monkeypatch.setattr("nlpbook_data.fetch.download.MOST", len(CONTENT) - 1)
    server.script = [how]
    with pytest.raises(InputError, match=f"more than {len(CONTENT) - 1:,} bytes, as no corpus has"):
        fetch(server, tmp_path, known=False)
    assert left(tmp_path) == set()


def test_the_official_file_is_taken_even_if_it_is_called_html(server, tmp_path):
    server.script = ["html type"]
    with pytest.raises(InputError, match="HTML page"):
        fetch(server, tmp_path, known=False)
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


def test_a_corpus_of_pages_may_be_pages(server, tmp_path):
    server.script = ["page"]
    fetch_corpus(corpus(server.url, False, ("page.html",)), tmp_path, ["page.html"])
    assert (tmp_path / "page.html").read_bytes() == PAGE


def test_an_unknown_length_is_mentioned(server, tmp_path, caplog):
    server.script = ["no length"]
    with caplog.at_level(logging.WARNING):
        fetch(server, tmp_path, known=False)
    assert "did not say how long it is" in caplog.text


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's certificate for the loopback address, made for this session, and its file."""
    folder = tmp_path_factory.mktemp("tls")
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    name = "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    command = [*request.split(), *name.split(), "-keyout", "key.pem", "-out", "certificate.pem"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context, folder / "certificate.pem"


def test_a_redirection_from_https_to_http_is_refused(server, tmp_path, naps, monkeypatch, tls):
    context, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(context, content=CONTENT, script=["redirect"]) as safe:
        fetch(safe, tmp_path / "safe")
        assert_fetched(tmp_path / "safe")
        safe.requests.clear()
        safe.elsewhere = f"{server.url}/{FILE}"
        with pytest.raises(InputError, match=f"without https, {safe.elsewhere}"):
            fetch(safe, tmp_path / "unsafe")
    assert not (tmp_path / "unsafe").exists()
    assert naps == []


def test_without_a_network_the_message_comes_after_seconds(tmp_path, naps):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens here
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(InputError, match="Check the network"):
            fetch_corpus(corpus(url), tmp_path, [FILE])
    assert naps == [1, 2, 4]
    assert left(tmp_path) == set()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "nonsense", "http://"])
def test_an_address_that_is_none_is_an_error(tmp_path, naps, url):
    with pytest.raises(InputError, match="could not be fetched"):
        fetch_corpus(corpus(url), tmp_path, [FILE])
    assert naps == []


def test_a_proxy_that_cannot_be_is_an_error(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "nonsense://nowhere")
    with pytest.raises(InputError, match="proxy"):
        fetch(server, tmp_path)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("7", 7, 7), ("soon", 1, 1), ("-5", 1, 1), ("in 20 seconds", 15, 20), ("0", 1, 1)],
)
def test_a_busy_server_is_left_alone_as_long_as_it_asks(server, tmp_path, naps, value, least, most):
    if value == "in 20 seconds":
        value = formatdate(time.time() + 20, usegmt=True)
    server.script, server.headers = ["429", "ranges"], {"Retry-After": value}
    fetch(server, tmp_path)
    assert_fetched(tmp_path)
    assert len(naps) == 1
    assert least <= naps[0] <= most


def test_a_server_that_asks_for_an_hour_is_not_waited_for(server, tmp_path, naps):
    server.script, server.headers = ["429"], {"Retry-After": "3600"}
    with pytest.raises(InputError, match="asks to wait 3,600 seconds"):
        fetch(server, tmp_path)
    assert naps == []


# Resuming: never two versions of a file in one


def break_off(server: Server, folder: Path, known: bool = False) -> None:
    """Leave half of a download in `folder`, as a process that was killed does."""
    server.script = ["cut", "404"]
    with pytest.raises(InputError, match="could not be fetched"):
        fetch(server, folder, known)
    server.requests.clear()
    server.conditions.clear()
    assert left(folder) == {f"{FILE}.partial", f"{FILE}.partial.json"}
    assert (folder / f"{FILE}.partial").stat().st_size == len(server.content) // 2


@pytest.mark.parametrize("headers", [ETAG, DATE, {}])
def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path, naps, headers):
    server.script, server.headers = ["cut", "cut", "ranges"], headers
    fetch(server, tmp_path, known=not headers)
    assert_fetched(tmp_path)
    starts = [int(asked.strip("bytes=-")) for _, asked in server.requests[1:]]
    assert 0 < starts[0] < starts[1] < len(CONTENT)


@pytest.mark.parametrize("headers", [ETAG, DATE])
def test_a_later_process_continues_what_came_and_names_its_version(server, tmp_path, naps, headers):
    server.headers = headers
    break_off(server, tmp_path)
    server.script = ["ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert server.requests == [(f"/{FILE}", HALF)]
    assert server.conditions == list(headers.values())


@pytest.mark.parametrize("content", [OTHER, CONTENT + b"more\n", CONTENT[:100]])
@pytest.mark.parametrize("how", ["ranges", "stale ranges", "mute", "no ranges", "other range"])
@pytest.mark.parametrize(
    ("old", "new"),
    [(ETAG, {"ETag": '"2"'}), (DATE, {"Last-Modified": "Thu, 22 Oct 2015 07:28:00 GMT"})],
)
def test_a_file_that_changed_on_the_server_is_never_glued_together(
    server, tmp_path, naps, how, old, new, content
):
    server.headers = old
    break_off(server, tmp_path)
    server.headers, server.content, server.script = new, content, [how]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path, content)


@pytest.mark.parametrize(
    ("headers", "state"),
    [
        *(({}, None), ({"ETag": 'W/"1"'}, None)),
        *((ETAG, state) for state in ("", "{", "[]", '{"url": 1}', '{"other": 2}')),
        (ETAG, '{"url": "other", "etag": "1"}'),
    ],
)
def test_without_a_version_or_a_checksum_nothing_is_continued(
    server, tmp_path, naps, headers, state
):
    server.headers = headers
    break_off(server, tmp_path, known=state is None)
    if state is not None:  # a note of another version
        (tmp_path / f"{FILE}.partial.json").write_text(state)
    server.content, server.script = OTHER, ["stale ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path, OTHER)
    assert server.requests == [(f"/{FILE}", None)]


@pytest.mark.parametrize(
    ("partial", "how", "requests"),
    [
        (CONTENT[:1000], "ranges", ["bytes=1000-"]),
        (CONTENT[:1000], "gzip", ["bytes=1000-"]),
        (CONTENT[:1000], "no ranges", ["bytes=1000-"]),
        (CONTENT, "ranges", []),
        (CONTENT + b"more", "ranges", [None]),
        (b"x" * 1000, "ranges", ["bytes=1000-", None]),
        (b"x" * len(CONTENT), "ranges", [None]),
    ],
)
def test_a_checksum_alone_is_enough_to_continue(server, tmp_path, partial, how, requests):
    (tmp_path / f"{FILE}.partial").write_bytes(partial)
    server.script = [how]
    fetch(server, tmp_path)
    assert_fetched(tmp_path)
    assert [asked for _, asked in server.requests] == requests


def test_a_download_that_lacked_only_its_rename_needs_no_request(server, tmp_path, naps):
    server.headers = ETAG
    break_off(server, tmp_path)
    (tmp_path / f"{FILE}.partial").write_bytes(CONTENT)
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert server.requests == []


def test_a_server_that_refuses_every_range_is_asked_for_all_of_it(server, tmp_path, naps):
    server.headers = ETAG
    break_off(server, tmp_path)
    server.script = ["416", "ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert [asked for _, asked in server.requests] == [HALF, None]


def test_a_page_does_not_cost_what_had_come_before(server, tmp_path, naps):
    server.headers = ETAG
    break_off(server, tmp_path)
    server.script = ["page", "ranges"]
    with pytest.raises(InputError, match="HTML page"):
        fetch(server, tmp_path, known=False)
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert server.requests[1] == (f"/{FILE}", HALF)


def test_a_long_file_over_a_bad_line_comes_in_the_end(server, tmp_path, naps):
    """As long as megabytes come, a broken connection is not a failed attempt."""
    server.content, server.headers = os.urandom(1 << 20) * 64, ETAG
    server.script = ["cut"] * (ATTEMPTS + 1) + ["ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path, server.content)
    assert set(naps) == {1}


# Several files

MANY = tuple(f"part{number}/texts.txt" for number in range(8))


def test_files_come_two_at_a_time_from_one_host_into_their_folders(server, tmp_path):
    server.pause, server.block = 0.02, len(CONTENT) // 4
    fetch_corpus(corpus(server.url, files=MANY), tmp_path, MANY)
    assert {(tmp_path / file).read_bytes() for file in MANY} == {CONTENT}
    assert server.most == 2
    assert set(read_manifest(tmp_path)["files"]) == set(MANY)


def test_files_of_two_hosts_come_at_the_same_time(tmp_path):
    both = threading.Barrier(2, timeout=10)
    with serve(content=CONTENT) as one, serve(content=CONTENT) as two:
        one.spy = two.spy = both.wait  # each answers only while the other does
        urls = {"a.txt": f"{one.url}/a.txt", "b.txt": f"{two.url}/b.txt"}
        pair = corpus("", files=("a.txt", "b.txt"))
        fetch_corpus(dataclasses.replace(pair, urls=lambda: urls), tmp_path, urls)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes() == CONTENT


def test_the_first_error_ends_all_downloads_and_what_was_whole_stays(server, tmp_path, naps):
    server.script = ["ranges", "ranges", "404"]
    with pytest.raises(InputError, match="404"):
        fetch_corpus(corpus(server.url, files=MANY), tmp_path, MANY)
    assert len(server.requests) <= 4
    whole = {file for file in MANY if (tmp_path / file).exists()}
    assert {(tmp_path / file).read_bytes() for file in whole} <= {CONTENT}
    assert set(read_manifest(tmp_path)["files"]) == whole != set()
    assert not [path for path in tmp_path.glob("part*") if not any(path.iterdir())]


# Disks


def test_a_file_appears_only_when_it_is_whole(server, tmp_path):
    seen = []
    server.spy = lambda: seen.append((tmp_path / FILE).exists())
    fetch(server, tmp_path)
    assert seen == [False]


def test_a_file_that_does_not_fit_is_refused_before_it_comes(server, tmp_path, monkeypatch):
    usage = types.SimpleNamespace(free=len(CONTENT) - 1)
    monkeypatch.setattr("nlpbook_data.fetch.download.shutil.disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=f"no space left.*{len(CONTENT) - 1:,} bytes are free"):
        fetch(server, tmp_path)
    assert left(tmp_path) == set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, the device always full")
@pytest.mark.parametrize("how", ["ranges", "no length"])
def test_a_disk_that_fills_is_said_and_nothing_gets_the_files_name(server, tmp_path, how):
    server.script = [how]
    (tmp_path / f"{FILE}.partial").symlink_to("/dev/full")
    with pytest.raises(InputError, match=f"{tmp_path}: no space left"):
        fetch(server, tmp_path)
    assert not {FILE, "manifest.json"} & left(tmp_path)
    (tmp_path / f"{FILE}.partial").unlink()
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/made-up: cannot be made.*--corpus_dir"):
        fetch(server, tmp_path / "file" / "made-up")


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_folder_that_may_not_be_written_to_is_an_error_that_names_it(server):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        drop = "os.getuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534))"
        process = start_fetch(server.url, folder, before=drop)
        _, errors = process.communicate(timeout=60)
    last = errors.splitlines()[-1]
    assert f"InputError: {folder}: cannot be written to (Permission denied)" in last
    assert "--corpus_dir" in last
    assert server.requests == []


# Manifests


def test_a_file_is_vouched_for_in_a_manifest(server, tmp_path):
    fetch(server, tmp_path)
    manifest = read_manifest(tmp_path)
    entry = {"bytes": len(CONTENT), "sha256": SHA256, "rows": len(TEXTS)}
    assert manifest["files"] == {FILE: entry}
    assert server.url in manifest["note"]
    assert time.strptime(manifest["fetched"], "%Y-%m-%d")


def test_a_manifest_by_hand_keeps_what_it_says(server, tmp_path):
    by_hand = {"note": "by hand", "more": [1], "files": {"other.txt": {"sha256": "0"}}}
    (tmp_path / "manifest.json").write_text(json.dumps(by_hand))
    fetch(server, tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest["files"].pop(FILE)["sha256"] == SHA256
    assert manifest == by_hand


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": 3}', b"\xff\xfe"])
def test_a_broken_manifest_is_an_error_before_anything_is_fetched(server, tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match="manifest.json: not a manifest"):
        fetch(server, tmp_path)
    assert server.requests == []


def test_a_fetched_manifest_leaves_no_split_out(server, tmp_path):
    splits = {"train": Split("a", files=("a.txt",)), "test": Split("b", files=("b.txt",))}
    pair = dataclasses.replace(corpus(server.url, files=("a.txt", "b.txt")), splits=splits)
    fetch_corpus(pair, tmp_path / "made-up", ["a.txt"])
    assert find_splits(pair, tmp_path) == ["train", "test"]


def test_a_file_without_an_official_checksum_is_compared_with_the_first_one(server, tmp_path):
    fetch(server, tmp_path, known=False)
    (tmp_path / FILE).unlink()
    server.content = OTHER
    with pytest.raises(InputError, match=f"{SHA256}.*it has changed since"):
        fetch(server, tmp_path, known=False)
    assert left(tmp_path) == {"manifest.json"}
    server.content = CONTENT
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)


def test_a_manifest_by_hand_that_describes_another_file_is_not_overruled(server, tmp_path):
    """The official train beside another draw's test would leak from one into the other."""
    by_hand = json.dumps({"files": {FILE: {"sha256": "0" * 64}}})
    (tmp_path / "manifest.json").write_text(by_hand)
    with pytest.raises(InputError, match=f"{'0' * 64}.*{SHA256}.*Put that file there"):
        fetch(server, tmp_path)
    assert server.requests == []
    assert (tmp_path / "manifest.json").read_text() == by_hand


def test_rows_are_promised_only_of_the_official_file(server, tmp_path):
    loose = dataclasses.replace(corpus(server.url), files={FILE: RawFile(rows=len(TEXTS))})
    fetch_corpus(loose, tmp_path, [FILE])
    assert read_manifest(tmp_path)["files"][FILE] == {"bytes": len(CONTENT), "sha256": SHA256}


# What comes by hand, what is there


@pytest.mark.parametrize("file", [FILE, "*.json"])
@pytest.mark.parametrize("by_hand", ["Apply at example.kr.", ""])
def test_a_corpus_by_hand_says_where_to_get_it_and_what_goes_where(tmp_path, file, by_hand):
    lone = dataclasses.replace(corpus("", files=(file,)), urls=None, by_hand=by_hand)
    with pytest.raises(InputError) as raised:
        fetch_corpus(lone, tmp_path / "made-up", [file])
    advice = by_hand or "Get it from https://example.org"
    for part in (str(tmp_path / "made-up" / file), advice, "no such file"):
        assert part in str(raised.value)
    assert not (tmp_path / "made-up").exists()


def test_nothing_is_fetched_where_one_file_must_come_by_hand(server, tmp_path):
    both = dataclasses.replace(corpus(server.url), by_hand="Ask for it.")
    with pytest.raises(InputError, match="other.txt: no such file.*Ask for it"):
        fetch_corpus(both, tmp_path, [FILE, "other.txt"])
    assert server.requests == []


def test_files_that_are_there_are_left_alone_even_where_nothing_may_be_written(tmp_path):
    (tmp_path / FILE).write_text("mine")
    fetch_corpus(corpus("http://127.0.0.1:1"), tmp_path, [FILE])
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("name", list_corpora())
def test_every_corpus_can_be_downloaded_or_says_how_to_get_it(name, tmp_path, monkeypatch):
    asked = {}

    def note(downloads: list, *_: object) -> None:
        asked.update({download.file: download.url for download in downloads})
        raise InputError("enough")

    monkeypatch.setattr("nlpbook_data.fetch.corpus_files.download_all", note)
    declared = find_corpus(name)
    with pytest.raises(InputError) as raised:
        fetch_corpus(declared, tmp_path / name, declared.file_names)
    if declared.urls:
        assert {url.partition("://")[0] for url in asked.values()} == {"https"}
        parts = {part for archive in declared.archives for part in archive.files}
        assert asked.keys() <= {*declared.file_names, *parts}
        assert len(set(asked.values())) == len(asked) > 0
    else:
        assert (declared.by_hand or "Install the package again") in str(raised.value)
    assert not (tmp_path / name).exists()


def test_nsmc_is_fetched_from_korporas_table():
    declared = find_corpus("nsmc")
    place = "https://raw.githubusercontent.com/e9t/nsmc/master"
    assert declared.urls() == {file: f"{place}/{file}" for file in declared.file_names}


# Through load_corpus


@pytest.fixture
def load(server: Server, tmp_path: Path, monkeypatch) -> Callable[..., DatasetDict]:
    """Load a corpus whose files lie on the server; nsmc_raw lends it its name and parser."""
    declared = dataclasses.replace(corpus(server.url), name="nsmc_raw")
    monkeypatch.setattr(nsmc_raw, "CORPUS", declared)
    return partial(load_corpus, "nsmc_raw", tmp_path / "corpora", tmp_path / "cache")


def test_load_corpus_fetches_what_is_missing_and_then_needs_no_network(server, load, monkeypatch):
    assert load(rebuild=True)["train"]["text"][:] == TEXTS
    monkeypatch.setattr(socket.socket, "connect", None)
    assert load(rebuild=True)["train"]["text"][:] == TEXTS
    assert len(server.requests) == 1


def test_a_file_replaced_while_it_is_read_leaves_nothing(server, load, tmp_path, monkeypatch):
    load()
    parse, path = nsmc_raw.parse, tmp_path / "corpora" / "nsmc_raw" / FILE
    other = [OTHER]

    def parsing(files):  # the first time another file takes its place behind the first rows
        rows = iter(parse(files))
        yield next(rows)
        if other:
            (tmp_path / "other").write_bytes(other.pop())
            os.replace(tmp_path / "other", path)
        yield from rows

    monkeypatch.setattr(nsmc_raw, "parse", parsing)
    with pytest.raises(InputError, match=f"nsmc_raw: {FILE} changed while it was read"):
        load(rebuild=True, accept_files=True)
    assert load(accept_files=True)["train"]["text"][:] == path.read_text("utf-8").splitlines()


# Processes


def start_fetch(url: str, folder: Path, before: str = "") -> subprocess.Popen:
    here = Path(__file__).parent
    script = (
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n"
        "from test_fetch import *\nlogging.basicConfig()\n"
        # where the tests are a job in the background, a shell has it ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"{before}\n"
        f"fetch_corpus(corpus({url!r}, False), Path({str(folder)!r}), [FILE])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_processes_at_once_fetch_once(server, tmp_path):
    server.pause, server.block = 0.2, len(CONTENT) // 10
    first = start_fetch(server.url, tmp_path)
    assert server.first_byte.wait(60)
    second = start_fetch(server.url, tmp_path)
    errors = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], errors
    assert_fetched(tmp_path)
    assert len(server.requests) == 1


def test_a_process_that_waited_for_one_that_failed_fetches_itself(server, tmp_path):
    folder = tmp_path / "made" / "anew"
    server.script = ["hang", "ranges"]
    first = start_fetch(server.url, folder)
    assert server.first_byte.wait(60)
    second = start_fetch(server.url, folder)
    assert "waiting" in second.stderr.readline()
    first.send_signal(signal.SIGINT)  # it takes its empty folder away, lock and all
    first.communicate(timeout=60)
    assert second.wait(timeout=60) == 0, second.stderr.read()
    assert_fetched(folder)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", ["hang", "deaf"])
def test_ctrl_c_ends_a_fetch_from_a_server_that_hangs_at_once(server, tmp_path, how):
    server.script, server.headers = [how], ETAG
    process = start_fetch(server.url, tmp_path)
    wait_for(lambda: server.requests)
    time.sleep(0.2)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - start < 8
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert not (tmp_path / FILE).exists()
    server.script = ["ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)


def test_a_killed_process_leaves_half_which_the_next_one_continues(server, tmp_path):
    server.script, server.headers = ["hang", "ranges"], ETAG
    process = start_fetch(server.url, tmp_path)
    partial = tmp_path / f"{FILE}.partial"
    wait_for(lambda: partial.exists() and partial.stat().st_size)
    process.kill()
    process.communicate()
    assert not (tmp_path / FILE).exists()
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert int(server.requests[1][1].strip("bytes=-")) > 0


def test_a_running_event_loop_such_as_a_notebooks_is_in_nobodys_way(server, tmp_path):
    async def cell() -> None:
        fetch(server, tmp_path)

    asyncio.run(cell())
    assert_fetched(tmp_path)
