"""No token and no control character leaves the program."""

import logging

from nlpbook_data.outward import Formatter, printable, redact

TOKEN = "hf_" + "aB3" * 10


def test_a_token_is_redacted_wherever_it_stands(monkeypatch):
    monkeypatch.setenv("ANY_NAME", "hf_odd-one.123")
    monkeypatch.setattr("sys.argv", ["doccls.py", "--hub_token", "other-secret"])
    text = f"https://{TOKEN}@host/a hf_odd-one.123 other-secret https://me:word@host"
    assert redact(text) == "https://<token>@host/a <token> <token> https://<token>@host"
    assert redact("/tmp/hf_home/models--hf_transfer") == "/tmp/hf_home/models--hf_transfer"


def test_a_terminal_is_not_steered():
    assert printable("가\x1b[2J\u202e\t나\n") == "가\\x1b[2J\\u202e\t나\n"
    record = logging.LogRecord("a", logging.INFO, "", 0, "%s", (f"\x07{TOKEN}",), None)
    assert Formatter("%(message)s").format(record) == "\\x07<token>"
