"""A loopback test double of the Hugging Face Hub, for the real client to push to and pull from.

    with HubDouble() as hub:
        subprocess.run([sys.executable, "-c", code], env=hub.env(tmp_path / "hf"), check=True)
        assert hub.repos["tester/model"].files["config.json"] == b"..."

Everything is kept in memory. A repo has one branch (main) and only regular git blobs (no LFS, no
Xet); a model and a dataset cannot share an id; pull requests, branches and tags are not modelled.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import threading
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

USER = "tester"
# A repo id is one or two segments; the lazy "??" leaves "gpt2/tree/main" to the id "gpt2".
_API = re.compile(
    r"/api/(?P<type>model|dataset)s/(?P<id>[^/]+(?:/[^/]+)??)"
    r"(?:/(?P<action>commit|preupload|revision|tree)/(?P<rev>[^/]+)(?:/(?P<path>.+))?)?"
)
_RESOLVE = re.compile(
    r"/(?:(?P<type>dataset)s/)?(?P<id>[^/]+(?:/[^/]+)??)/resolve/(?P<rev>[^/]+)/(?P<path>.+)"
)
_YAML_KEY = re.compile(r"""("[^"]*"|'[^']*'|[^\s"'\[\]{}&*!|>%@`#,:-][^:]*):(\s|$)""")


