"""The audit: figures known by hand or counted the slow way, and a page that runs nothing."""

import json
import re
import unicodedata
from collections import Counter
from dataclasses import asdict
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from conftest import REPOSITORY
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from nlpbook_data import InputError
from nlpbook_data.audit import audit_corpus, format_audit, scan, write_audit
from nlpbook_data.audit.figures import Balance, Copy, Disputed, Example, Finding, Vote
from nlpbook_data.audit.odd import CHARACTERS, find_odd, is_mojibake, show
from nlpbook_data.audit.report import make_page
from nlpbook_data.corpora.declaration import Corpus, Split

SENTIMENT = Features(text=Value("string"), label=ClassLabel(names=["부정", "긍정"]))
ENTITIES = List(
    {"start": Value("int32"), "end": Value("int32"), "label": ClassLabel(names=["인물", "기관"])}
)
ANSWERS = List({"text": Value("string"), "answer_start": Value("int32")})


def declare(features: Features, **options: object) -> Corpus:
    splits = {"train": Split("train.txt"), "test": Split("test.txt")}
    known = dict(name="말뭉치", task="doccls", title="시험용 말뭉치", splits=splits)
    known |= dict(license="CC0-1.0", homepage="example", features=features)
    return Corpus(**{**known, **options})


def audit_of(features: Features, texts: tuple[str, ...] = ("text",), **splits: list[tuple]):
    """Audit splits of rows given as tuples in the order of the features."""
    made = {
        split: Dataset.from_dict(
            {name: [row[n] for row in rows] for n, name in enumerate(features)}, features=features
        )
        for split, rows in splits.items()
    }
    return audit_corpus(DatasetDict(made), declare(features, texts=texts))


def reviews(**splits: list[tuple]):
    return audit_of(SENTIMENT, **splits)


def rows_of(audit, finding: str, split: str = "train") -> list[int]:
    found = audit.splits[split].findings.get(finding, Finding())
    return [example.row for example in found.examples]


# Rows against rows


def test_copies_within_a_split_are_counted_beyond_the_first():
    audit = reviews(train=[("가", 0), ("나", 0), (" 가", 0), ("가\n", 1), ("나", 1), ("다", 0)])
    copies = audit.splits["train"].copies
    assert (copies.texts, copies.extra_rows) == (2, 3)
    assert copies.most == [Copy(rows=3, row=0, text="가"), Copy(rows=2, row=1, text="나")]


def test_conflicts_name_both_labels_and_the_rows_that_a_majority_outvotes():
    audit = reviews(
        train=[("가", 1), ("가", 1), ("가 ", 0), ("나", 0), ("나", 0), ("다", 1)],
        test=[("다", 0), ("가", 1)],
    )
    within, over_all = audit.splits["train"].conflicts["label"], audit.conflicts["label"]
    assert (within.texts, within.rows, within.outvoted) == (1, 3, 1)
    assert (over_all.texts, over_all.rows, over_all.outvoted) == (2, 6, 2)
    votes = [Vote("긍정", 2, "train", 0), Vote("부정", 1, "train", 2)]
    assert within.examples == [Disputed("가", votes)]
    assert over_all.examples[1] == Disputed(
        "다", [Vote("긍정", 1, "train", 5), Vote("부정", 1, "test", 0)]
    )


def test_rows_without_a_label_conflict_with_none():
    audit = reviews(train=[("가", 1), ("가", -1), ("가", None)])
    assert audit.conflicts["label"].texts == 0
    assert audit.splits["train"].labels["label"] == Balance("rows", {"부정": 0, "긍정": 1}, 2)


def test_floats_conflict_where_they_are_more_than_a_point_apart():
    features = Features(text=Value("string"), label=Value("float32"))
    audit = audit_of(features, train=[("가", 1.0), ("가", 2.0), ("나", 1.0), ("나", 2.5)])
    assert audit.conflicts["label"].texts == 1
    assert audit.conflicts["label"].examples[0].text == "나"
    assert audit.splits["train"].labels["label"].counts["1–1.2"] == 2


def test_entities_conflict_where_spans_or_types_differ_not_their_order():
    features = Features(text=Value("string"), entities=ENTITIES)
    one, other = {"start": 0, "end": 2, "label": 0}, {"start": 3, "end": 5, "label": 1}
    rows = [("철수 회사", [one, other]), ("철수 회사", [other, one])]
    rows += [("영희 회사", [one]), ("영희 회사", [one | {"label": 1}])]
    audit = audit_of(features, train=rows)
    conflict = audit.conflicts["entities"]
    assert (conflict.texts, conflict.rows) == (1, 2)
    assert [vote.label for vote in conflict.examples[0].labels] == ["영희:인물", "영희:기관"]


