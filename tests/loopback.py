"""A server on the loopback interface that misbehaves on purpose, as real ones do."""

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html><title>Sign in</title><p>Too many users have viewed this file.</html>"


@dataclass
class Server:
    """What the server sends, and what it was asked.

    Attributes:
        files: ``{path: bytes}``; `content` is sent for every other path.
        script: what to do at each request, the last one for ever; see `Handler`.
        headers: sent with every answer of 200 and 206.
        requests: ``(path, Range or None)`` of each.
        conditions: the If-Range of each.
        busy, most: how many answers are in their first half, and the most that ever were.
        spy: called when half of an answer is sent.
        elsewhere: where ``redirect`` leads.
        first_byte: set when the first byte of a body was sent.
        pause: seconds before each of the blocks of `block` bytes.
        done: set when the test is over, which ends answers that hang.
    """

    url: str = ""
    content: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)
    script: list[str] = field(default_factory=lambda: ["ranges"])
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)
    busy: int = 0
    most: int = 0
    spy: Callable[[], None] = lambda: None
    elsewhere: str = "/moved"
    first_byte: threading.Event = field(default_factory=threading.Event)
    pause: float = 0.0
    block: int = 1 << 16
    done: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Handler(BaseHTTPRequestHandler):
    """Answer as the words of the script say.

    A number is a status. ``ranges`` honours Range and If-Range; ``stale ranges`` ignores If-Range;
    ``other range`` answers from byte 0 what is asked from later on; ``mute`` leaves the validators
    out of 206. ``cut`` breaks off half-way, ``cut no ranges`` too; ``hang`` stops half-way and
    ``deaf`` before it answers. ``no length`` ends by closing, ``chunked`` and ``chunked cut`` are
    that; ``short`` announces less than there is. ``gzip`` packs where it was asked to, ``always
    gzip`` anyway, ``gzip in gzip`` twice. ``page`` is HTML called HTML, ``page as text`` is
    not called so, ``html type`` is a good file called HTML.
    """

    def do_GET(self) -> None:
        state: Server = self.server.state
        with state.lock:
            how = state.script[min(len(state.requests), len(state.script) - 1)]
            state.requests.append((self.path, self.headers.get("Range")))
            state.conditions.append(self.headers.get("If-Range"))
            state.busy += 1
            state.most = max(state.most, state.busy)
        try:
            self._answer(state, how)
        except (BrokenPipeError, ConnectionResetError):  # a client that was killed
            pass

    def _answer(self, state: Server, how: str) -> None:
        body = state.files.get(self.path, state.content)
        status, headers = 200, {"Content-Type": "application/octet-stream", **state.headers}
        asked = self.headers.get("Range")
        if how == "deaf":
            state.done.wait(30)
            return
        if how.isdigit() and how not in ("200", "204"):
            self.send_response(int(how))
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if how == "204":
            body, status = b"", 204
        if how == "redirect" and self.path != "/moved":
            body, status, headers = b"", 302, {"Location": state.elsewhere}
        if how == "redirect for ever":
            body, status, headers = b"", 302, {"Location": self.path}
        if how == "gzip" and "gzip" in self.headers.get("Accept-Encoding", ""):
            body, headers = gzip.compress(body), {"Content-Encoding": "gzip"}
        if how == "always gzip":
            body, headers = gzip.compress(body), {**headers, "Content-Encoding": "gzip"}
        if how == "gzip in gzip":
            body, headers = gzip.compress(gzip.compress(body)), {"Content-Encoding": "gzip, gzip"}
        if how in ("page", "page as text"):
            body = PAGE
        if how in ("page", "html type"):
            headers["Content-Type"] = "text/html; charset=utf-8"
        condition = self.headers.get("If-Range")
        fresh = condition in (None, headers.get("ETag"), headers.get("Last-Modified"))
        if asked and how in ("ranges", "gzip", "cut", "mute", "hang") and not fresh:
            asked = None
        if asked and how in ("ranges", "gzip", "cut", "stale ranges", "mute", "hang"):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return self.send_error(416)
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body, status = body[start:], 206
            if how == "mute":
                headers = {k: v for k, v in headers.items() if k not in ("ETag", "Last-Modified")}
        if asked and how == "other range":
            headers["Content-Range"] = f"bytes 0-{len(body) - 1}/{len(body)}"
            status = 206
        chunked = how.startswith("chunked")
        if chunked:
            self.protocol_version = "HTTP/1.1"
            self.close_connection = True
            headers |= {"Transfer-Encoding": "chunked", "Connection": "close"}
        self.send_response(status)
        if how != "no length" and not chunked:
            length = len(body) // 2 if how == "short" else len(body)
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        half = len(body) // 2
        self._send(state, body[:half], chunked)
        with state.lock:
            state.busy -= 1
        state.spy()
        if how == "hang":
            state.done.wait(30)
        elif "cut" not in how:
            self._send(state, body[half:], chunked)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")

    def _send(self, state: Server, data: bytes, chunked: bool) -> None:
        for start in range(0, len(data), state.block):
            if state.pause:
                time.sleep(state.pause)
            block = data[start : start + state.block]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
            state.first_byte.set()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serve(tls: ssl.SSLContext | None = None, **options: object) -> Iterator[Server]:
    """Run a server in threads of this process."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        scheme = "https" if tls else "http"
        if tls:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        http.state = Server(url=f"{scheme}://127.0.0.1:{http.server_port}", **options)
        http.handle_error = lambda *arguments: None
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield http.state
        finally:
            http.state.done.set()
            http.shutdown()
