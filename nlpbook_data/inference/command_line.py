"""The command line of the recipes that use a finished model: predict, export, demo and serve."""

import argparse
from typing import Any, NoReturn

from nlpbook_data.language import spoken
from nlpbook_data.outward import printable, shortened


class Parser(argparse.ArgumentParser):
    """argparse with messages in the language of the terminal and without tokens."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(spoken(shortened(message))))


class _Speaking(Parser):
    """The same, with help in that language too."""

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        settings["help"] = spoken(settings.get("help") or "")
        return super().add_argument(*names, **settings)


def new_parser(text: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a recipe's docstring: first line, options, then the rest.

    Args:
        text: the recipe's ``__doc__``; None if Python runs without docstrings (``-OO``).
    """
    summary, _, more = (text or "").partition("\n")
    return _Speaking(
        description=spoken(summary),
        epilog=spoken(more),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
