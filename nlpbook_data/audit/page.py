"""An audit as one HTML page in Korean: no script, nothing loaded, every text escaped."""

from collections.abc import Iterator, Sequence
from html import escape

from nlpbook_data.audit.figures import Audit, Balance, Lengths

STYLE = """
:root { color-scheme: light; }
body {
  font: 16px/1.55 "Noto Sans KR", "Apple SD Gothic Neo", "Malgun Gothic", NanumGothic, sans-serif;
  color: #1b2430; background: #fff; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
}
h1 { margin-bottom: 0; }
h2 { margin-top: 2.6rem; border-bottom: 2px solid #dfe5ec; }
h3 { margin: 1.2rem 0 .3rem; font-size: 1rem; }
.quiet { color: #5d6875; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e8edf2; }
th, td { text-align: left; vertical-align: top; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.t { overflow-wrap: anywhere; }
.charts { display: grid; gap: 0 1.5rem; }
.charts { grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }
svg { width: 100%; height: auto; }
svg text { font-size: 11px; fill: #5d6875; }
.bar { background: #4c72b0; height: .8rem; min-width: 1px; display: inline-block; }
summary { cursor: pointer; }
"""
WORDS = {
    "empty": "빈 글",
    "blank": "공백뿐인 글",
    "blank_edge": "앞이나 뒤에 공백",
    "one_character": "한 글자",
    "very_long": "아주 긴 글 (중앙값의 10배 초과)",
    "equal_sides": "양쪽이 같은 쌍",
    "not_NFC": "NFC가 아닌 글",
    "unknown_token": "어휘에 없는 토큰",
    "NUL": "NUL",
    "control": "제어 문자",
    "replacement": "깨진 글자 (U+FFFD)",
    "zero_width": "폭이 없는 문자",
    "byte_order_mark": "BOM (U+FEFF)",
    "bidi_mark": "쓰기 방향 표시",
    "hangul_filler": "한글 채움 문자",
    "private_use": "사용자 정의 영역",
    "noncharacter": "문자가 아닌 코드",
    "compatibility_ideograph": "호환용 한자",
    "odd_blank": "특수 공백 (NBSP 등)",
    "tab_or_line_break": "탭, 줄바꿈 (참고)",
    "conjoining_jamo": "첫가끝 자모 (NFD)",
    "lone_jamo": "낱자모 ㅋㅋ, ㅠㅠ (참고)",
    "HTML_entity": "HTML 엔티티",
    "HTML_tag": "HTML 태그",
    "mojibake": "잘못 디코딩된 글",
    "span_out_of_range": "글 밖의 개체 위치",
    "span_with_blank_edge": "공백으로 시작하거나 끝나는 개체",
    "spans_overlap": "겹치는 개체",
    "answer_not_at_start": "위치에 없는 정답",
    "answer_with_blank_edge": "공백으로 시작하거나 끝나는 정답",
    "span_is_another_text": "위치와 다른 글",
    "rows": "행",
    "entities": "개체",
    "answers": "질문",
    "values": "값",
    "answerable": "정답 있음",
    "unanswerable": "정답 없음",
}
# Findings that are no fault by themselves.
INFORMATION = ("lone_jamo", "tab_or_line_break")


