"""A loopback test double of the Hugging Face Hub, for the real client to push to and pull from.

    with HubDouble() as hub:
        subprocess.run([sys.executable, "-c", code], env=hub.env(tmp_path / "hf"), check=True)
        assert hub.repos["tester/model"].files["config.json"] == b"..."

Everything is kept in memory. A repo has one branch (main) and only regular git blobs (no LFS, no
Xet). What it does not know it answers by 404, so that a client that asks for more fails loudly.
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
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

USER = "tester"
# A repo id is one or two segments; the lazy "??" leaves "gpt2/tree/main" to the id "gpt2".
_API = re.compile(
    r"/api/(?P<type>model|dataset)s/(?P<id>[^/]+(?:/[^/]+)??)"
    r"(?:/(?P<action>commit|preupload|revision|tree)/(?P<rev>[^/]+)(?:/(?P<path>.+))?)?"
)
_RESOLVE = re.compile(
    r"/(?:(?P<type>dataset)s/)?(?P<id>[^/]+(?:/[^/]+)??)/resolve/(?P<rev>[^/]+)/(?P<path>.+)"
)


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
        self.reply = Reply({"error": message, **body}, status, headers)


@dataclass
class Repo:
    """A repo at the tip of main."""

    repo_id: str
    repo_type: str = "model"
    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def oid(self) -> str:
        """The commit's id, made from the files."""
        tree = {path: blob_oid(data) for path, data in self.files.items()}
        return hashlib.sha1(json.dumps([self.repo_id, tree], sort_keys=True).encode()).hexdigest()


def blob_oid(data: bytes) -> str:
    """Git's object id of a blob: the Hub's ETag and `oid` of a regular file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class HubDouble:
    """The server. Set `fail_commit` at any time; it acts from the next request on."""

    def __init__(self) -> None:
        self.token = f"hf_{secrets.token_hex(17)}"
        self.repos: dict[str, Repo] = {}
        self.requests: list[tuple[str, str, int]] = []  # method, path, status
        self.fail_commit: int | None = None  # the status that commits answer with
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

    def env(self, home: Path | str, token: bool = True) -> dict[str, str]:
        """An environment for a subprocess whose client takes this double for the Hub."""
        own = ("HF_", "HUGGING", "TRANSFORMERS_", "HTTP_PROXY", "ALL_PROXY")
        env = {name: v for name, v in os.environ.items() if not name.upper().startswith(own)}
        env |= {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
        env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
        return env | ({"HF_TOKEN": self.token} if token else {})

    def answer(self, method: str, target: str, bearer: str | None, body: bytes) -> Reply:
        """One request's answer, recorded in `requests`."""
        url, known = urlsplit(target), bearer == f"Bearer {self.token}"
        with self._lock:
            try:
                if bearer and not known:
                    raise HubError(401, "Invalid credentials in Authorization header")
                if match := _RESOLVE.fullmatch(url.path):
                    reply = _resolve(self._repo(match, known), unquote(match["path"]))
                elif match := _API.fullmatch(url.path):
                    reply = self._repo_api(method, match, parse_qs(url.query), known, body)
                else:
                    reply = self._hub_api(f"{method} {url.path}", known, body)
            except HubError as error:
                reply = error.reply
            except Exception as error:  # a fault of the double's own: show it to the client
                reply = HubError(501, f"HubDouble: {error!r}").reply
            self.requests.append((method, unquote(url.path), reply.status))
        return reply

    def _hub_api(self, call: str, known: bool, body: bytes) -> Reply:
        if call == "POST /api/validate-yaml":
            front = re.match(r"---\n(.*?)\n---\n", json.loads(body)["content"], re.DOTALL)
            mapping = front and isinstance(yaml.safe_load(front[1]), dict)
            errors = [] if mapping else [{"message": "metadata is not a YAML mapping"}]
            return Reply({"errors": errors, "warnings": []}, 400 if errors else 200)
        _require(known)
        if call == "GET /api/whoami-v2":
            return Reply({"type": "user", "id": USER, "name": USER, "orgs": []})
        if call != "POST /api/repos/create":
            raise HubError(404, f"The double does not know {call}")
        asked = json.loads(body)
        repo_id = f"{asked.get('organization') or USER}/{asked['name']}"
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        url = {"url": f"{self.endpoint}/{repo_id}"}
        if asked.get("type") == "dataset":
            url = {"url": f"{self.endpoint}/datasets/{repo_id}"}
        if repo_id in self.repos:  # which keeps its visibility, whatever was asked for
            raise HubError(409, "You already created this repo", **url)
        self.repos[repo_id] = Repo(repo_id, asked.get("type") or "model", private)
        return Reply(url)

    def _repo_api(
        self, method: str, match: re.Match[str], query: dict[str, Any], known: bool, body: bytes
    ) -> Reply:
        repo, call = self._repo(match, known), f"{method} {match['action'] or 'revision'}"
        if call == "GET revision":
            return Reply(_info(repo))
        if call == "GET tree":
            return Reply(_tree(repo, unquote(match["path"] or ""), "true" in query["recursive"]))
        _require(known)
        if call == "POST preupload":  # every file goes into the commit itself
            answer = {"uploadMode": "regular", "shouldIgnore": False}
            paths = [file["path"] for file in json.loads(body)["files"]]
            return Reply({"files": [{"path": path} | answer for path in paths]})
        if call != "POST commit":
            raise HubError(404, f"The double does not know {call}")
        if self.fail_commit is not None:
            raise HubError(self.fail_commit, HTTPStatus(self.fail_commit).phrase)
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                content = base64.b64decode(line["value"]["content"], validate=True)
                repo.files[line["value"]["path"]] = content
            elif line["key"] != "header":
                raise HubError(400, f"The double stores no {line['key']}: every file is regular")
        url = f"{self.endpoint}/{repo.repo_id}/commit/{repo.oid}"
        return Reply({"success": True, "commitOid": repo.oid, "commitUrl": url})

    def _repo(self, match: re.Match[str], known: bool) -> Repo:
        """The repo that a path names; a hidden one looks like a missing one, as on the Hub."""
        repo = self.repos.get(unquote(match["id"]))
        visible = repo is not None and repo.repo_type == (match["type"] or "model")
        if not visible or (repo.private and not known):
            _require(known, "RepoNotFound")
            raise HubError(404, "Repository not found", "RepoNotFound")
        if unquote(match["rev"] or "main") not in ("main", repo.oid):
            raise HubError(404, f"Invalid rev id: {match['rev']}", "RevisionNotFound")
        return repo


