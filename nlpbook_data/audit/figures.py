"""The figures of an audit, as dataclasses that JSON can hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

MOST_EXAMPLES = 5
# Two float labels of one text conflict if they differ by more than this.
FLOAT_CONFLICT = 1.0
# Kinds of findings in texts, and their titles on the page.
FINDINGS = {
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
}
# Findings that are not errors by themselves.
INFORMATION = ("lone_jamo", "tab_or_line_break")


@dataclass(frozen=True)
class Example:
    """A row (counted from 0) and what was seen there; invisible characters as ``⟨U+200B⟩``."""

    row: int
    text: str


@dataclass
class Finding:
    """The rows with one kind of finding, its number of occurrences, and the first examples.

    `characters` counts each code point, if the finding is a kind of character.
    """

    rows: int = 0
    count: int = 0
    examples: list[Example] = field(default_factory=list)
    characters: dict[str, int] = field(default_factory=dict)

    def add(
        self, rows: Sequence[int] | np.ndarray, examples: Iterable[str], count: int | None = None
    ) -> None:
        """Count `rows`, each once or `count` in all; of `examples` only those needed are made."""
        room = MOST_EXAMPLES - len(self.examples)
        self.examples += [
            Example(int(row), text) for row, text in zip(rows[:room], examples, strict=False)
        ]
        self.rows += len(rows)
        self.count += len(rows) if count is None else int(count)


@dataclass(frozen=True)
class Lengths:
    """Lengths of the rows; a percentile is the smallest length that p % of them do not exceed.

    `over` counts the rows with more than 128, 256 and 512 tokens: a model with that many positions
    truncates them. `counts` is a histogram: each number counts the rows from one of `edges` up to
    the next, the lower edge included. The last number counts all rows from the last edge on.
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
    counts unlabelled rows (-1 or null). For entities it counts the rows without any.
    """

    unit: str
    counts: dict[str, int]
    none: int


@dataclass(frozen=True)
class Copy:
    """A text that occurs in `rows` rows; `row` is the first of them."""

    rows: int
    row: int
    text: str


@dataclass(frozen=True)
class Copies:
    """Equal texts within a split: texts that occur more than once, and rows beyond the first.

    `most` has the texts that occur most often.
    """

    texts: int
    extra_rows: int
    most: list[Copy]


@dataclass(frozen=True)
class Vote:
    """A label of one text: `rows` rows have it, and the first is `row` of `split`."""

    label: str
    rows: int
    split: str
    row: int


@dataclass(frozen=True)
class Disputed:
    """A text and its labels, the most frequent first."""

    text: str
    labels: list[Vote]


@dataclass(frozen=True)
class Conflict:
    """Equal texts with different labels: texts, their rows, and rows that the majority outvotes.

    No classifier that sees only the text can be right on the outvoted rows. Float labels conflict
    if they differ by more than `FLOAT_CONFLICT`; they have no outvoted rows. Examples are the texts
    with most rows.
    """

    texts: int
    rows: int
    outvoted: int
    examples: list[Disputed]


@dataclass(frozen=True)
class Overlap:
    """Rows of `split` whose texts also occur in `other`: all texts of a row, and column by column.

    A column's text may occur in any text column of the other split.
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

    `conflicts` covers all splits together, by label column.
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

    def found(self) -> dict[str, dict[str, Finding]]:
        """Return the findings of each kind by split, in the order of `FINDINGS`."""
        return {
            name: {split: s.findings.get(name, Finding()) for split, s in self.splits.items()}
            for name in FINDINGS
            if any(name in s.findings for s in self.splits.values())
        }
