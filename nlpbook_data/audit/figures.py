"""The figures of an audit, as dataclasses that JSON can hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_EXAMPLES = 5
# Two float labels of one text conflict where they are further apart.
FLOAT_CONFLICT = 1.0


@dataclass(frozen=True)
class Example:
    """A row (counted from 0) and what was seen there; invisible characters as ``⟨U+200B⟩``."""

    row: int
    text: str


@dataclass
class Finding:
    """Rows that have something, how often they have it, and the first of them.

    `characters` counts the code points where the finding is a kind of character.
    """

    rows: int = 0
    count: int = 0
    examples: list[Example] = field(default_factory=list)
    characters: dict[str, int] = field(default_factory=dict)

    def add(self, rows: Sequence[int], count: int, example: Callable[[int], str]) -> None:
        """Count `rows`, of which the n-th looks like ``example(n)``."""
        for n in range(min(len(rows), MOST_EXAMPLES - len(self.examples))):
            self.examples.append(Example(int(rows[n]), example(n)))
        self.rows += len(rows)
        self.count += int(count)


@dataclass(frozen=True)
class Lengths:
    """Lengths of the rows: percentiles are lengths that occur (the smallest that p % reach).

    `over` has the rows with more tokens than 128, 256 and 512: what a model of that many
    positions cuts. `counts` are the rows between two of `edges` (the first included); the last
    one holds all that is longer than the last edge.
    """

    mean: float
    median: int
    p95: int
    p99: int
    max: int
    over: dict[str, int]
    edges: list[int]
    counts: list[int]


@dataclass(frozen=True)
class Balance:
    """How often each label occurs.

    `unit` is what is counted: rows, entities, answers or values (bins of a float label). `none`
    counts unlabelled rows (-1 or null) or, of entities, rows without any.
    """

    unit: str
    counts: dict[str, int]
    none: int


@dataclass(frozen=True)
class Copies:
    """Equal texts within a split: texts that occur more than once, and rows beyond the first.

    `most` has the texts that occur most often: ``{"rows", "row" (the first), "text"}``.
    """

    texts: int
    extra_rows: int
    most: list[dict[str, Any]]


@dataclass(frozen=True)
class Conflict:
    """Equal texts with different labels: texts, their rows, and rows that the majority outvotes.

    No classifier of the text can be right on the outvoted rows. Float labels conflict where they
    are more than `FLOAT_CONFLICT` apart; none is outvoted. Examples are the texts with most rows:
    ``{"text", "labels": [{"label", "rows", "split", "row" (the first)}]}``.
    """

    texts: int
    rows: int
    outvoted: int
    examples: list[dict[str, Any]]


@dataclass(frozen=True)
class Overlap:
    """Rows of `split` whose texts stand in `other` too: all of them, and column by column.

    A column's text may stand in any text column of the other split.
    """

    split: str
    other: str
    rows: int
    columns: dict[str, int]
    examples: list[Example]


@dataclass(frozen=True)
class SplitAudit:
    """The figures of one split."""

    rows: int
    source: str
    copies: Copies
    labels: dict[str, Balance]
    conflicts: dict[str, Conflict]
    characters: dict[str, Lengths]
    tokens: Lengths | None
    findings: dict[str, Finding]


@dataclass(frozen=True)
class Audit:
    """The figures of a corpus; ``dataclasses.asdict`` makes it JSON.

    `conflicts` are those of all splits together, by label column.
    """

    name: str
    title: str
    task: str
    license: str
    commercial: bool
    homepage: str
    texts: list[str]
    tokenizer: str
    splits: dict[str, SplitAudit]
    overlaps: list[Overlap]
    conflicts: dict[str, Conflict]
