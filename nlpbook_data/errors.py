"""The one exception for what a user can mend."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Bad input: the message names the file, the row, what was found and what to do.

    The recipes print it without a traceback and end with exit status 1.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean …?`` for up to three of `known` that resemble `word`, else ``""``."""
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""