def test_one_text_with_other_subjects_is_no_conflict():
    span = {"text": Value("string"), "start": Value("int32"), "end": Value("int32")}
    features = Features(text=Value("string"), subject=span, object=span, label=ClassLabel(3))
    a, b = {"text": "가", "start": 0, "end": 1}, {"text": "나", "start": 1, "end": 2}
    rows = [("가나", a, b, 0), ("가나", b, a, 1), ("다나", a, b, 1), ("다나", a, b, 2)]
    audit = audit_of(features, train=rows)
    assert audit.conflicts["label"].texts == 1
    assert audit.splits["train"].copies.extra_rows == 2
    assert rows_of(audit, "span_is_another_text") == [2, 3]


TEXTS = st.sampled_from(["", " ", "가", " 가", "가\n", "각", "각", "나", "나 ", "a", "ㅋ"])
ROWS = st.lists(st.tuples(TEXTS, TEXTS, st.integers(-1, 2)), max_size=25)


def same(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


@settings(max_examples=40, deadline=None)
@given(train=ROWS, test=ROWS)
def test_copies_leaks_and_conflicts_agree_with_comparing_all_pairs(train, test):
    features = Features(a=Value("string"), b=Value("string"), label=ClassLabel(num_classes=3))
    audit = audit_of(features, ("a", "b"), train=train, test=test)
    plain = {
        split: [((same(a), same(b)), label) for a, b, label in rows]
        for split, rows in (("train", train), ("test", test))
    }
    for split, rows in plain.items():
        sides = audit.splits[split].findings.get("equal_sides", Finding())
        assert sides.rows == sum(a == b for (a, b), _ in rows)
        copies = audit.splits[split].copies
        extra = sum(any(rows[m][0] == rows[n][0] for m in range(n)) for n in range(len(rows)))
        assert copies.extra_rows == extra
        assert copies.texts == sum(count > 1 for count in Counter(k for k, _ in rows).values())
    for overlap in audit.overlaps:
        mine, others = plain[overlap.split], plain[overlap.other]
        found = [n for n, (k, _) in enumerate(mine) if any(k == other for other, _ in others)]
        assert overlap.rows == len(found)
        assert [example.row for example in overlap.examples] == found[:5]
        words = {word for key, _ in others for word in key}
        for n, column in enumerate("ab"):
            assert overlap.columns[column] == sum(key[n] in words for key, _ in mine)
    labelled = [row for rows in plain.values() for row in rows if row[1] != -1]
    pairs = combinations(labelled, 2)
    against = {a[0] for a, b in pairs if a[0] == b[0] and a[1] != b[1]}
    conflict = audit.conflicts["label"]
    assert conflict.texts == len(against)
    assert conflict.rows == sum(key in against for key, _ in labelled)
    best = sum(max(Counter(v for k, v in labelled if k == key).values()) for key in against)
    assert conflict.outvoted == conflict.rows - best


def test_small_batches_count_the_same(monkeypatch):
    rows = [(text, n % 2) for n, text in enumerate(["가", "&amp;", " 나", "가", "x" * 99, ""] * 4)]
    whole = asdict(reviews(train=rows, test=rows[:5]))
    monkeypatch.setattr(scan, "BATCH_ROWS", 3)
    assert asdict(reviews(train=rows, test=rows[:5])) == whole


# Texts


@pytest.mark.parametrize(
    ("text", "kind"),  # other characters: test_each_character_is_of_its_kind
    [
        ("가\0나", "NUL"),
        ("가\ufffd나", "replacement"),
        ("가\u200b나", "zero_width"),
        ("\ufeff가", "byte_order_mark"),
        ("가\u3000나", "odd_blank"),
        ("톰 &amp; 제리", "HTML_entity"),
        ("&#44032;", "HTML_entity"),
        ("가<br />나", "HTML_tag"),
        ('<a href="x">나', "HTML_tag"),
        ("안녕".encode().decode("latin-1"), "mojibake"),
        ("값 " + "한글".encode().decode("cp1252", "ignore"), "mojibake"),
        ("안녕하세요".encode("euc-kr").decode("latin-1"), "mojibake"),
        ("占쏙옙占쏙옙", "mojibake"),
        ("시진핑’s".encode().decode("mac-roman"), "mojibake"),
        ("노키아 äôs x", "mojibake"),
        ("it’s".encode().decode("cp1252"), "mojibake"),
        ("재미있었어요".encode().decode("cp949", "ignore"), "mojibake"),
    ],
)
def test_an_odd_passage_is_found_where_it_is(text, kind):
    audit = reviews(train=[("보통 글", 0), (text, 0), ("보통 글 둘", 1)])
    assert rows_of(audit, kind) == [1]


@pytest.mark.parametrize(
    "text",
    [
        "보통 글, “따옴표” ‘작은따옴표’…… – ·········",
        "가족 👨‍👩‍👧 하트 ❤️‍🔥",
        "별점 <그래비티> 5 < 10 & 3 > 2",
        "R&B; R&D; 그리고 café naïve ½²³ × ÷ ±°",
        "漢字와 カタカナ, Ｆｕｌｌ",
        "‘대구트라우마센터’와 ‘맹탕’ 청문회, 대량절멸",
        "李承晩 大統領은 占領地의 快樂을 잃고 黎明을 기다렸다",
    ],
)
def test_an_ordinary_text_has_nothing_odd(text):
    assert reviews(train=[(text, 0)]).splits["train"].findings == {}


def test_each_character_is_of_its_kind():
    points = [n for n in range(0x110000) if not 0xD800 <= n < 0xE000]
    found = {kind: {points[n] for n in rows} for kind, rows in find_odd(pa.array(map(chr, points)))}
    assert all(found[a].isdisjoint(found[b]) for a, b in combinations(CHARACTERS, 2))

    def of_category(*names: str) -> set[int]:
        return {n for n in points if unicodedata.category(chr(n)) in names}

    names = {n: name for n in points if (name := unicodedata.name(chr(n), ""))}

    def named(pattern: str) -> set[int]:
        return {n for n, name in names.items() if re.search(pattern, name)}

    assert found["tab_or_line_break"] == set(map(ord, "\t\n\r"))
    assert found["control"] == of_category("Cc", "Zl", "Zp") - set(map(ord, "\0\t\n\r"))
    assert found["odd_blank"] == of_category("Zs") - {ord(" ")}
    assert found["private_use"] == of_category("Co")
    assert found["noncharacter"] == {*range(0xFDD0, 0xFDF0)} | {
        n for n in points if n & 0xFFFE == 0xFFFE
    }
    bidi = named("LEFT-TO-RIGHT|RIGHT-TO-LEFT|DIRECTIONAL|STRONG ISOLATE|ARABIC LETTER MARK")
    assert found["bidi_mark"] == bidi & of_category("Cf")
    assert found["hangul_filler"] == named("HANGUL.* FILLER")
    jamo = named("^HANGUL (CHOSEONG|JUNGSEONG|JONGSEONG)") - found["hangul_filler"]
    assert found["conjoining_jamo"] & of_category("Lo") == jamo
    assert found["lone_jamo"] == named("^HANGUL LETTER")
    ideographs = named("^CJK COMPATIBILITY IDEOGRAPH")
    assert found["compatibility_ideograph"] & of_category("Lo") == ideographs


@given(st.text("가나다라힣안녕한글", min_size=2), st.sampled_from(["utf-8", "euc-kr"]))
def test_hangul_read_as_latin_1_is_mojibake(text, encoding):
    raw = text.encode(encoding, "ignore")
    if encoding == "utf-8" or len(set(raw)) >= 3:
        assert is_mojibake(raw.decode("latin-1"))


def test_findings_count_rows_passages_and_code_points():
    audit = reviews(train=[("\u200b가\u200b", 0), ("나", 0), ("\u200d다", 1)])
    found = audit.splits["train"].findings["zero_width"]
    assert (found.rows, found.count) == (2, 3)
    assert found.characters == {"U+200B": 2, "U+200D": 1}
    assert found.examples[0] == Example(0, "⟨U+200B⟩가⟨U+200B⟩")
    many = reviews(train=[("\0", 0)] * 9).splits["train"].findings["NUL"]
    assert (many.rows, [example.row for example in many.examples]) == (9, [0, 1, 2, 3, 4])


def test_empty_blank_edged_and_short_texts_are_told_apart():
    audit = reviews(train=[("", 0), (" \u3000", 0), (None, 0), (" 가", 0), ("가나", 0), ("나", 0)])
    assert rows_of(audit, "empty") == [0, 2]
    assert rows_of(audit, "blank") == [1]
    assert rows_of(audit, "blank_edge") == [3]
    assert rows_of(audit, "one_character") == [3, 5]


def test_very_long_texts_are_named_longest_first():
    texts = ["가" * 10] * 20 + ["가" * 101, "나" * 300, "다" * 100]
    found = reviews(train=[(text, 0) for text in texts]).splits["train"].findings["very_long"]
    assert (found.rows, [example.row for example in found.examples]) == (2, [21, 20])
    assert found.examples[0].text.startswith("300: 나나")


def test_what_is_shown_of_a_text_has_nothing_that_moves_a_terminal():
    shown = show("가\x1b[31m나\u202e다\r\n\u200b", 2, 4)
    assert shown == "가⟨U+001B⟩[31m나⟨U+202E⟩다⟨U+000D⟩⟨U+000A⟩⟨U+200B⟩"


# Spans


def test_spans_that_cannot_be_are_found():
    features = Features(text=Value("string"), entities=ENTITIES)

    def spans(*pairs):
        return [{"start": start, "end": end, "label": 0} for start, end in pairs]

    positions = [((0, 2), (4, 6)), ((4, 8),), ((2, 2),), ((2, 4), (4, 6)), ((4, 6), (0, 5)), ()]
    audit = audit_of(features, train=[("철수는 회사에", spans(*pairs)) for pairs in positions])
    assert rows_of(audit, "span_out_of_range") == [1, 2]
    assert rows_of(audit, "span_with_blank_edge") == [3]
    assert rows_of(audit, "spans_overlap") == [4]
    balance = audit.splits["train"].labels["entities"]
    assert balance == Balance("entities", {"인물": 8, "기관": 0}, 1)


def test_answers_that_are_not_in_place_are_found_and_unanswerable_ones_counted():
    features = Features(context=Value("string"), question=Value("string"), answers=ANSWERS)

    asked = [
        *(("수도는?", "서울", 0), ("무엇?", "수도", 3), ("빈칸?", " 수도", 3), ("끝?", "다.다", 6)),
        *(("없음?", "", 0), ("수도는?", "서울은", 0)),
    ]
    rows = [
        ("서울은 수도다.", question, [{"text": text, "answer_start": start}] if text else [])
        for question, text, start in asked
    ]
    audit = audit_of(features, ("context", "question"), train=rows)
    assert rows_of(audit, "answer_not_at_start") == [1, 3]
    assert rows_of(audit, "answer_with_blank_edge") == [2]
    assert audit.splits["train"].labels["answers"].counts == {"answerable": 5, "unanswerable": 1}
    assert audit.conflicts["answers"].texts == 1


# Lengths


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60))
def test_lengths_agree_with_numpy(lengths):
    found = reviews(train=[("가" * n, 0) for n in lengths]).splits["train"].characters["text"]
    for percent, value in ((50, found.median), (95, found.p95), (99, found.p99)):
        assert value == np.percentile(lengths, percent, method="inverted_cdf")
    assert found.mean == pytest.approx(np.mean(lengths), abs=0.006)
    assert found.max == max(lengths)
    assert found.counts == np.histogram(lengths, [*found.edges, np.inf])[0].tolist()
    assert len(found.counts) <= scan.BINS + 2


