"""An audit as a table for the terminal, and as files."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from nlpbook_data.audit.figures import (
    FINDINGS,
    INFORMATION,
    Audit,
    Balance,
    Lengths,
    most_common,
    share,
)
from nlpbook_data.audit.page import make_page
from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError
from nlpbook_data.language import is_korean, spoken
from nlpbook_data.reports.columns import in_columns

MOST_POINTS = 4
MOST_COPIES = 3


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
    licence = spoken(f"licence {audit.license}") + spoken(commercial)
    lines = [f"{audit.name}: {audit.title}", licence, audit.homepage]
    lines += [f"{split}: {spoken(found.source)}" for split, found in audit.splits.items()]
    figures = [["", *audit.splits], *_figures(audit), *_labels(audit)]
    lines += ["", in_columns(figures, right=range(1, len(audit.splits) + 1))]
    for title, section in {
        "rows whose texts stand in another split": _overlaps(audit),
        "equal texts, different labels": _conflicts(audit),
        "most copied texts": _copied(audit),
        "examples (rows count from 0)": _examples(audit),
    }.items():
        found = list(section)
        lines += ["", spoken(title), *found] if found else []
    return "\n".join(lines)


def _figures(audit: Audit) -> Iterator[list[str]]:
    """Yield the name of each row, its figure in each split, and a remark."""
    splits = list(audit.splits.values())

    def counts(name: str, values: Iterable[int | str]) -> list[str]:
        return [
            spoken(name),
            *(f"{value:,}" if isinstance(value, int) else value for value in values),
        ]

    yield counts("rows", (s.rows for s in splits))
    yield counts("texts that have copies", (s.copies.texts for s in splits))
    yield counts("  extra copies", (s.copies.extra_rows for s in splits))
    for other in audit.splits if len(splits) > 1 else ():
        rows = {o.split: o.rows for o in audit.overlaps if o.other == other}
        yield counts(f"rows that stand in {other} too", (rows.get(s, "") for s in audit.splits))
    for column in audit.conflicts:
        texts = (s.conflicts[column].texts if column in s.conflicts else "" for s in splits)
        yield counts(f"texts with conflicting {column}", texts)
    for column in audit.texts:
        yield from _lengths(f"characters of {column}", [s.characters[column] for s in splits])
    if tokens := [s.tokens for s in splits if s.tokens]:
        yield from _lengths("tokens of an input", tokens)
        for most in tokens[0].over:
            cut = (share(t.over[most], s.rows) for t, s in zip(tokens, splits, strict=True))
            yield [spoken(f"  cut at {most}"), *cut]
    for name, found in audit.found().items():
        information = name in INFORMATION
        row = f"rows, {name.replace('_', ' ')}{' (information)' if information else ''}"
        row = FINDINGS[name] if is_korean() else row
        points = [] if information else most_common(found.values(), MOST_POINTS)
        remark = " ".join(point for point, _ in points)
        yield [*counts(row, (finding.rows for finding in found.values())), remark]


def _lengths(name: str, lengths: list[Lengths]) -> Iterator[list[str]]:
    yield [f"{spoken(name)}, {spoken('mean')}", *(f"{s.mean:.1f}" for s in lengths)]
    yield [spoken("  median / p95"), *(f"{s.median:,} / {s.p95:,}" for s in lengths)]
    yield [spoken("  p99 / longest"), *(f"{s.p99:,} / {s.max:,}" for s in lengths)]


def _labels(audit: Audit) -> Iterator[list[str]]:
    """Yield a row for each label with its share in each split."""
    splits = list(audit.splits.values())
    columns = dict.fromkeys(column for split in splits for column in split.labels)
    if columns:
        yield from ([], [spoken("labels")])
    for column in columns:
        balances = [split.labels.get(column, Balance("", {}, 0)) for split in splits]
        unit = next(balance.unit for balance in balances if balance.unit)
        totals = [sum(balance.counts.values()) for balance in balances]
        yield [f"{column}, {spoken(unit)}", *(f"{total:,}" for total in totals)]
        for label in dict.fromkeys(label for balance in balances for label in balance.counts):
            counts = [balance.counts.get(label, 0) for balance in balances]
            yield [f"  {label}", *map(share, counts, totals)]
        if any(balance.none for balance in balances):
            name = "  rows without" if unit == "entities" else "  unlabelled"
            yield [spoken(name), *(f"{balance.none:,}" for balance in balances)]


def _overlaps(audit: Audit) -> Iterator[str]:
    for overlap in audit.overlaps:
        columns = [spoken(f"{name} alone {rows:,}") for name, rows in overlap.columns.items()]
        if overlap.rows or any(overlap.columns.values()):
            numbers = ", ".join([spoken(f"{overlap.rows:,} rows"), *columns])
            here, there = overlap.split, overlap.other
            place = f"{here}: {there}에도 있음" if is_korean() else f"{here} in {there}"
            yield f"  {place}: {numbers}"
            for example in overlap.examples[:2]:
                yield f"    {example.row:>9}  {example.text}"


def _conflicts(audit: Audit) -> Iterator[str]:
    for column, found in audit.conflicts.items():
        if found.texts:
            numbers = (
                f"{found.texts:,} texts in {found.rows:,} rows"
                f"{f', {found.outvoted:,} of them outvoted' if found.outvoted else ''}"
            )
            yield spoken(f"  {column}: {numbers}, all splits together")
            for example in found.examples:
                labels = " | ".join(f"{vote.label} ×{vote.rows:,}" for vote in example.labels)
                yield f"    {example.text}  →  {labels}"


def _copied(audit: Audit) -> Iterator[str]:
    for split, found in audit.splits.items():
        if found.copies.most:
            yield f"  {split}"
            for copy in found.copies.most[:MOST_COPIES]:
                yield f"    {copy.rows:>9,} ×  {copy.text}"


def _examples(audit: Audit) -> Iterator[str]:
    for name, found in audit.found().items():
        if name in INFORMATION:
            continue
        yield f"  {FINDINGS[name] if is_korean() else name.replace('_', ' ')}"
        for split, finding in found.items():
            for example in finding.examples[:2]:
                yield f"    {split} {example.row:>9}  {example.text}"
