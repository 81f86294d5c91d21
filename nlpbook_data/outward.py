"""Clean output for terminals and files: no secrets, no control characters."""

import contextlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from nlpbook_data.language import spoken

TOKEN = re.compile(r"hf_(?:oauth_|jwt_)?[A-Za-z0-9]{20,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
# A token in an environment variable of any name; unlike a path it has no slash.
IN_ENVIRONMENT = re.compile(r"hf_[^\s/]{8,}")
OF_CONFIG = "NLPBOOK_HUB_TOKEN"  # the token of a YAML, which reaches child processes too
NAMED = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", OF_CONFIG)
# Control characters (C0 and C1 except tab and line break), and marks of writing direction.
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LONG = re.compile(r"\S{400,}")


def secrets() -> set[str]:
    """Return the tokens in the environment, on the command line and in its ``--config``."""
    found = {value for value in os.environ.values() if IN_ENVIRONMENT.fullmatch(value)}
    found |= {value for name in NAMED if len(value := os.environ.get(name, "")) > 7}
    for word, after in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("--") and name.endswith("token"):
            found.add(value if equals else after)
    return {value for value in found if value}


def redact(text: str) -> str:
    """Return `text` with ``<token>`` in place of each token and password."""
    for secret in sorted(secrets(), key=len, reverse=True):
        text = text.replace(secret, "<token>")
    return TOKEN.sub("<token>", text)


def printable(text: str) -> str:
    r"""Return `text` for a terminal: redacted, control characters as ``\x1b``."""
    text = redact(text).replace("\r\n", "\n")
    return STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def shortened(text: str) -> str:
    """Return `text` with each run of 400 characters or more without a blank cut to 40."""
    return LONG.sub(lambda found: f"{found[0][:40]}… ({len(found[0]):,} characters)", text)


def complain(message: object) -> None:
    """Print ``error: message`` to stderr, in the language of the terminal."""
    text = shortened(str(message))
    sys.stderr.write(printable(f"{spoken('error')}: {spoken(text)}\n"))


@contextlib.contextmanager
def closable_stdout() -> Iterator[None]:
    """Let the reader of stdout close it before the end, as ``| head`` does: that is no error."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Formatter(logging.Formatter):
    """Makes log lines `printable`, in the language of the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(spoken(super().format(record)))


def set_up_outputs() -> None:
    """Log to stderr, and print uncaught exceptions there, as `printable` text."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # cp949 lacks ⟨ and some Hangul
            stream.reconfigure(errors="replace")

    def show(*error: Any) -> None:
        sys.stderr.write(printable("".join(traceback.format_exception(*error))))

    sys.excepthook = show
