"""The command line of the recipes that take a finished model: predict, export, demo and serve."""

import argparse


def new_parser(text: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a recipe's docstring: its first line, options, then the rest.

    Args:
        text: the recipe's ``__doc__``; None where Python left docstrings out (``-OO``).
    """
    summary, _, more = (text or "").partition("\n")
    return argparse.ArgumentParser(
        description=summary,
        epilog=more,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
