"""Columns of text for a terminal, where a Hangul syllable takes two cells."""

import io
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table

WIDEST = 1000  # nothing is wrapped: lines are also read by other programs


def in_columns(rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    """Return a line for each row, cells of a column below each other; a short row ends early.

    Args:
        rows: the cells of each row; nothing in them is read as a mark-up.
        right: the columns (from 0) that end, instead of begin, below each other.
    """
    rows = list(rows)
    table = Table.grid(padding=(0, 2))
    for column in range(max(map(len, rows), default=0)):
        table.add_column(justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    lines = io.StringIO()
    Console(
        file=lines, width=WIDEST, color_system=None, markup=False, emoji=False, highlight=False
    ).print(table)
    return "\n".join(map(str.rstrip, lines.getvalue().splitlines()))
