"""Downloads from a loopback server that misbehaves as real ones do."""

import dataclasses
import hashlib
import importlib.util
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from datasets import DatasetDict, Features, Value
from fetch_kill import try_once
from loopback import PAGE, Server, serve

import nlpbook_data.corpora
from nlpbook_data import Corpus, InputError, load_corpus
from nlpbook_data.corpora.declaration import RawFile, Split
from nlpbook_data.data.corpus import find_corpus, find_splits, list_corpora
from nlpbook_data.fetch.corpus_files import ATTEMPTS, fetch_corpus

TEXTS = [f"{number}번째 줄의 글" for number in range(5000)]
CONTENT = "".join(f"{text}\n" for text in TEXTS).encode()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "texts.txt"
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"

HERE = [str(Path(__file__).parent), str(Path(__file__).parents[1])]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(content=CONTENT) as state:
        yield state


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a download would have slept."""
    slept: list[float] = []
    monkeypatch.setattr("nlpbook_data.fetch.download._pause", lambda stop, s: slept.append(s))
    return slept


def corpus(url: str, known: bool = True, files: tuple[str, ...] = (FILE,)) -> Corpus:
    raw = RawFile(bytes=len(CONTENT), sha256=SHA256, rows=len(TEXTS))
    return Corpus(
        name="made-up",
        task="doccls",
        title="지어낸 말뭉치",
        features=Features(text=Value("string")),
        splits={"train": Split("all of it", files=files)},
        license="CC0-1.0",
        homepage="https://example.org",
        files=dict.fromkeys(files, raw) if known else {},
        urls=lambda: {file: f"{url}/{file}" for file in files},
    )


def fetch(server: Server, folder: Path, known: bool = True) -> None:
    fetch_corpus(corpus(server.url, known), folder, [FILE])


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".fetch.lock"}


def assert_fetched(folder: Path) -> None:
    assert (folder / FILE).read_bytes() == CONTENT
    assert kept(folder) == {FILE, "manifest.json"}


def test_a_missing_file_is_fetched_and_vouched_for_in_a_manifest(server, tmp_path):
    fetch(server, tmp_path / "new" / "folder")
    assert_fetched(tmp_path / "new" / "folder")
    manifest = json.loads((tmp_path / "new" / "folder" / "manifest.json").read_text())
    entry = {"bytes": len(CONTENT), "sha256": SHA256, "rows": len(TEXTS)}
    assert manifest["files"] == {FILE: entry}
    assert server.url in manifest["note"]
    assert server.requests == [(f"/{FILE}", None)]


def test_the_manifest_keeps_what_it_says_of_other_files(server, tmp_path):
    other = {"note": "by hand", "files": {"other.txt": {"sha256": "0"}}}
    (tmp_path / "manifest.json").write_text(json.dumps(other))
    fetch(server, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["note"] == "by hand"
    assert manifest["files"]["other.txt"] == {"sha256": "0"}
    assert manifest["files"][FILE]["sha256"] == SHA256


def test_files_in_folders_of_a_corpus_go_there(server, tmp_path):
    files = ("labeled/a.tsv", "news/b.tsv")
    fetch_corpus(corpus(server.url, files=files), tmp_path, files)
    assert [(tmp_path / file).read_bytes() for file in files] == [CONTENT] * 2
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest["files"]) == set(files)


def test_a_file_appears_only_when_it_is_whole(server, tmp_path):
    seen = []
    server.spy = lambda: seen.append((tmp_path / FILE).exists())
    fetch(server, tmp_path)
    assert seen == [False]
    assert_fetched(tmp_path)


def test_what_a_killed_download_left_is_continued(server, tmp_path):
    (tmp_path / f"{FILE}.partial").write_bytes(CONTENT[:1000])
    fetch(server, tmp_path)
    assert_fetched(tmp_path)
    assert server.requests == [(f"/{FILE}", "bytes=1000-")]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.script = ["no ranges"]
    (tmp_path / f"{FILE}.partial").write_bytes(b"something else")
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_partial_file_that_cannot_be_continued_is_fetched_anew(server, tmp_path, naps, extra):
    (tmp_path / f"{FILE}.partial").write_bytes(CONTENT + extra)
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


def test_a_partial_file_of_other_content_never_becomes_the_file(server, tmp_path):
    (tmp_path / f"{FILE}.partial").write_bytes(b"x" * 1000)
    fetch(server, tmp_path)
    assert_fetched(tmp_path)
    assert server.requests == [(f"/{FILE}", "bytes=1000-"), (f"/{FILE}", None)]


def test_a_resumed_download_is_right_from_a_server_that_compresses(server, tmp_path):
    """Ranges count compressed bytes where an answer is compressed: it must not be asked for."""
    server.script = ["gzip"]
    (tmp_path / f"{FILE}.partial").write_bytes(CONTENT[:1000])
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


def test_a_redirection_is_followed(server, tmp_path):
    server.script = ["redirect"]
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


@pytest.mark.parametrize("status", ["404", "403", "410"])
def test_a_file_that_is_not_there_is_said_at_once(server, tmp_path, naps, status):
    server.script = [status]
    with pytest.raises(InputError) as raised:
        fetch(server, tmp_path)
    for part in (f"{server.url}/{FILE}", status, str(tmp_path / FILE)):
        assert part in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(server.requests) == 1
    assert kept(tmp_path) == set()


@pytest.mark.parametrize("status", ["500", "503", "429"])
def test_a_server_that_fails_for_a_while_is_asked_again(server, tmp_path, naps, status):
    server.script = [status, status, "ranges"]
    fetch(server, tmp_path)
    assert_fetched(tmp_path)
    assert len(naps) == 2


def test_a_server_that_fails_for_ever_is_given_up(server, tmp_path, naps):
    server.script = ["500"]
    with pytest.raises(InputError, match="500"):
        fetch(server, tmp_path)
    assert len(server.requests) == ATTEMPTS
    assert sum(naps) < 10


@pytest.mark.parametrize("headers", [{"ETag": '"1"'}, {"Last-Modified": DATE}, {}])
def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path, naps, headers):
    server.script, server.headers = ["cut", "cut", "ranges"], headers
    fetch(server, tmp_path, known=not headers)
    assert_fetched(tmp_path)
    starts = [int(asked.strip("bytes=-")) for _, asked in server.requests[1:]]
    assert 0 < starts[0] < starts[1] < len(CONTENT)


@pytest.mark.parametrize("known", [True, False])
def test_a_download_that_always_breaks_off_is_not_taken_for_the_file(server, tmp_path, naps, known):
    server.script = ["cut no ranges"]
    with pytest.raises(InputError, match="could not be fetched"):
        fetch(server, tmp_path, known)
    assert kept(tmp_path) <= {f"{FILE}.partial", f"{FILE}.partial.json"}


def test_an_answer_without_a_length_is_fetched(server, tmp_path):
    server.script = ["no length"]
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


def test_another_file_than_the_official_one_leaves_nothing(server, tmp_path):
    server.content = CONTENT[::-1]
    with pytest.raises(InputError) as raised:
        fetch(server, tmp_path)
    assert SHA256 in str(raised.value)
    assert hashlib.sha256(server.content).hexdigest() in str(raised.value)
    assert kept(tmp_path) == set()


def test_without_a_network_the_message_comes_after_seconds(tmp_path, naps):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens here
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(InputError) as raised:
            fetch_corpus(corpus(url), tmp_path, [FILE])
    assert "Check the network" in str(raised.value)
    assert str(tmp_path / FILE) in str(raised.value)
    assert sum(naps) < 10
    assert kept(tmp_path) == set()


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/made-up: cannot be made.*--corpus_dir"):
        fetch(server, tmp_path / "file" / "made-up")


def test_a_corpus_without_urls_says_where_to_get_it(tmp_path):
    lone = dataclasses.replace(corpus(""), urls=None)
    with pytest.raises(InputError, match=f"{FILE}: no such file.*https://example.org"):
        fetch_corpus(lone, tmp_path, [FILE])


@pytest.fixture
def load(server: Server, tmp_path: Path, monkeypatch) -> Callable[..., DatasetDict]:
    """Load the corpus "made-up", whose files lie on the server."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "made_up.py").write_text("")
    module = types.ModuleType("nlpbook_data.corpora.made_up")
    source = str(tmp_path / "package" / "made_up.py")
    module.__spec__ = importlib.util.spec_from_file_location(module.__name__, source)
    module.CORPUS = corpus(server.url)
    module.parse = lambda files: (
        {"text": line} for path in files for line in path.read_text("utf-8").splitlines()
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    paths = [*nlpbook_data.corpora.__path__, str(tmp_path / "package")]
    monkeypatch.setattr(nlpbook_data.corpora, "__path__", paths)
    return lambda **options: load_corpus(
        "made-up", tmp_path / "corpora", tmp_path / "cache", **options
    )


def test_load_corpus_fetches_what_is_missing_and_then_needs_no_network(server, load):
    for _ in range(2):
        assert load(rebuild=True)["train"]["text"][:] == TEXTS
    assert len(server.requests) == 1


def test_load_corpus_never_touches_the_network_for_files_that_are_there(
    server, load, tmp_path, monkeypatch
):
    monkeypatch.setattr(socket.socket, "connect", None)
    (tmp_path / "corpora" / "made-up").mkdir(parents=True)
    (tmp_path / "corpora" / "made-up" / FILE).write_bytes(CONTENT)
    assert load()["train"]["text"][:] == TEXTS
    assert server.requests == []


def test_load_corpus_at_once_from_two_sides_fetches_once(server, load):
    loaded = []
    threads = [threading.Thread(target=lambda: loaded.append(load())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [rows["train"]["text"][:] for rows in loaded] == [TEXTS] * 2
    assert len(server.requests) == 1


def test_a_fetched_file_that_is_changed_later_is_refused(load, tmp_path):
    load()
    path = tmp_path / "corpora" / "made-up" / FILE
    path.write_bytes(path.read_bytes().replace("0번째".encode(), "영번째".encode(), 1))
    with pytest.raises(InputError, match="the manifest beside it"):
        load()


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
        assert {url.partition("://")[0] for url in asked.values()} <= {"https", "http"}
        parts = {part for archive in declared.archives for part in archive.files}
        assert asked.keys() <= {*declared.file_names, *parts}
        assert len(set(asked.values())) == len(asked) > 0
    else:
        assert (declared.by_hand or "Install the package again") in str(raised.value)
    assert not (tmp_path / name).exists()


def test_nsmc_is_fetched_from_korporas_table():
    from nlpbook_data.corpora.nsmc import CORPUS

    urls = CORPUS.urls()
    assert set(urls) == set(CORPUS.files) == set(CORPUS.file_names)
    assert all(
        url == f"https://raw.githubusercontent.com/e9t/nsmc/master/{file}"
        for file, url in urls.items()
    )


# Resuming: never two versions of a file in one

OTHER = CONTENT.replace("글".encode(), "말".encode())
assert len(OTHER) == len(CONTENT)


def break_off(server: Server, folder: Path, known: bool = False) -> None:
    """Leave half of a download in `folder`, as a process that was killed does."""
    server.script = ["cut", "500"]
    with pytest.raises(InputError, match="could not be fetched"):
        fetch(server, folder, known)
    server.requests.clear()
    server.conditions.clear()
    assert kept(folder) == {f"{FILE}.partial", f"{FILE}.partial.json"}
    assert (folder / f"{FILE}.partial").stat().st_size == len(server.content) // 2


@pytest.mark.parametrize("headers", [{"ETag": '"1"'}, {"Last-Modified": DATE}])
def test_a_later_process_continues_what_came_and_names_its_version(server, tmp_path, naps, headers):
    server.headers = headers
    break_off(server, tmp_path)
    server.script = ["ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert server.requests == [(f"/{FILE}", f"bytes={len(CONTENT) // 2}-")]
    assert server.conditions == list(headers.values())


@pytest.mark.parametrize("how", ["ranges", "stale ranges", "mute", "no ranges"])
@pytest.mark.parametrize("name", ["ETag", "Last-Modified"])
def test_a_file_that_changed_on_the_server_is_never_glued_together(
    server, tmp_path, naps, how, name
):
    versions = {"ETag": ('"1"', '"2"'), "Last-Modified": (DATE, "Thu, 22 Oct 2015 07:28:00 GMT")}
    server.headers = {name: versions[name][0]}
    break_off(server, tmp_path)
    server.headers = {name: versions[name][1]}
    server.content = OTHER
    server.script = [how]
    fetch(server, tmp_path, known=False)
    assert (tmp_path / FILE).read_bytes() == OTHER


def test_a_file_that_changed_its_length_only_is_not_glued_together(server, tmp_path, naps):
    server.headers = {"Last-Modified": DATE}
    break_off(server, tmp_path)
    server.content = CONTENT + b"more\n"
    server.script = ["mute"]
    fetch(server, tmp_path, known=False)
    assert (tmp_path / FILE).read_bytes() == CONTENT + b"more\n"


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}])
def test_without_a_version_or_a_checksum_nothing_is_continued(server, tmp_path, naps, headers):
    server.headers = headers
    break_off(server, tmp_path, known=True)
    server.content = OTHER
    server.script = ["stale ranges"]
    fetch(server, tmp_path, known=False)
    assert (tmp_path / FILE).read_bytes() == OTHER
    assert server.requests == [(f"/{FILE}", None)]


def test_what_came_from_another_address_is_not_continued(server, tmp_path, naps):
    server.headers = {"ETag": '"1"'}
    break_off(server, tmp_path)
    state = tmp_path / f"{FILE}.partial.json"
    state.write_text(state.read_text().replace(FILE, "other.txt"))
    server.script = ["ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert server.requests == [(f"/{FILE}", None)]


@pytest.mark.parametrize("state", ["", "{", "[]", '{"url": 1}', '{"other": 2}'])
def test_a_damaged_note_of_the_version_means_a_new_start(server, tmp_path, naps, state):
    server.headers = {"ETag": '"1"'}
    break_off(server, tmp_path)
    (tmp_path / f"{FILE}.partial.json").write_text(state)
    server.script = ["ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert server.requests == [(f"/{FILE}", None)]


def test_a_download_that_lacked_only_its_rename_needs_no_request(server, tmp_path, naps):
    server.headers = {"ETag": '"1"'}
    break_off(server, tmp_path)
    (tmp_path / f"{FILE}.partial").write_bytes(CONTENT)
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert server.requests == []


def test_an_answer_for_another_range_is_not_appended(server, tmp_path, naps):
    server.headers = {"ETag": '"1"'}
    break_off(server, tmp_path)
    server.script = ["other range"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)


@pytest.mark.parametrize("status", ["416", "206", "204", "304"])
def test_a_status_that_makes_no_sense_ends_in_an_error(server, tmp_path, naps, status):
    server.script = [status]
    with pytest.raises(InputError, match=f"could not be fetched.*{status}"):
        fetch(server, tmp_path)
    assert kept(tmp_path) == set()


def test_a_server_that_refuses_every_range_is_asked_for_all_of_it(server, tmp_path, naps):
    server.headers = {"ETag": '"1"'}
    break_off(server, tmp_path)
    server.script = ["416", "ranges"]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert [asked for _, asked in server.requests] == [f"bytes={len(CONTENT) // 2}-", None]


# Bodies


@pytest.mark.parametrize("how", ["chunked", "no length", "always gzip"])
def test_answers_of_every_transfer_are_the_same_file(server, tmp_path, how):
    server.script = [how]
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)


def test_an_unknown_length_is_mentioned(server, tmp_path, caplog):
    server.script = ["no length"]
    with caplog.at_level(logging.WARNING):
        fetch(server, tmp_path, known=False)
    assert "did not say how long it is" in caplog.text


def test_a_chunked_answer_that_breaks_off_is_not_taken_for_the_file(server, tmp_path, naps):
    server.script = ["chunked cut"]
    with pytest.raises(InputError, match="could not be fetched"):
        fetch(server, tmp_path, known=False)
    assert not (tmp_path / FILE).exists()
    assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("how", ["no length", "chunked", "short"])
@pytest.mark.parametrize("change", [-1, 1])
def test_an_answer_of_another_length_than_the_official_one_is_refused(
    server, tmp_path, naps, how, change
):
    server.script = [how]
    server.content = CONTENT[:-1] if change < 0 else CONTENT + b"\n"
    with pytest.raises(InputError, match=f"{len(CONTENT):,} bytes") as raised:
        fetch(server, tmp_path)
    assert server.url in str(raised.value)
    assert kept(tmp_path) == set()


def test_a_length_that_is_wrong_is_refused_before_the_body_comes(server, tmp_path):
    seen = []
    server.spy = lambda: seen.append(sorted(kept(tmp_path)))
    server.content = CONTENT * 50
    with pytest.raises(InputError, match=f"gave {len(CONTENT) * 50:,} bytes"):
        fetch(server, tmp_path)
    assert seen in ([], [[]])


def test_an_empty_answer_is_not_a_file(server, tmp_path):
    server.content = b""
    with pytest.raises(InputError, match="empty file"):
        fetch(server, tmp_path, known=False)
    assert kept(tmp_path) == set()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("how", ["page", "page as text"])
def test_a_page_in_place_of_the_file_is_refused(server, tmp_path, how, known):
    server.script = [how]
    with pytest.raises(InputError) as raised:
        fetch(server, tmp_path, known)
    assert kept(tmp_path) == set()
    assert server.url in str(raised.value)
    assert ("HTML page" in str(raised.value)) == (not known or how == "page")


def test_a_page_does_not_cost_what_had_come_before(server, tmp_path, naps):
    server.headers = {"ETag": '"1"'}
    break_off(server, tmp_path)
    server.script = ["page", "ranges"]
    with pytest.raises(InputError, match="HTML page"):
        fetch(server, tmp_path, known=False)
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert server.requests[1] == (f"/{FILE}", f"bytes={len(CONTENT) // 2}-")


def test_the_official_file_is_taken_even_if_it_is_called_html(server, tmp_path):
    server.script = ["html type"]
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


def test_a_corpus_of_pages_may_be_pages(server, tmp_path):
    server.script = ["page"]
    pages = corpus(server.url, known=False, files=("page.html",))
    fetch_corpus(pages, tmp_path, ["page.html"])
    assert (tmp_path / "page.html").read_bytes() == PAGE


# Servers that do not answer


@pytest.mark.parametrize("how", ["hang", "deaf"])
def test_a_server_that_hangs_is_given_up(server, tmp_path, naps, monkeypatch, how):
    monkeypatch.setattr("nlpbook_data.fetch.download.TIMEOUT", 0.2)
    server.script = [how]
    start = time.monotonic()
    with pytest.raises(InputError, match="could not be fetched.*(timed out|disconnected)"):
        fetch(server, tmp_path, known=False)
    assert time.monotonic() - start < 10
    assert len(server.requests) == ATTEMPTS
    assert not (tmp_path / FILE).exists()


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


def test_waits_grow(server, tmp_path, naps):
    server.script = ["503"]
    with pytest.raises(InputError):
        fetch(server, tmp_path)
    assert naps == [1, 2, 4]


def test_a_long_file_over_a_bad_line_comes_in_the_end(server, tmp_path, naps):
    """As long as megabytes come, a broken connection is not a failed attempt."""
    server.content = os.urandom(1 << 20) * 64
    server.headers = {"ETag": '"1"'}
    server.script = ["cut"] * (ATTEMPTS + 1) + ["ranges"]
    fetch(server, tmp_path, known=False)
    assert (tmp_path / FILE).read_bytes() == server.content
    assert set(naps) == {1}


def test_redirections_in_a_circle_are_given_up(server, tmp_path, naps):
    server.script = ["redirect for ever"]
    with pytest.raises(InputError, match="redirect"):
        fetch(server, tmp_path)
    assert naps == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "nonsense", "http://"])
def test_an_address_that_is_none_is_an_error(tmp_path, naps, url):
    with pytest.raises(InputError, match="could not be fetched"):
        fetch_corpus(corpus(url), tmp_path, [FILE])
    assert naps == []


def test_a_proxy_that_cannot_be_is_an_error(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "nonsense://nowhere")
    with pytest.raises(InputError, match="proxy"):
        fetch(server, tmp_path)


# Several files

MANY = tuple(f"part{number}/texts.txt" for number in range(8))


def test_files_come_two_at_a_time_from_one_host(server, tmp_path):
    server.pause, server.block = 0.02, len(CONTENT) // 4
    fetch_corpus(corpus(server.url, files=MANY), tmp_path, MANY)
    assert {(tmp_path / file).read_bytes() for file in MANY} == {CONTENT}
    assert server.most == 2
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest["files"]) == set(MANY)


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
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest["files"]) == whole != set()
    assert not [path for path in tmp_path.glob("part*") if not any(path.iterdir())]