def test_lengths_are_characters_not_bytes():
    lengths = reviews(train=[("가나다", 0), ("👍", 0), ("", 0)]).splits["train"].characters["text"]
    assert (lengths.max, lengths.median, lengths.mean) == (3, 1, 1.33)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(REPOSITORY / "nlpbook_data" / "models" / "tiny_encoder")


def test_tokens_are_those_of_the_whole_input(tokenizer):
    features = Features(a=Value("string"), b=Value("string"))
    rows = [("영화가 좋다", "정말 좋다"), ("가" * 300, "나"), ("", "다")]
    data = DatasetDict(
        train=Dataset.from_dict({"a": [r[0] for r in rows], "b": [r[1] for r in rows]})
    )
    audit = audit_corpus(data, declare(features, texts=("a", "b")), tokenizer)
    expected = [len(tokenizer(a, b)["input_ids"]) for a, b in rows]
    tokens = audit.splits["train"].tokens
    assert (tokens.mean, tokens.max) == (round(np.mean(expected), 2), max(expected))
    assert tokens.over == {str(most): sum(n > most for n in expected) for most in (128, 256, 512)}
    assert audit.tokenizer == "tiny_encoder"  # no path of this machine
    assert "cut at 128" in format_audit(audit)


def test_tokens_that_the_vocabulary_lacks_are_counted(tokenizer):
    data = {"text": ["영화", "𓀀 좋다 𓀀", "좋다"], "label": [0, 0, 1]}
    audit = audit_corpus(
        DatasetDict(train=Dataset.from_dict(data, features=SENTIMENT)),
        declare(SENTIMENT),
        tokenizer,
    )
    found = audit.splits["train"].findings["unknown_token"]
    assert (found.rows, found.count, found.examples[0].row) == (1, 2, 1)


