"""Align columns of text for a terminal; a Hangul syllable is two cells wide."""

import io
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table

WIDEST = 1000  # lines are not wrapped, because other programs read them too


def in_columns(rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    """Return a line for each row, with aligned columns; a short row ends early.

    Args:
        rows: the cells of each row; they are not parsed as markup.
        right: the numbers (from 0) of right-aligned columns.
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