# Disks


def test_a_file_that_does_not_fit_is_refused_before_it_comes(server, tmp_path, monkeypatch):
    usage = types.SimpleNamespace(free=len(CONTENT) - 1)
    monkeypatch.setattr("nlpbook_data.fetch.download.shutil.disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=f"no space left.*{len(CONTENT) - 1:,} bytes are free"):
        fetch(server, tmp_path)
    assert kept(tmp_path) == set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, the device always full")
@pytest.mark.parametrize("how", ["ranges", "no length"])
def test_a_disk_that_fills_is_said_and_nothing_gets_the_files_name(server, tmp_path, how):
    server.script = [how]
    (tmp_path / f"{FILE}.partial").symlink_to("/dev/full")
    with pytest.raises(InputError, match=rf"{FILE}.partial: no space left"):
        fetch(server, tmp_path)
    assert not (tmp_path / FILE).exists()
    assert not (tmp_path / "manifest.json").exists()
    (tmp_path / f"{FILE}.partial").unlink()
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


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


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": 3}', b"\xff\xfe"])
def test_a_broken_manifest_is_an_error_before_anything_is_fetched(server, tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match="manifest.json: not a manifest"):
        fetch(server, tmp_path)
    assert server.requests == []


def test_a_manifest_of_ours_says_when_and_one_by_hand_stays_by_hand(server, tmp_path):
    fetch(server, tmp_path / "ours")
    ours = json.loads((tmp_path / "ours" / "manifest.json").read_text())
    assert time.strptime(ours["fetched"], "%Y-%m-%d")
    (tmp_path / "theirs").mkdir()
    by_hand = {"note": "by hand", "more": [1], "files": {}}
    (tmp_path / "theirs" / "manifest.json").write_text(json.dumps(by_hand))
    fetch(server, tmp_path / "theirs")
    theirs = json.loads((tmp_path / "theirs" / "manifest.json").read_text())
    assert theirs | {"files": {}} == by_hand


def test_a_fetched_manifest_leaves_no_split_out(server, tmp_path, monkeypatch):
    splits = {"train": Split("a", files=("a.txt",)), "test": Split("b", files=("b.txt",))}
    pair = dataclasses.replace(corpus(server.url, files=("a.txt", "b.txt")), splits=splits)
    fetch_corpus(pair, tmp_path / "made-up", ["a.txt"])
    assert find_splits(pair, tmp_path) == ["train", "test"]


def test_a_file_without_an_official_checksum_is_compared_with_the_first_one(server, tmp_path):
    fetch(server, tmp_path, known=False)
    (tmp_path / FILE).unlink()
    server.content = OTHER
    with pytest.raises(InputError, match="it has changed since") as raised:
        fetch(server, tmp_path, known=False)
    assert SHA256 in str(raised.value)
    assert kept(tmp_path) == {"manifest.json"}
    server.content = CONTENT
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)


