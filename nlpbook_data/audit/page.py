"""An audit as one HTML page in Korean."""

from collections.abc import Iterator

from nlpbook_data.audit.figures import FINDINGS, Audit, most_common, share
from nlpbook_data.reports.pages import render

WORDS = {"answerable": "정답 있음", "unanswerable": "정답 없음"}


def make_page(audit: Audit) -> str:
    """Return the page of `audit`."""
    splits = audit.splits
    lengths = [
        (f"{column}, 글자 수", [(split, s.characters[column]) for split, s in splits.items()])
        for column in audit.texts
    ]
    if audit.tokenizer:
        tokens = [(split, s.tokens) for split, s in splits.items() if s.tokens]
        lengths.append(("모델 입력, 토큰 수", tokens))
    return render(
        "audit.html",
        title=f"{audit.name} 말뭉치 점검",
        audit=audit,
        splits=splits,
        overview=list(_overview(audit)),
        labels=list(dict.fromkeys(column for s in splits.values() for column in s.labels)),
        lengths=lengths,
        overlaps=[[o.split, o.other, o.rows, *o.columns.values()] for o in audit.overlaps],
        alone=[f"{column}만" for column in audit.texts if len(audit.texts) > 1],
        findings=[
            [FINDINGS[name], *(finding.rows for finding in found.values())]
            for name, found in audit.found().items()
        ],
        examples=list(_examples(audit)),
        share=share,
        words=WORDS,
    )


def _overview(audit: Audit) -> Iterator[list[object]]:
    """Yield the name of each row, and its figure in each split."""
    splits = audit.splits.values()
    yield ["행", *(s.rows for s in splits)]
    yield ["출처", *(s.source for s in splits)]
    yield ["사본이 있는 글", *(s.copies.texts for s in splits)]
    yield ["사본 (처음 것은 빼고)", *(s.copies.extra_rows for s in splits)]
    for other in audit.splits if len(splits) > 1 else ():
        rows = {o.split: o.rows for o in audit.overlaps if o.other == other}
        yield [f"{other}에도 있는 행", *(rows.get(split, "") for split in audit.splits)]
    for column in audit.conflicts:
        texts = [s.conflicts[column].texts if column in s.conflicts else "" for s in splits]
        yield [f"같은 글, 다른 {column}: 글", *texts]
    tokens = [s.tokens for s in splits if s.tokens]
    for most in tokens[0].over if tokens else ():
        cut = [share(t.over[most], s.rows) for t, s in zip(tokens, splits, strict=True)]
        yield [f"{most} 토큰에서 잘리는 행", *cut]


def _examples(audit: Audit) -> Iterator[tuple[str, list[list[object]]]]:
    """Yield each finding's title and examples: split, row, text."""
    for name, found in audit.found().items():
        seen = ", ".join(f"{point} {count:,}" for point, count in most_common(found.values(), 8))
        rows = [
            [split, example.row, example.text]
            for split, finding in found.items()
            for example in finding.examples
        ]
        yield FINDINGS[name] + (f": {seen}" if seen else ""), rows
