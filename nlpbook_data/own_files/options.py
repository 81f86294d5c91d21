"""Options for reading the user's own files, and notes about these files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

REPEATED = ("refuse", "first", "skip")


@dataclass(frozen=True)
class Options:
    """The options of a recipe or of ``check``.

    Attributes:
        sheet_name: the sheet of a workbook; by default the first.
        ner_tag_names: the names of the numbers in ``ner_tags``, in their order.
        repeated_answers: how to handle an answer without an offset that occurs more than once in
            its context: refuse, first (the first occurrence counts) or skip (the row is left out).
        notes: remarks, each with its number of rows (or of columns).
    """

    sheet_name: str | None = None
    ner_tag_names: Sequence[str] = ()
    repeated_answers: str = "refuse"
    notes: Counter[str] = field(default_factory=Counter)

    def note_unread(self, names: Sequence[str]) -> None:
        """Note which columns of a file are not used."""
        if names:
            some = ", ".join([*names[:5], *(["…"] if len(names) > 5 else [])])
            self.notes[f"of its columns left unread: {some}"] = len(names)

    def lines(self) -> list[str]:
        """Return the notes as lines, each with its count."""
        return [f"{count:,} {note}" for note, count in self.notes.items()]