def test_a_manifest_by_hand_that_describes_another_file_is_not_overruled(server, tmp_path):
    """The official train beside another draw's test would leak from one into the other."""
    by_hand = json.dumps({"files": {FILE: {"sha256": "0" * 64}}})
    (tmp_path / "manifest.json").write_text(by_hand)
    with pytest.raises(InputError, match="Put that file there") as raised:
        fetch(server, tmp_path)
    assert "0" * 64 in str(raised.value)
    assert SHA256 in str(raised.value)
    assert server.requests == []
    assert (tmp_path / "manifest.json").read_text() == by_hand


def test_rows_are_promised_only_of_the_official_file(server, tmp_path):
    loose = dataclasses.replace(corpus(server.url), files={FILE: RawFile(rows=len(TEXTS))})
    fetch_corpus(loose, tmp_path, [FILE])
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["files"][FILE] == {"bytes": len(CONTENT), "sha256": SHA256}


# What comes by hand


@pytest.mark.parametrize("file", [FILE, "*.json"])
def test_a_corpus_by_hand_says_where_to_apply_and_what_goes_where(tmp_path, file):
    lone = dataclasses.replace(corpus("", files=(file,)), urls=None, by_hand="Apply at example.kr.")
    with pytest.raises(InputError) as raised:
        fetch_corpus(lone, tmp_path / "made-up", [file])
    for part in (str(tmp_path / "made-up" / file), "Apply at example.kr.", "no such file"):
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
    assert kept(tmp_path) == {FILE}
    assert not (tmp_path / ".fetch.lock").exists()


