"""An audit as a table for the terminal, and as files."""

import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from nlpbook_data.audit.figures import Audit, Conflict, Lengths, SplitAudit
from nlpbook_data.audit.page import INFORMATION, make_page, share
from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError

MOST_POINTS = 4
MOST_COPIES = 3
LABEL_WIDTH = 42


def write_audit(audit: Audit, folder: Path) -> list[Path]:
    """Write ``audit.json`` and ``audit.html`` into `folder`, each atomically; return the paths.

    Raises:
        InputError: the folder cannot be written.
    """
    paths = [folder / "audit.json", folder / "audit.html"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(paths[0], to_json(audit))
        write_text(paths[1], make_page(audit))
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}). Name another --output_dir, "
            "or free space."
        ) from error
    return paths


def to_json(audit: Audit) -> str:
    """Return the audit as JSON; its fields are those of the dataclasses of `figures`."""
    return json.dumps(asdict(audit), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def format_audit(audit: Audit) -> str:
    """Return the audit as a table with a column for each split, and the examples below it."""
    commercial = "" if audit.commercial else " (no commercial use)"
    lines = [f"{audit.name}: {audit.title}", f"licence {audit.license}{commercial}", audit.homepage]
    lines += [f"{split}: {found.source}" for split, found in audit.splits.items()]
    lines += ["", *_table(audit), *_section("labels", _labels(audit))]
    lines += _section("rows whose texts stand in another split", _overlaps(audit))
    lines += _section("equal texts, different labels", _conflicts(audit))
    lines += _section("most copied texts", _copied(audit))
    lines += _section("examples (rows count from 0)", _examples(audit))
    return "\n".join(lines)


def _section(title: str, lines: Iterator[str]) -> list[str]:
    lines = list(lines)
    return ["", title, *lines] if lines else []


def _table(audit: Audit) -> Iterator[str]:
    splits = list(audit.splits.values())
    width = max([12, *(len(split) + 2 for split in audit.splits)])

    def row(name: str, value: Callable[[SplitAudit], object]) -> str:
        cells = [value(split) for split in splits]
        return _line(name, [f"{c:,}" if isinstance(c, int) else str(c) for c in cells], width)

    yield _line("", list(audit.splits), width)
    yield row("rows", lambda s: s.rows)
    yield row("texts that have copies", lambda s: s.copies.texts)
    yield row("  extra copies", lambda s: s.copies.extra_rows)
    for split in audit.splits:
        if len(splits) > 1:
            rows = {o.split: o.rows for o in audit.overlaps if o.other == split}
            cells = [f"{rows[s]:,}" if s in rows else "" for s in audit.splits]
            yield _line(f"rows that stand in {split} too", cells, width)
    for column in splits[0].conflicts if splits else ():
        yield row(f"texts with conflicting {column}", lambda s, c=column: s.conflicts[c].texts)
    for column in audit.texts:
        yield row(
            f"characters of {column}, mean", lambda s, c=column: f"{s.characters[c].mean:.1f}"
        )
        yield row("  median / p95", lambda s, c=column: _pair(s.characters[c], "median", "p95"))
        yield row("  p99 / longest", lambda s, c=column: _pair(s.characters[c], "p99", "max"))
    if audit.tokenizer:
        yield row("tokens of an input, mean", lambda s: f"{s.tokens.mean:.1f}")
        yield row("  median / p95", lambda s: _pair(s.tokens, "median", "p95"))
        yield row("  p99 / longest", lambda s: _pair(s.tokens, "p99", "max"))
        for most in splits[0].tokens.over if splits else ():
            yield row(f"  cut at {most}", lambda s, m=most: share(s.tokens.over[m], s.rows))
    for name in found_in(audit):
        points = {}
        for split in splits:
            for point, count in getattr(split.findings.get(name), "characters", {}).items():
                points[point] = points.get(point, 0) + count
        common = sorted(points, key=points.get, reverse=True)[:MOST_POINTS]
        kinds = f"  {' '.join(common)}" if common and name not in INFORMATION else ""
        note = " (information)" if name in INFORMATION else ""
        yield (
            row(
                f"rows, {name.replace('_', ' ')}{note}",
                lambda s, n=name: s.findings[n].rows if n in s.findings else 0,
            )
            + kinds
        )


def found_in(audit: Audit) -> list[str]:
    """Return the names of what was found in any split, in the order of `scan`."""
    return list(dict.fromkeys(name for split in audit.splits.values() for name in split.findings))


def _pair(lengths: Lengths, first: str, second: str) -> str:
    return f"{getattr(lengths, first):,} / {getattr(lengths, second):,}"


def _line(name: str, cells: Sequence[str], width: int) -> str:
    return _pad(name, LABEL_WIDTH) + "".join(f"{cell:>{width + 2}}" for cell in cells)


def _pad(text: str, width: int) -> str:
    """Pad to columns of a terminal, where a Hangul syllable takes two."""
    shown = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return text + " " * max(width - shown, 1)


def _labels(audit: Audit) -> Iterator[str]:
    splits = list(audit.splits.values())
    width = max([12, *(len(split) + 2 for split in audit.splits)])
    for column in dict.fromkeys(column for split in splits for column in split.labels):
        balances = [split.labels.get(column) for split in splits]
        unit = next(balance.unit for balance in balances if balance)
        totals = [sum(balance.counts.values()) if balance else 0 for balance in balances]
        yield _line(f"{column}, {unit}", [f"{total:,}" for total in totals], width)
        for label in dict.fromkeys(label for b in balances if b for label in b.counts):
            counts = [balance.counts.get(label, 0) if balance else 0 for balance in balances]
            cells = [share(count, total) for count, total in zip(counts, totals, strict=True)]
            yield _line(f"  {label}", cells, width)
        if any(balance.none for balance in balances if balance):
            name = "  rows without" if unit == "entities" else "  unlabelled"
            yield _line(name, [f"{b.none:,}" if b else "" for b in balances], width)


def _overlaps(audit: Audit) -> Iterator[str]:
    for overlap in audit.overlaps:
        columns = [f"{column} alone {rows:,}" for column, rows in overlap.columns.items()]
        if overlap.rows or any(overlap.columns.values()):
            numbers = ", ".join([f"{overlap.rows:,} rows", *columns])
            yield f"  {overlap.split} in {overlap.other}: {numbers}"
            for example in overlap.examples[:2]:
                yield f"    {example.row:>9}  {example.text}"


def _conflicts(audit: Audit) -> Iterator[str]:
    for column, conflict in audit.conflicts.items():
        if conflict.texts:
            yield f"  {column}: {describe(conflict)}, all splits together"
            for example in conflict.examples:
                labels = [f"{found['label']} ×{found['rows']:,}" for found in example["labels"]]
                yield f"    {example['text']}  →  {' | '.join(labels)}"


def describe(conflict: Conflict) -> str:
    """Return a conflict's numbers in words."""
    outvoted = f", {conflict.outvoted:,} of them outvoted" if conflict.outvoted else ""
    return f"{conflict.texts:,} texts in {conflict.rows:,} rows{outvoted}"


def _copied(audit: Audit) -> Iterator[str]:
    for split, found in audit.splits.items():
        if found.copies.most:
            yield f"  {split}"
            for copy in found.copies.most[:MOST_COPIES]:
                yield f"    {copy['rows']:>9,} ×  {copy['text']}"


def _examples(audit: Audit) -> Iterator[str]:
    for name in found_in(audit):
        if name in INFORMATION:
            continue
        yield f"  {name.replace('_', ' ')}"
        for split, found in audit.splits.items():
            for example in found.findings[name].examples[:2] if name in found.findings else ():
                yield f"    {split} {example.row:>9}  {example.text}"
