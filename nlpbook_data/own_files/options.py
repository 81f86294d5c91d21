"""How the user's own files are read where there is a choice, and what was noticed in them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

REPEATED = ("refuse", "first", "skip")


@dataclass(frozen=True)
class Options:
    """What the options of a recipe or of ``check`` say.

    Attributes:
        sheet_name: of a workbook; the first by default.
        ner_tag_names: what the numbers in ``ner_tags`` stand for, in their order.
        repeated_answers: what becomes of an answer without an offset that stands more than once
            in its context: refuse, first (the first place counts) or skip (the row is left out).
        notes: what is worth saying, and how many rows it is about.
    """

    sheet_name: str | None = None
    ner_tag_names: Sequence[str] = ()
    repeated_answers: str = "refuse"
    notes: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """Return the notes as lines, each with its count."""
        return [f"{count:,} {note}" for note, count in self.notes.items()]
