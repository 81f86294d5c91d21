"""The command line of the recipes that use a finished model: predict, export, demo and serve."""

import argparse
import re
import sys
from functools import partial
from typing import Any, NoReturn

from nlpbook_data.errors import InputError
from nlpbook_data.language import is_korean, spoken
from nlpbook_data.outward import printable, shortened

HEADINGS = re.compile(r"^(usage|positional arguments|options):", re.MULTILINE)
KOREAN_WIDTH = 70  # a syllable has two cells


class Parser(argparse.ArgumentParser):
    """argparse whose help and messages are in the language of the terminal and print no token."""

    def __init__(self, **settings: Any):
        if is_korean():
            formatter = settings.get("formatter_class", argparse.HelpFormatter)
            settings["formatter_class"] = partial(formatter, width=KOREAN_WIDTH)
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        said = printable(spoken(shortened(message)))
        self.exit(2, f"{self.prog}: {spoken('error')}: {said}\n")

    def format_help(self) -> str:
        return HEADINGS.sub(lambda found: spoken(found[0]), super().format_help())

    def format_usage(self) -> str:
        return HEADINGS.sub(lambda found: spoken(found[0]), super().format_usage())

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        settings["help"] = spoken(settings.get("help") or "")
        return super().add_argument(*names, **settings)


def new_parser(text: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a recipe's docstring: first line, options, then the rest.

    Args:
        text: the recipe's ``__doc__``; None if Python runs without docstrings (``-OO``).
    """
    summary, _, more = spoken(text or "").partition("\n")
    return Parser(
        description=summary,
        epilog=more,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def check_positive(options: argparse.Namespace, *names: str) -> None:
    """Refuse an option below 1; None is one that was not given."""
    for name in names:
        if (value := getattr(options, name)) is not None and value < 1:
            raise InputError(f"--{name} {value}: it must be 1 or more.")