# Any corpus


def test_without_rows_there_are_zeros_and_still_a_report(tokenizer, tmp_path):
    audit = reviews(train=[("가", 0)], test=[])
    assert audit.splits["test"].rows == audit.splits["test"].characters["text"].max == 0
    assert [o.rows for o in audit.overlaps] == [0, 0]
    assert "test" in format_audit(audit) and "test" in make_page(audit)
    data = DatasetDict(train=Dataset.from_dict({"text": [], "label": []}, features=SENTIMENT))
    audit = audit_corpus(data, declare(SENTIMENT), tokenizer)
    assert format_audit(audit) and write_audit(audit, tmp_path)


def test_plain_text_with_other_columns_needs_no_label():
    features = Features(text=Value("string"), id=Value("int64"), tags=List(Value("string")))
    audit = audit_of(features, extra=[("가", 1, ["x"]), ("나", 2, [])])
    assert audit.conflicts == {} and audit.splits["extra"].labels == {}
    assert audit.splits["extra"].rows == 2 and audit.splits["extra"].source == ""


def test_several_labels_a_row_are_each_counted():
    features = Features(text=Value("string"), label=List(ClassLabel(names=["혐오", "편향"])))
    audit = audit_of(features, train=[("가", [0, 1]), ("가", [1, 0]), ("나", [])])
    assert audit.splits["train"].labels["label"].counts == {"혐오": 2, "편향": 2}
    assert audit.conflicts["label"].texts == 0