def _require(allowed: bool, code: str = "") -> None:
    if not allowed:
        raise HubError(401, "Invalid username or password.", code)


def _info(repo: Repo) -> dict[str, Any]:
    siblings = [{"rfilename": path, "size": len(repo.files[path])} for path in sorted(repo.files)]
    info = {"id": repo.repo_id, "sha": repo.oid, "private": repo.private, "siblings": siblings}
    return info | {"author": USER, "gated": False, "tags": []}


def _tree(repo: Repo, top: str, recursive: bool) -> list[dict[str, Any]]:
    """The files and folders below the folder `top` ("" for the root)."""
    prefix = f"{top}/" if top else ""
    entries: dict[str, dict[str, Any]] = {}
    for path, data in sorted(repo.files.items()):
        if path.startswith(prefix):
            for folder in map(str, PurePosixPath(path).parents[:-1]):
                entries[folder] = {"type": "directory", "path": folder, "oid": "", "size": 0}
            entries[path] = {"type": "file", "path": path, "oid": blob_oid(data), "size": len(data)}
    if top and not entries:
        raise HubError(404, f"{top} does not exist", "EntryNotFound")
    inside = [path for path in entries if path.startswith(prefix)]
    return [entries[p] for p in inside if recursive or "/" not in p.removeprefix(prefix)]


def _resolve(repo: Repo, path: str) -> Reply:
    if path not in repo.files:
        reply = HubError(404, "Entry not found", "EntryNotFound").reply
        reply.headers["X-Repo-Commit"] = repo.oid  # the client keeps that it has no such file
        return reply
    headers = {"X-Repo-Commit": repo.oid, "Content-Type": "application/octet-stream"}
    return Reply(repo.files[path], 200, headers | {"ETag": f'"{blob_oid(repo.files[path])}"'})


class _Server(ThreadingHTTPServer):
    hub: HubDouble


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a kept-alive connection waits 40 ms an answer
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bearer = self.headers.get("Authorization")
        reply = self.server.hub.answer(self.command, self.path, bearer, body)
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `HubDouble.requests` is the record."""
