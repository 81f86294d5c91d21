"""Downloads from a loopback server that misbehaves as real ones do."""

import gzip
import hashlib
import importlib.util
import json
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from datasets import DatasetDict, Features, Value

import nlpbook_data.corpora
from nlpbook_data import Corpus, InputError, load_corpus
from nlpbook_data.corpus import RawFile, Split
from nlpbook_data.fetch import ATTEMPTS, fetch_corpus

TEXTS = [f"{number}번째 줄의 글" for number in range(5000)]
CONTENT = "".join(f"{text}\n" for text in TEXTS).encode()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "texts.txt"


@dataclass
class Server:
    """What the server sends, and what it was asked.

    Attributes:
        script: what to do at each request, the last one for ever.
        requests: ``(path, Range or None)`` of each.
        spy: called when half of an answer is sent.
    """

    url: str = ""
    content: bytes = CONTENT
    script: list[str] = field(default_factory=lambda: ["ranges"])
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    spy: Callable[[], None] = lambda: None


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        state: Server = self.server.state
        how = state.script[min(len(state.requests), len(state.script) - 1)]
        asked = self.headers.get("Range")
        state.requests.append((self.path, asked))
        body, status, headers = state.content, 200, {}
        if how.isdigit():
            return self.send_error(int(how))
        if how == "redirect" and self.path != "/moved":
            body, status, headers = b"", 302, {"Location": "/moved"}
        if how == "gzip" and "gzip" in self.headers.get("Accept-Encoding", ""):
            body, headers = gzip.compress(body), {"Content-Encoding": "gzip"}
        if asked and how in ("ranges", "gzip", "cut"):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return self.send_error(416)
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body, status = body[start:], 206
        self.send_response(status)
        if how != "no length":
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        half = len(body) // 2
        self.wfile.write(body[:half])
        state.spy()
        if how not in ("cut", "cut without ranges"):
            self.wfile.write(body[half:])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.state = Server(url=f"http://127.0.0.1:{http.server_port}")
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield http.state
        http.shutdown()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a download would have slept."""
    slept: list[float] = []
    monkeypatch.setattr("nlpbook_data.fetch.time.sleep", slept.append)
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
    with pytest.raises(InputError, match="sha256"):
        fetch(server, tmp_path)
    assert kept(tmp_path) == set()
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


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


@pytest.mark.parametrize("known", [True, False])
def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path, naps, known):
    server.script = ["cut", "cut", "ranges"]
    fetch(server, tmp_path, known)
    assert_fetched(tmp_path)
    starts = [int(asked.strip("bytes=-")) for _, asked in server.requests[1:]]
    assert 0 < starts[0] < starts[1] < len(CONTENT)


@pytest.mark.parametrize("known", [True, False])
def test_a_download_that_always_breaks_off_is_not_taken_for_the_file(server, tmp_path, naps, known):
    server.script = ["cut without ranges"]
    with pytest.raises(InputError, match="could not be fetched"):
        fetch(server, tmp_path, known)
    assert kept(tmp_path) <= {f"{FILE}.partial"}


def test_an_answer_without_a_length_is_fetched(server, tmp_path):
    server.script = ["no length"]
    fetch(server, tmp_path)
    assert_fetched(tmp_path)


def test_another_file_than_the_official_one_leaves_nothing(server, tmp_path):
    server.content = b"<html>Sign in to continue</html>"
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


def test_an_error_without_words_is_named_by_its_type(tmp_path, naps, monkeypatch):
    import httpx

    def time_out(*arguments: object, **options: object) -> None:
        raise httpx.ReadTimeout("")

    monkeypatch.setattr(httpx, "stream", time_out)
    with pytest.raises(InputError, match=r"\(ReadTimeout\)"):
        fetch_corpus(corpus("http://127.0.0.1"), tmp_path, [FILE])


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/made-up: cannot be made.*--corpus_dir"):
        fetch(server, tmp_path / "file" / "made-up")


def test_a_corpus_without_urls_says_where_to_get_it(tmp_path):
    import dataclasses

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
