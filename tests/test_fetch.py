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
import threading
import time
import types
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from datasets import DatasetDict, Features, Value
from loopback import PAGE, Server, serve

import nlpbook_data.corpora
from nlpbook_data import Corpus, InputError, load_corpus
from nlpbook_data.corpus import RawFile, Split, find_splits
from nlpbook_data.fetch import ATTEMPTS, fetch_corpus

TEXTS = [f"{number}번째 줄의 글" for number in range(5000)]
CONTENT = "".join(f"{text}\n" for text in TEXTS).encode()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "texts.txt"
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(content=CONTENT) as state:
        yield state


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a download would have slept."""
    slept: list[float] = []
    monkeypatch.setattr("nlpbook_data.download._pause", lambda stop, s: slept.append(s))
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
        commercial=True,
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


def test_nsmc_is_fetched_from_korporas_table():
    from nlpbook_data.corpora.nsmc import CORPUS

    urls = CORPUS.urls()
    assert set(urls) == set(CORPUS.files) == set(CORPUS.file_names)
    assert all(
        url == f"https://raw.githubusercontent.com/e9t/nsmc/master/{file}"
        for file, url in urls.items()
    )