@dataclass
class Reply:
    """An answer; a `body` that is not bytes goes out as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class HubError(Exception):
    """An error answer, with the X-Error-* headers by which the client chooses its exception."""

    def __init__(self, status: int, message: str, code: str = "", **body: str) -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            headers["Retry-After"] = "0"  # the client's backoff: 5 retries in 5 s, not in 23 s
        self.reply = Reply({"error": message, **body}, status, headers)


class Commit(NamedTuple):
    oid: str
    title: str
    files: dict[str, bytes]


@dataclass
class Repo:
    """A repo; `files` is the tip of main (a test's own edit becomes a commit when next read)."""

    repo_id: str
    repo_type: str = "model"
    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)

    def commit(self, title: str) -> Commit:
        parent = self.commits[-1].oid if self.commits else self.repo_id
        tree = {path: blob_oid(data) for path, data in self.files.items()}
        oid = hashlib.sha1(json.dumps([parent, title, tree], sort_keys=True).encode()).hexdigest()
        self.commits.append(Commit(oid, title, dict(self.files)))
        return self.commits[-1]

    def at(self, revision: str) -> Commit:
        if not self.commits or self.commits[-1].files != self.files:
            self.commit("Edited by the test")
        for commit in reversed(self.commits):
            if revision in ("main", commit.oid):
                return commit
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def blob_oid(data: bytes) -> str:
    """Git's object id of a blob: the Hub's ETag and `oid` of a regular file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def card_faults(card: str) -> tuple[list[str], list[str]]:
    """Errors and warnings on a README's metadata: do its lines look like a YAML mapping's?"""
    front = re.match(r"\s*---[ \t]*\r?\n(.*?)^---[ \t]*$", card, re.DOTALL | re.MULTILINE)
    if front is None or not front[1].strip():
        return [], ["empty or missing yaml metadata in repo card"]
    seen_key = False
    for line in front[1].splitlines():
        inner = seen_key and line.startswith((" ", "-", "]", "}"))
        if _YAML_KEY.match(line):
            seen_key = True
        elif line.strip() and not line.startswith("#") and not inner:
            return [f"metadata is not a YAML mapping: {line!r}"], []
    return [], []


class HubDouble:
    """The server. Set the switches at any time; they act from the next request on."""

    def __init__(self) -> None:
        self.token = f"hf_{secrets.token_hex(17)}"
        self.repos: dict[str, Repo] = {}
        self.requests: list[tuple[str, str, int, bool]] = []  # method, path, status, has_token
        self.initial_files: dict[str, bytes] = {}  # what a new repo holds (Hub: .gitattributes)
        self.fail_commit: int | None = None  # the status that commits answer with
        self.require_token = True  # False: writes are allowed without one
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HubDouble:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def env(self, home: Path | str, token: str | bool = True, xet: bool = False) -> dict[str, str]:
        """An environment for a subprocess whose client takes this double for the Hub.

        `token` is True (the good one), False (none) or one of your own.
        """
        own = ("HF_", "HUGGING", "TRANSFORMERS_", "HTTP_PROXY", "ALL_PROXY")
        env = {name: v for name, v in os.environ.items() if not name.upper().startswith(own)}
        env |= {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home)}
        env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "0" if xet else "1"}
        return env | ({"HF_TOKEN": self.token if token is True else token} if token else {})

    def add_repo(
        self,
        repo_id: str,
        files: dict[str, bytes] | None = None,
        *,
        repo_type: str = "model",
        private: bool = False,
    ) -> Repo:
        """Put a repo on the double without a client."""
        repo = Repo(repo_id, repo_type, private, self.initial_files | (files or {}))
        repo.commit("initial commit")
        self.repos[repo_id] = repo
        return repo

    def answer(self, method: str, target: str, headers: Message, body: bytes) -> Reply:
        """One request's answer, recorded in `requests`."""
        url, bearer = urlsplit(target), headers.get("Authorization")
        known = bearer == f"Bearer {self.token}"
        with self._lock:
            try:
                if bearer and not known:
                    raise HubError(401, "Invalid credentials in Authorization header")
                if match := _RESOLVE.fullmatch(url.path):
                    commit = self._repo(match, known).at(unquote(match["rev"]))
                    reply = _resolve(commit, unquote(match["path"]), headers.get("Range"))
                elif match := _API.fullmatch(url.path):
                    reply = self._repo_api(method, match, parse_qs(url.query), known, body)
                else:
                    reply = self._hub_api(f"{method} {url.path}", known, body)
            except HubError as error:
                reply = error.reply
            except Exception as error:  # a fault of the double's own: show it to the client
                reply = HubError(500, f"HubDouble: {error!r}").reply
            self.requests.append((method, unquote(url.path), reply.status, bearer is not None))
        return reply

    def _hub_api(self, call: str, known: bool, body: bytes) -> Reply:
        if call == "GET /api/whoami-v2":
            _require(known)
            auth = {"type": "access_token", "accessToken": {"displayName": "t", "role": "write"}}
            return Reply({"type": "user", "id": USER, "name": USER, "orgs": [], "auth": auth})
        if call == "POST /api/validate-yaml":
            errors, warnings = card_faults(json.loads(body)["content"])
            said = {"errors": [{"message": text} for text in errors]}
            said["warnings"] = [{"message": text} for text in warnings]
            return Reply(said, 400 if errors else 200)
        if call != "POST /api/repos/create":
            raise HubError(404, f"The double does not know {call}")
        _require(known or not self.require_token)
        asked = json.loads(body)
        repo_id = f"{asked.get('organization') or USER}/{asked['name']}"
        repo_type = asked.get("type") or "model"
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        repo = self.repos.get(repo_id)
        if repo is None:
            repo = self.add_repo(repo_id, repo_type=repo_type, private=private)
            return Reply({"url": self._url(repo)})
        if repo.repo_type != repo_type:
            raise HubError(501, f"The double has {repo_id} as a {repo.repo_type} already")
        # As on the Hub, the repo keeps the visibility it has, whatever was asked for.
        raise HubError(409, f"You already created this {repo_type} repo", url=self._url(repo))

    def _repo_api(
        self,
        method: str,
        match: re.Match[str],
        query: dict[str, list[str]],
        known: bool,
        body: bytes,
    ) -> Reply:
        repo, call = self._repo(match, known), f"{method} {match['action'] or 'revision'}"
        commit = repo.at(unquote(match["rev"] or "main"))
        if call == "GET revision":
            return Reply(_info(repo, commit))
        if call == "GET tree":
            recursive = query.get("recursive") == ["true"]
            return Reply(_tree(commit, unquote(match["path"] or ""), recursive))
        if call not in ("POST preupload", "POST commit"):
            raise HubError(404, f"The double does not know {call}")
        _require(known or not self.require_token, "RepoNotFound")
        if commit is not repo.commits[-1] or "create_pr" in query:
            raise HubError(501, "The double takes commits on main only")
        if call == "POST preupload":
            return Reply(_preupload(commit, [file["path"] for file in json.loads(body)["files"]]))
        if self.fail_commit is not None:
            raise HubError(self.fail_commit, HTTPStatus(self.fail_commit).phrase)
        title, repo.files = _apply(commit, [json.loads(line) for line in body.splitlines()])
        oid = repo.commit(title).oid
        url = f"{self._url(repo)}/commit/{oid}"
        return Reply({"success": True, "commitOid": oid, "commitUrl": url})

    def _repo(self, match: re.Match[str], known: bool) -> Repo:
        """The repo that a path names; a hidden one looks like a missing one, as on the Hub."""
        repo = self.repos.get(unquote(match["id"]))
        repo_type = match["type"] or "model"
        if repo is not None and repo.repo_type == repo_type and (known or not repo.private):
            return repo
        _require(known, "RepoNotFound")
        raise HubError(404, "Repository not found", "RepoNotFound")

    def _url(self, repo: Repo) -> str:
        return f"{self.endpoint}/{'datasets/' * (repo.repo_type == 'dataset')}{repo.repo_id}"