# Processes


def start_fetch(url: str, folder: Path, known: bool = False, before: str = "") -> subprocess.Popen:
    script = (
        f"import sys; sys.path[:0] = {HERE!r}\n"
        "from test_fetch import *\nlogging.basicConfig()\n"
        # where the tests are a job in the background, a shell has it ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"{before}\n"
        f"fetch_corpus(corpus({url!r}, {known}), Path({str(folder)!r}), [FILE])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


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
    server.script = [how]
    server.headers = {"ETag": '"1"'}
    process = start_fetch(server.url, tmp_path)
    deadline = time.monotonic() + 60
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.01)
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
    server.script, server.headers = ["hang", "ranges"], {"ETag": '"1"'}
    process = start_fetch(server.url, tmp_path)
    assert server.first_byte.wait(60)
    while not (tmp_path / f"{FILE}.partial").exists() or not (
        (tmp_path / f"{FILE}.partial").stat().st_size
    ):
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.communicate()
    assert not (tmp_path / FILE).exists()
    fetch(server, tmp_path, known=False)
    assert_fetched(tmp_path)
    assert int(server.requests[1][1].strip("bytes=-")) > 0


@pytest.mark.parametrize("seed", range(1000, 1010))
def test_nothing_wrong_is_left_by_a_process_killed_at_a_random_moment(server, tmp_path, seed):
    """Ten of fetch_kill.py's; ``python tests/fetch_kill.py --seed 1003 --times 1`` repeats one."""
    when, found = try_once(seed, server, tmp_path / "killed")
    assert found == [], when