# Reports

HOSTILE = "<script>alert(1)</script>&amp;\"'><img src=x onerror=alert(1)>"


def parse(page: str) -> ElementTree.Element:
    """Return the page as a tree; tags that do not match are an error."""
    return ElementTree.fromstring(re.sub("<!doctype html>|<meta .*>", "", page))


@pytest.fixture
def hostile():
    features = Features(text=Value("string"), label=ClassLabel(names=[HOSTILE, "좋음 & 나쁨"]))
    rows = [(f"{HOSTILE}\0", 0), (f"{HOSTILE}\0", 1), ("가", 1)]
    data = {
        split: Dataset.from_dict(
            {"text": [t for t, _ in rows], "label": [v for _, v in rows]}, features=features
        )
        for split in ("train", "test")
    }
    corpus = declare(features, title=HOSTILE, homepage=HOSTILE, license=HOSTILE)
    return audit_corpus(DatasetDict(data), corpus)


def test_the_page_shows_hostile_texts_and_runs_and_loads_nothing(hostile):
    page = parse(make_page(hostile))
    assert not {"script", "img", "iframe", "link", "object"} & {node.tag for node in page.iter()}
    attributes = {name for node in page.iter() for name in node.attrib}
    assert not {"src", "href", "srcset", "data", "action"} & attributes
    assert not any(name.startswith("on") for name in attributes)
    assert "".join(page.itertext()).count(HOSTILE) >= 6
    style = page.findtext("head/style")
    assert style and "url(" not in style and "@import" not in style


def test_the_page_has_a_chart_for_each_split_and_the_korean_labels():
    page = make_page(reviews(train=[("가나", 0)], test=[("다", 1)]))
    assert len(list(parse(page).iter("svg"))) == 2
    assert "부정" in page and "긍정" in page


def test_the_table_has_no_control_character_but_line_feeds(hostile):
    text = format_audit(hostile)
    assert HOSTILE in text
    assert {c for c in text if unicodedata.category(c) == "Cc"} == {"\n"}


def test_the_table_shows_the_figures():
    lines = format_audit(
        reviews(train=[("가", 0), ("가", 1), ("나", 1)], test=[("가", 1), ("\xa0다", 0)])
    ).splitlines()
    figures = {name: cells.split() for name, _, cells in (s.strip().partition("  ") for s in lines)}
    assert figures["rows"] == ["3", "2"]
    assert figures["extra copies"] == ["1", "0"]
    assert figures["rows that stand in test too"] == ["2"]
    assert figures["texts with conflicting label"] == ["1", "0"]
    assert figures["rows, odd blank"] == ["0", "1", "U+00A0"]


def test_both_files_are_written_and_nothing_else(hostile, tmp_path):
    paths = write_audit(hostile, tmp_path / "new" / "folder")
    assert sorted((tmp_path / "new" / "folder").iterdir()) == sorted(paths)
    assert [path.name for path in paths] == ["audit.json", "audit.html"]
    assert json.loads(paths[0].read_text(encoding="utf-8")) == asdict(hostile)


def test_a_folder_that_cannot_be_is_an_input_error(hostile, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file.*cannot be written"):
        write_audit(hostile, tmp_path / "file")