def _require(allowed: bool, code: str = "") -> None:
    if not allowed:
        raise HubError(401, "Invalid username or password.", code)


def _info(repo: Repo, commit: Commit) -> dict[str, Any]:
    siblings = [
        {"rfilename": path, "size": len(data), "blobId": blob_oid(data)}
        for path, data in sorted(commit.files.items())
    ]
    info = {"id": repo.repo_id, "sha": commit.oid, "private": repo.private, "siblings": siblings}
    return info | {"author": repo.repo_id.partition("/")[0], "gated": False, "tags": []}


def _tree(commit: Commit, top: str, recursive: bool) -> list[dict[str, Any]]:
    """The files and folders below the folder `top` ("" for the root)."""
    prefix = f"{top}/" if top else ""
    entries: dict[str, dict[str, Any]] = {}
    for path, data in sorted(commit.files.items()):
        if path.startswith(prefix):
            for folder in map(str, PurePosixPath(path).parents[:-1]):
                oid = hashlib.sha1(f"{commit.oid}/{folder}".encode()).hexdigest()
                entries[folder] = {"type": "directory", "path": folder, "oid": oid, "size": 0}
            entries[path] = {"type": "file", "path": path, "oid": blob_oid(data), "size": len(data)}
    if top and not entries:
        raise HubError(404, f"{top} does not exist", "EntryNotFound")
    inside = [path for path in entries if path.startswith(prefix)]
    return [entries[p] for p in inside if recursive or "/" not in p.removeprefix(prefix)]


def _preupload(head: Commit, paths: list[str]) -> dict[str, Any]:
    """Every file goes into the commit itself; the oid lets the client leave out unchanged ones."""
    oids = {path: blob_oid(data) for path, data in head.files.items()}
    answer = {"uploadMode": "regular", "shouldIgnore": False}
    return {"files": [{"path": path, "oid": oids.get(path)} | answer for path in paths]}


def _apply(head: Commit, lines: list[dict[str, Any]]) -> tuple[str, dict[str, bytes]]:
    """The title, and the files that a commit's NDJSON lines make of `head`; all or nothing."""
    title, files = "", dict(head.files)
    for key, value in ((line["key"], line["value"]) for line in lines):
        if key == "header":
            title = value["summary"]
            if not head.oid.startswith(value.get("parentCommit", "")):
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
        elif key == "file":
            files[value["path"]] = base64.b64decode(value["content"], validate=True)
        elif key in ("deletedFile", "deletedFolder"):
            path = value["path"].rstrip("/")
            gone = [name for name in files if name == path or name.startswith(f"{path}/")]
            if not gone:
                raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            for name in gone:
                del files[name]
        else:
            raise HubError(400, f"The double stores no {key}: every file is regular")
    return title, files


def _resolve(commit: Commit, path: str, asked_range: str | None) -> Reply:
    """A file's bytes, whole or in part."""
    headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    if path not in commit.files:
        reply = HubError(404, "Entry not found", "EntryNotFound").reply
        reply.headers |= headers  # the client caches that this commit has no such file
        return reply
    data = commit.files[path]
    headers |= {"ETag": f'"{blob_oid(data)}"', "Content-Type": "application/octet-stream"}
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked_range or "")
    if match is None:
        return Reply(data, 200, headers)
    start, stop = int(match[1]), min(int(match[2] or len(data)) + 1, len(data))
    if start >= len(data):
        return Reply(b"", 416, headers | {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return Reply(data[start:stop], 206, headers)


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    hub: HubDouble


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a kept-alive connection waits 40 ms an answer
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.server.hub.answer(self.command, self.path, self.headers, body)
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `HubDouble.requests` is the record."""
