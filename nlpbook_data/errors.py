"""The exception for errors that a user can fix, and helpers for its messages."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice


class InputError(Exception):
    """Bad input: the message names the file, the row, what was found and what to do.

    The recipes print it without a traceback and end with exit status 1.
    """


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Say which extra of this package has what cannot be imported."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"Not installed ({first_line(error)}): pip install 'nlpbook-recipes[{extra}]'."
        ) from error


def shown(names: Iterable[object]) -> str:
    """Return up to 20 `names`, each cut to 40 characters, for one line of a message."""
    cut = (" ".join(str(name)[:40].split()) for _, name in zip(range(20), names, strict=False))
    return ", ".join(cut).encode("utf-8", "backslashreplace").decode()


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean …?`` for up to three of `known` that resemble `word`, else ``""``.

    A name that contains `word` as a word comes first: gold_label for label.
    """
    some = [str(name)[:100] for name in islice(known, 2000)]  # so many take milliseconds
    close = [name for name in some if word.lower() in re.split(r"[-_. ]", name.lower())]
    close += difflib.get_close_matches(word[:100], some, n=3, cutoff=0.5)
    close = list(dict.fromkeys(close))[:3]
    return f" Did you mean {' or '.join(map(shown, zip(close)))}?" if close else ""


def first_line(error: BaseException) -> str:
    """Return the first line of the message of `error`, or the name of its type without one."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
