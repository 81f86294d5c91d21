"""An audit as a table for the terminal, as one HTML page in Korean, and as JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from nlpbook_data.audit.figures import FINDINGS, INFORMATION, Audit, Balance, Finding, Lengths
from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError
from nlpbook_data.language import is_korean, spoken
from nlpbook_data.reports.columns import in_columns
from nlpbook_data.reports.pages import render

MOST_POINTS = 4
MOST_COPIES = 3
WORDS = {"answerable": "정답 있음", "unanswerable": "정답 없음"}


def write_audit(audit: Audit, folder: Path) -> list[Path]:
    """Write ``audit.json`` and ``audit.html`` into `folder`, each atomically; return the paths.

    Raises:
        InputError: the folder cannot be written.
    """
    paths = [folder / "audit.json", folder / "audit.html"]
    data = json.dumps(asdict(audit), ensure_ascii=False, indent=1, allow_nan=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(paths[0], data + "\n")
        write_text(paths[1], make_page(audit))
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}). Name another --output_dir, "
            "or free space."
        ) from error
    return paths


def _counts(audit: Audit) -> Iterator[tuple[str, str, list[int | str]]]:
    """Yield an English and a Korean name, and the count in each split, empty where there is none.

    The first is the number of rows.
    """
    splits = audit.splits.values()
    yield "rows", "행", [s.rows for s in splits]
    yield "texts that have copies", "사본이 있는 글", [s.copies.texts for s in splits]
    yield "  extra copies", "사본 (처음 것은 빼고)", [s.copies.extra_rows for s in splits]
    for other in audit.splits if len(splits) > 1 else ():
        rows = {o.split: o.rows for o in audit.overlaps if o.other == other}
        both = [rows.get(split, "") for split in audit.splits]
        yield f"rows that stand in {other} too", f"{other}에도 있는 행", both
    for column in audit.conflicts:
        texts = [s.conflicts[column].texts if column in s.conflicts else "" for s in splits]
        yield f"texts with conflicting {column}", f"같은 글, 다른 {column}: 글", texts


def _cuts(audit: Audit) -> Iterator[tuple[str, list[str]]]:
    """Yield a number of tokens, and the share of rows in each split that it truncates."""
    splits = [(s.tokens, s.rows) for s in audit.splits.values() if s.tokens]
    for most in splits[0][0].over if splits else ():
        yield most, [_share(tokens.over[most], rows) for tokens, rows in splits]


def make_page(audit: Audit) -> str:
    """Return the page of `audit`."""
    splits = audit.splits
    overview: list[list] = [[korean, *values] for _, korean, values in _counts(audit)]
    overview.insert(1, ["출처", *(s.source for s in splits.values())])
    overview += [[f"{most} 토큰에서 잘리는 행", *cut] for most, cut in _cuts(audit)]
    lengths = [
        (f"{column}, 글자 수", [(split, s.characters[column]) for split, s in splits.items()])
        for column in audit.texts
    ]
    if audit.tokenizer:
        tokens = [(split, s.tokens) for split, s in splits.items() if s.tokens]
        lengths.append(("모델 입력, 토큰 수", tokens))
    findings, examples = [], []
    for name, found in audit.found().items():
        findings.append([FINDINGS[name], *(f.rows for f in found.values())])
        seen = ", ".join(f"{point} {count:,}" for point, count in _most_common(found.values(), 8))
        rows = [[split, e.row, e.text] for split, f in found.items() for e in f.examples]
        examples.append((FINDINGS[name] + (f": {seen}" if seen else ""), rows))
    return render(
        "audit.html",
        title=f"{audit.name} 말뭉치 점검",
        audit=audit,
        splits=splits,
        overview=overview,
        labels=list(dict.fromkeys(column for s in splits.values() for column in s.labels)),
        lengths=lengths,
        overlaps=[[o.split, o.other, o.rows, *o.columns.values()] for o in audit.overlaps],
        alone=[f"{column}만" for column in audit.texts if len(audit.texts) > 1],
        findings=findings,
        examples=examples,
        share=_share,
        words=WORDS,
    )


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
    for name, _, values in _counts(audit):
        yield [spoken(name), *(f"{n:,}" if isinstance(n, int) else n for n in values)]
    for column in audit.texts:
        yield from _lengths(f"characters of {column}", [s.characters[column] for s in splits])
    if tokens := [s.tokens for s in splits if s.tokens]:
        yield from _lengths("tokens of an input", tokens)
        yield from ([spoken(f"  cut at {most}"), *cut] for most, cut in _cuts(audit))
    for name, found in audit.found().items():
        information = " (information)" if name in INFORMATION else ""
        row = FINDINGS[name] if is_korean() else f"rows, {_title(name)}{information}"
        points = [] if information else _most_common(found.values(), MOST_POINTS)
        remark = " ".join(point for point, _ in points)
        yield [row, *(f"{finding.rows:,}" for finding in found.values()), remark]


def _title(finding: str) -> str:
    return FINDINGS[finding] if is_korean() else finding.replace("_", " ")


def _most_common(findings: Iterable[Finding], most: int) -> list[tuple[str, int]]:
    """Return the code points that occur most often in `findings`, with their counts."""
    return sum((Counter(found.characters) for found in findings), Counter()).most_common(most)


def _share(part: int, whole: int) -> str:
    """Return e.g. ``12.3 %``; a share above zero is never shown as ``0 %``."""
    percent = 100 * part / whole if whole else 0.0
    return "0 %" if not part else f"{percent:.2g} %" if percent < 0.1 else f"{percent:.1f} %"


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
            yield [f"  {label}", *map(_share, counts, totals)]
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
        yield f"  {_title(name)}"
        for split, finding in found.items():
            for example in finding.examples[:2]:
                yield f"    {split} {example.row:>9}  {example.text}"