def make_page(audit: Audit) -> str:
    """Return the page of `audit`."""
    commercial = "가능" if audit.commercial else "불가"
    body = [
        f"<h1>{escape(audit.title)}</h1>",
        f'<p class="quiet"><code>{escape(audit.name)}</code> · {escape(audit.task)} · 라이선스 '
        f"{escape(audit.license)} (상업적 이용 {commercial}) · {escape(audit.homepage)}</p>",
        *_overview(audit),
        *_label_charts(audit),
        *_length_charts(audit),
        *_overlap_tables(audit),
        *_conflict_tables(audit),
        *_finding_tables(audit),
    ]
    return (
        '<!doctype html>\n<html lang="ko">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(audit.name)} 말뭉치 점검</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _overview(audit: Audit) -> Iterator[str]:
    yield "<h2>한눈에</h2>"
    splits = list(audit.splits.values())
    rows: list[list[object]] = [["행", *(s.rows for s in splits)]]
    rows.append(["출처", *(s.source for s in splits)])
    rows.append(["사본이 있는 글", *(s.copies.texts for s in splits)])
    rows.append(["사본 (처음 것은 빼고)", *(s.copies.extra_rows for s in splits)])
    for other in audit.splits:
        found = {
            overlap.split: overlap.rows for overlap in audit.overlaps if overlap.other == other
        }
        if found:
            rows.append([f"{other}에도 있는 행", *(found.get(split, "") for split in audit.splits)])
    for column in audit.conflicts:
        cells = [s.conflicts[column].texts if column in s.conflicts else "" for s in splits]
        rows.append([f"같은 글, 다른 {column}: 글", *cells])
    if audit.tokenizer and splits:
        for most in splits[0].tokens.over:
            cells = [share(s.tokens.over[most], s.rows) for s in splits]
            rows.append([f"{most} 토큰에서 잘리는 행", *cells])
    yield _table(["", *audit.splits], rows)
    if audit.tokenizer:
        tokenizer = f"<code>{escape(audit.tokenizer)}</code>"
        yield f'<p class="quiet">토크나이저 {tokenizer}, 특수 토큰 포함</p>'


def _label_charts(audit: Audit) -> Iterator[str]:
    columns = dict.fromkeys(c for split in audit.splits.values() for c in split.labels)
    if columns:
        yield "<h2>레이블</h2>"
    for column in columns:
        yield f'<h3>{escape(column)}</h3><div class="charts">'
        for split, found in audit.splits.items():
            if column in found.labels:
                yield f"<div><h3>{escape(split)}</h3>{_bars(found.labels[column])}</div>"
        yield "</div>"


def _bars(balance: Balance) -> str:
    total = sum(balance.counts.values())
    most = max(balance.counts.values(), default=0) or 1
    lines = [
        f"<tr><td>{escape(WORDS.get(label, label))}</td>"
        f'<td style="width:40%"><span class="bar" style="width:{100 * count / most:.1f}%"></span>'
        f'</td><td class="n">{count:,}</td><td class="n">{share(count, total)}</td></tr>'
        for label, count in balance.counts.items()
    ]
    if balance.none:
        name = "개체 없는 행" if balance.unit == "entities" else "레이블 없음"
        lines.append(
            f'<tr><td>{name}</td><td></td><td class="n">{balance.none:,}</td><td></td></tr>'
        )
    return f"<table>{''.join(lines)}</table>"


def _length_charts(audit: Audit) -> Iterator[str]:
    yield "<h2>길이</h2>"
    for column in audit.texts:
        yield f"<h3>{escape(column)}, 글자 수</h3>"
        yield from _histograms({s: found.characters[column] for s, found in audit.splits.items()})
    if audit.tokenizer:
        yield "<h3>모델 입력, 토큰 수</h3>"
        yield from _histograms({s: found.tokens for s, found in audit.splits.items()})


def _histograms(lengths: dict[str, Lengths]) -> Iterator[str]:
    yield '<div class="charts">'
    for split, found in lengths.items():
        yield f'<div><span class="quiet">{escape(split)}</span>{_histogram(found)}</div>'
    yield "</div>"
    rows = [[split, s.mean, s.median, s.p95, s.p99, s.max] for split, s in lengths.items()]
    yield _table(["", "평균", "중앙값", "95 %", "99 %", "최대"], rows)


def _histogram(lengths: Lengths, width: int = 320, height: int = 120) -> str:
    """Draw the rows of each bin; the last bin, lighter, holds all that is longer."""
    bins, most = len(lengths.counts), max(lengths.counts, default=0) or 1
    step = width / max(bins, 1)
    bars = [
        f'<rect x="{n * step:.1f}" y="{height - height * count / most:.1f}" '
        f'width="{step * 0.9:.1f}" height="{height * count / most:.1f}" '
        f'fill="{"#4c72b0" if n < bins - 1 else "#a9bbda"}"><title>'
        f"{lengths.edges[n]:,}{f'–{lengths.edges[n + 1] - 1:,}' if n < bins - 1 else ' 이상'}: "
        f"{count:,}행</title></rect>"
        for n, count in enumerate(lengths.counts)
    ]
    marks = [
        f'<text x="{n * step:.1f}" y="{height + 13}">{lengths.edges[n]:,}</text>'
        for n in range(0, bins, max(1, bins // 5))
    ]
    return (
        f'<svg viewBox="0 0 {width} {height + 18}" role="img" aria-label="길이 분포">'
        f'{"".join(bars)}<line x1="0" y1="{height}" x2="{width}" y2="{height}" stroke="#9aa5b1"/>'
        f"{''.join(marks)}</svg>"
    )


def _overlap_tables(audit: Audit) -> Iterator[str]:
    if not audit.overlaps:
        return
    yield "<h2>다른 분할에도 있는 글</h2>"
    columns = audit.texts if len(audit.texts) > 1 else []
    rows = [
        [o.split, o.other, o.rows, *(o.columns[column] for column in columns)]
        for o in audit.overlaps
    ]
    yield _table(["행의 분할", "찾은 분할", "모두 같은 행", *(f"{c}만" for c in columns)], rows)
    for o in audit.overlaps:
        if o.examples:
            rows = [[example.row, example.text] for example in o.examples]
            yield _details(f"{o.split} → {o.other}", _table(["행 번호", "글"], rows))


def _conflict_tables(audit: Audit) -> Iterator[str]:
    if audit.conflicts:
        yield "<h2>같은 글, 다른 레이블</h2>"
    for column, conflict in audit.conflicts.items():
        outvoted = f", 다수결에 지는 행 {conflict.outvoted:,}개" if conflict.outvoted else ""
        numbers = f"글 {conflict.texts:,}개, 행 {conflict.rows:,}개{outvoted}"
        yield f"<p><b>{escape(column)}</b>: {numbers}</p>"
        rows = [
            [
                example["text"],
                " | ".join(
                    f"{found['label']} ×{found['rows']:,} ({found['split']} {found['row']})"
                    for found in example["labels"]
                ),
            ]
            for example in conflict.examples
        ]
        if rows:
            yield _table(["글", "레이블 (분할과 첫 행 번호)"], rows)


def _finding_tables(audit: Audit) -> Iterator[str]:
    copied = {split: found.copies.most for split, found in audit.splits.items()}
    if any(copied.values()):
        yield "<h2>가장 자주 나오는 글</h2>"
    for split, copies in copied.items():
        if copies:
            rows = [[copy["rows"], copy["row"], copy["text"]] for copy in copies]
            yield _details(split, _table(["행", "첫 행 번호", "글"], rows))
    yield "<h2>눈에 띄는 것</h2>"
    yield '<p class="quiet">행 번호는 0부터. 보이지 않는 문자는 ⟨U+200B⟩처럼 적었습니다.</p>'
    names = dict.fromkeys(name for split in audit.splits.values() for name in split.findings)
    rows = [
        [
            WORDS.get(name, name),
            *(s.findings[name].rows if name in s.findings else 0 for s in audit.splits.values()),
        ]
        for name in names
    ]
    yield _table(["행의 수", *audit.splits], rows) if rows else "<p>없음.</p>"
    for name in names:
        rows = []
        for split, found in audit.splits.items():
            examples = found.findings[name].examples if name in found.findings else []
            rows += [[split, example.row, example.text] for example in examples]
        points: dict[str, int] = {}
        for split in audit.splits.values():
            for point, count in getattr(split.findings.get(name), "characters", {}).items():
                points[point] = points.get(point, 0) + count
        common = sorted(points, key=points.get, reverse=True)[:8]
        seen = ", ".join(f"{point} {points[point]:,}" for point in common)
        title = f"{WORDS.get(name, name)}{f': {seen}' if seen else ''}"
        yield _details(title, _table(["분할", "행 번호", "글"], rows))


def _details(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; numbers stand on the right with commas, all else is escaped."""
    first = rows[0] if rows else []
    head = "".join(
        f'<th class="{_class(cell)}">{escape(name)}</th>'
        for name, cell in zip(header, [*first, *[""] * (len(header) - len(first))], strict=True)
    )
    body = "".join(
        f"<tr>{''.join(f'<td class={_class(c)!r}>{_cell(c)}</td>' for c in row)}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _class(cell: object) -> str:
    return "n" if isinstance(cell, int | float) or str(cell)[-1:] == "%" else "t"


def _cell(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.1f}"
    return f"{cell:,}" if isinstance(cell, int) else escape(str(cell))


def share(part: int, whole: int) -> str:
    """Return e.g. ``12.3 %``; what is not nothing is not shown as ``0 %``."""
    percent = 100 * part / whole if whole else 0.0
    return "0 %" if not part else f"{percent:.2g} %" if percent < 0.1 else f"{percent:.1f} %"
