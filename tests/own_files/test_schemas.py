"""The user's own rows: what was written in any format is read, what is wrong is named by row."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CORPORA
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from writing import write_rows, written

from nlpbook_data import InputError
from nlpbook_data.corpora import klue_ner, korquad_v1, naver_changwon_ner, ner
from nlpbook_data.own_files.options import Options
from nlpbook_data.own_files.schemas import find_split_files, read_examples

bounded = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path: Path, task: str, columns: dict[str, str] | None = None, **options: Any) -> list:
    return [row for _, row in read_examples(path, task, columns, **options)]


FORMATS = ["jsonl", "csv", "parquet", "xlsx"]


def entity(start: int, end: int, label: str, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label, **more}


def refused(path: Path, task: str, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(path, task, **options)
    message = str(raised.value)
    assert str(path) in message and "\n" not in message
    return message


# Tables

ROWS = {
    "doccls": [{"text": "좋다", "label": "긍정"}, {"text": '"나쁘다", 정말', "label": "부정"}],
    "nli": [{"premise": "비가 온다", "hypothesis": "날이 맑다", "label": "모순"}],
    "sts": [{"sentence1": "비가 온다", "sentence2": "비가 내린다", "label": "4.8"}],
    "ner": [
        {"text": "홍길동은 서울에 산다", "entities": [entity(0, 3, "인물"), entity(5, 7, "장소")]},
        {"text": "👍🏽 부산", "entities": [entity(3, 5, "장소")]},
        {"text": "개체가 없다", "entities": []},
    ],
    "qa": [
        {
            "id": "a-1",
            "title": "서울",
            "context": "서울은 수도다. 서울은 넓다.",
            "question": "수도는?",
            "answers": [{"text": "서울", "answer_start": 9}],
        },
        {"id": "a-2", "title": "", "context": "가나다", "question": "라는?", "answers": []},
    ],
    "search": [{"query": "수도", "passage": "서울은 수도다.", "negative": "부산은 항구다."}],
    "generation": [{"prompt": "질문", "completion": " 대답\n두 줄"}],
    "generation text": [{"text": "옛날 옛적에"}],
    "pretrain": [{"text": "한 줄"}, {"text": "  또 한 줄  "}],
}


def task_of(name: str) -> str:
    return {"nli": "paircls", "sts": "paircls"}.get(name, name.split()[0])


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", ROWS)
def test_the_same_rows_in_every_table_format_under_names_of_ones_own_too(tmp_path, name, suffix):
    path = write_rows(tmp_path / f"a.{suffix}", ROWS[name])
    assert read(path, task_of(name)) == ROWS[name]
    korean = {column: f"{column}의 열" for column in ROWS[name][0]}
    rows = [{korean[column]: value for column, value in row.items()} for row in ROWS[name]]
    path = write_rows(tmp_path / f"b.{suffix}", rows)
    assert read(path, task_of(name), korean) == ROWS[name]


@pytest.mark.parametrize(
    ("name", "gold"),
    [("doccls", "label"), ("nli", "label"), ("ner", "entities"), ("qa", "answers")]
    + [("generation", "completion")],
)
def test_what_is_to_be_predicted_may_be_missing_where_it_is_said(tmp_path, name, gold):
    rows = [{key: value for key, value in row.items() if key != gold} for row in ROWS[name]]
    path = write_rows(tmp_path / "a.jsonl", rows)
    assert read(path, task_of(name), gold=False) == rows
    assert f"no column '{gold}'" in refused(path, task_of(name))
    with_gold = write_rows(tmp_path / "b.jsonl", ROWS[name])
    assert read(with_gold, task_of(name), gold=False) == ROWS[name]


def test_a_tsv_of_texts_and_entities_is_a_table(tmp_path):
    line = '서울\t[{"start": 0, "end": 2, "label": "LOC"}]'
    path = written(tmp_path / "a.tsv", f"text\tentities\n{line}\n")
    assert read(path, "ner") == [{"text": "서울", "entities": [entity(0, 2, "LOC")]}]


# Questions

CONTEXT = "서울은 수도다. 서울은 넓다."


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("start", [True, False])
def test_flat_answers(tmp_path, suffix, start):
    rows = [
        {"context": CONTEXT, "question": "무엇?", "answer_text": "수도", "answer_start": 4},
        {"context": CONTEXT, "question": "어떤?", "answer_text": "넓다", "answer_start": 13},
        {"context": CONTEXT, "question": "누구?", "answer_text": None, "answer_start": None},
    ]
    if not start:
        rows = [{k: v for k, v in row.items() if k != "answer_start"} for row in rows]
    found = read(write_rows(tmp_path / f"a.{suffix}", rows), "qa")
    assert [row["answers"] for row in found] == [
        [{"text": "수도", "answer_start": 4}],
        [{"text": "넓다", "answer_start": 13}],
        [],
    ]
    assert [row["id"] for row in found] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ({"answer_text": "서울"}, ("2 times", "0, 9", "answer_start")),
        ({"answer_text": "부산"}, ("not in the context",)),
        ({"answer_text": "서울", "answer_start": 1}, ("answer_start 1", "'울은'", "0, 9")),
        ({"answer_text": "부산", "answer_start": 0}, ("'서울'", "'부산'", "nowhere")),
        ({"answer_text": "서울", "answer_start": 99}, ("99", "0, 9")),
        ({"answer_text": "서울", "answer_start": -3}, ("-3", "below 0")),
        (
            {"answer_text": "서울", "answer_start": "둘"},
            ("found '둘'", "whole number"),
        ),
        (
            {"answer_text": "서울", "answer_start": 0.5},
            ("found '0.5'", "whole number"),
        ),
        ({"answer_text": "", "answer_start": 0}, ("answer is empty",)),
        ({"answer_text": 3, "answer_start": 0}, ("answer: found '3' where a text",)),
        ({"answers": None}, ("answers: found 'None'", "[] for none")),
        ({"answers": {"text": ["서울"], "answer_start": []}}, ("differ in length",)),
        ({"answers": [{"txt": "서울", "answer_start": 0}]}, ("no 'text'", "Did you mean txt")),
        ({"answers": ["서울"]}, ("answer 1: the answer '서울' is 2 times",)),
        ({"answers": [3]}, ("answers: found '[3]'",)),
        ({"answer_text": "서울", "question": " "}, ("question is empty",)),
        ({"answer_text": "서울", "context": ""}, ("context is empty",)),
    ],
)
def test_an_answer_that_is_wrong_is_named(tmp_path, answer, parts):
    good = {key: [] if key == "answers" else "수도" for key in answer if "answer_start" != key}
    good |= {"context": "수도", "question": "?"} | (
        {"answer_start": 0} if "answer_start" in answer else {}
    )
    rows = [good, {"context": CONTEXT, "question": "무엇?", **answer}]
    message = refused(write_rows(tmp_path / "a.jsonl", rows), "qa")
    for part in (f"{tmp_path / 'a.jsonl'}, line 2", *parts):
        assert part in message


def test_answers_in_columns_as_hub_datasets_have_them(tmp_path):
    answers = {"text": ["수도", "수도다"], "answer_start": [4, 4]}
    row = {"context": CONTEXT, "question": "무엇?", "answers": answers}
    assert read(write_rows(tmp_path / "a.parquet", [row]), "qa")[0]["answers"] == [
        {"text": "수도", "answer_start": 4},
        {"text": "수도다", "answer_start": 4},
    ]


@pytest.mark.parametrize(
    "cell",
    [
        '{"text": ["부산"], "answer_start": [5]}',
        "{'text': ['부산'], 'answer_start': [5]}",  # as pandas writes an object
        '{"text": "부산", "answer_start": 5}',
        '["부산"]',
        "{'text': array(['부산'], dtype=object), 'answer_start': array([5])}",  # of numpy
    ],
)
def test_answers_in_a_cell(tmp_path, cell):
    row = {"context": "서울과 부산", "question": "?", "answers": cell}
    row["context"] = "서울과 🙂부산"
    found = read(write_rows(tmp_path / "a.csv", [row]), "qa")
    assert found[0]["answers"] == [{"text": "부산", "answer_start": 5}]


def test_plausible_answers_of_klue_on_the_hub_are_none(tmp_path):
    answers = {"text": ["서울"], "answer_start": [0]}
    row = {"guid": "g", "context": CONTEXT, "question": "?", "answers": answers}
    rows = [row | {"is_impossible": False}, row | {"guid": "h", "is_impossible": True}]
    found = read(write_rows(tmp_path / "a.jsonl", rows), "qa")
    assert [(one["id"], len(one["answers"])) for one in found] == [("g", 1), ("h", 0)]


def test_an_id_that_is_there_twice_is_refused_with_the_first(tmp_path):
    rows = [{**row, "id": "x"} for row in ROWS["qa"]]
    message = refused(write_rows(tmp_path / "a.jsonl", rows), "qa")
    assert "line 2: the id 'x' is there twice, first at line 1" in message


def article(title: str, context: str, *questions: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "paragraphs": [{"context": context, "qas": [*questions]}]}


ANSWERED = {"id": "1", "question": "무엇?", "answers": [{"text": "수도", "answer_start": 4}]}
IMPOSSIBLE = {"guid": "2", "question": "누구?", "answers": [], "is_impossible": True}
IMPOSSIBLE["plausible_answers"] = [{"text": "서울", "answer_start": 0}]
ONE_ANSWER = {"text": "부산", "answer_start": 3, "html_answer_start": 9}
KORQUAD_2 = {
    **{"title": "부산", "context": "<p>부산은 항구다.</p>", "raw_html": "…"},
    "qas": [{"id": "3", "question": "항구는?", "answer": ONE_ANSWER}],
}
SQUAD = {
    "version": "v2.0",
    "data": [article("서울", CONTEXT, {**ANSWERED, "is_impossible": False}, IMPOSSIBLE), KORQUAD_2],
}


def squad(change: Callable[[dict], Any]) -> str:
    changed = json.loads(json.dumps(SQUAD))
    change(changed["data"])
    return json.dumps(changed, ensure_ascii=False)


def test_squad_json_of_all_kinds(tmp_path):
    found = read(written(tmp_path / "a.json", squad(lambda data: None)), "qa")
    assert found == read(written(tmp_path / "a.jsonl", squad(lambda data: None)), "qa")
    assert [(row["id"], row["title"], row["question"], row["answers"]) for row in found] == [
        ("1", "서울", "무엇?", [{"text": "수도", "answer_start": 4}]),
        ("2", "서울", "누구?", []),
        ("3", "부산", "항구는?", [{"text": "부산", "answer_start": 3}]),
    ]
    assert found[2]["context"] == "<p>부산은 항구다.</p>"


def test_squad_json_without_answers_is_unlabelled(tmp_path):
    path = written(tmp_path / "a.json", squad(lambda data: data[1]["qas"][0].pop("answer")))
    assert "answers" not in read(path, "qa", gold=False)[2]
    assert "article 2, question 1 (3): there are no answers" in refused(path, "qa")


def question_of(data: list) -> dict:
    return data[0]["paragraphs"][0]["qas"][0]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda d: question_of(d).pop("question"), ("paragraph 1, question 1", '"question"')),
        (lambda d: question_of(d)["answers"][0].pop("text"), ("question 1 (1)", "no 'text'")),
        (lambda d: question_of(d)["answers"].clear(), ("question 1", "is_impossible is false")),
        (lambda d: question_of(d).update(is_impossible="no"), ("is_impossible: found 'no'",)),
        (lambda d: question_of(d)["answers"][0].update(answer_start=5), ("수도", "4", "mend")),
        (lambda d: d[0]["paragraphs"][0].pop("context"), ("article 1, paragraph 1", "'context'")),
        (lambda d: d[0].pop("paragraphs"), ("article 1: there is no 'paragraphs'",)),
        (lambda d: d[0].update(paragraphs={}), ("article 1, paragraphs", "type list")),
        (lambda d: d.insert(0, 3), ("article 1: found '3'",)),
        (lambda d: d[0]["paragraphs"][0].update(context=3), ("paragraph 1, context: found '3'",)),
        (lambda d: d.clear(), ("no row",)),
    ],
)
def test_squad_json_that_is_wrong_is_named_by_question(tmp_path, change, parts):
    message = refused(written(tmp_path / "a.json", squad(change)), "qa")
    assert all(part in message for part in parts)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[1]", "line 1, column 1: not JSON ('[' where '{'"),
        ('{"rows": []}', "found the keys rows where 'data'"),
        ('{"data": [', "line 1, column 11: not JSON"),
        ('{"data": []}\n{"data": []}', "line 2, column 1: not JSON (more after the end)"),
        ("", "empty"),
    ],
)
def test_json_that_is_not_squads_is_refused(tmp_path, content, part):
    message = refused(written(tmp_path / "a.json", content), "qa")
    assert part in message and (not content or ".jsonl" in message)


LETTERS = st.one_of(
    st.characters(min_codepoint=ord("가"), max_codepoint=ord("힣")),
    st.sampled_from("\"',\t\r\n \\{}[]:·👍\u1100\u1161\u3000"),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
)
TEXTS = st.text(LETTERS, min_size=1, max_size=20).filter(str.strip)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    context = draw(TEXTS)
    answers = []
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(context) - 1))
        end = draw(st.integers(start + 1, len(context)))
        if context[start:end].strip():
            answers.append({"text": context[start:end], "answer_start": start})
    row = {"title": draw(TEXTS), "context": context, "question": draw(TEXTS), "answers": answers}
    return row


@bounded
@given(rows=st.lists(questions(), min_size=1, max_size=4))
def test_questions_are_read_as_they_were_written_in_every_format(tmp_path, rows):
    rows = [{"id": f"q{number}", **row} for number, row in enumerate(rows)]
    articles = []
    for row in rows:
        question = {key: row[key] for key in ("id", "question", "answers")}
        question["is_impossible"] = not row["answers"]
        articles.append(article(row["title"], row["context"], question))
    path = written(tmp_path / "a.json", json.dumps({"data": articles}, ensure_ascii=False))
    assert read(path, "qa") == rows
    for suffix in ("jsonl", "csv"):
        assert read(write_rows(tmp_path / f"a.{suffix}", rows), "qa") == rows


# Named entities in text files

TEXT = "홍길동 씨는 어제 서울 시청 앞에서 LG 전자 직원을"
ENTITIES = [entity(0, 3, "PER"), entity(10, 15, "LOC"), entity(20, 25, "ORG")]
WORDS = TEXT.split(" ")
MARKED = "<홍길동:PER> 씨는 어제 <서울 시청:LOC> 앞에서 <LG 전자:ORG> 직원을\n"


def table(tags: str, line: str = "{word}\t{tag}\n", tokens: list[str] = WORDS) -> str:
    pairs = enumerate(zip(tokens, tags.split(), strict=True), start=1)
    return "".join(line.format(n=number, word=word, tag=tag) for number, (word, tag) in pairs)


BIO_TAGS = "B-PER O O B-LOC I-LOC O B-ORG I-ORG O"
LAYOUTS = {
    "bio.txt": table(BIO_TAGS, "{word} {tag}\n"),
    "iob1.conll": "-DOCSTART- -X- O O\n\n"
    + table("I-PER O O I-LOC I-LOC O I-ORG I-ORG O", "{word} NN I-NP {tag}\n"),
    "bioes.tsv": table("S-PER O O B-LOC E-LOC O B-ORG E-ORG O").removesuffix("\n"),
    "bilou.bio": "# id = 1\n" + table("U-PER O O B-LOC L-LOC O B-ORG L-ORG O") + "\n\n",
    "suffix.txt": table("PER_B O O LOC_B LOC_I O ORG_B ORG_I O", "{word}\t{tag}\r\n") + "\r\n",
    "train_data": table("PER_B - - LOC_B LOC_I - ORG_B ORG_I -", "{n}\t{word}\t{tag}\n"),
    "uner.iob2": "# sent_id = 1\n" + table(BIO_TAGS, "{n}\t{word}\t{tag}\t-\tann\n"),
    "words.iob2": table(BIO_TAGS, "{n}\t{word}\t{tag}\t-\t-\n") + "9-10\t직원을\tB-PER\t-\t-\n",
    "index.conll": table(BIO_TAGS, "{n}\t{word}\tB-NP\t{tag}\n"),
    "index_io.conll": table("PER O O LOC LOC O ORG ORG O", "{n} {word} NN {tag}\n"),
    "tagged.txt": f"{TEXT}␞{MARKED}",
    "tagged_alone.txt": MARKED,
    "klue.tsv": f"## 컬럼명 : CHAR\tNE_TAG\n## 1-a\t{MARKED}"
    + table(
        f"B-PER I-PER I-PER {'O ' * 7} B-LOC {'I-LOC ' * 4} {'O ' * 5} B-ORG {'I-ORG ' * 4}"
        f"{'O ' * 4}",
        tokens=[*TEXT],
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_the_same_sentence_in_every_layout(tmp_path, name, encoding):
    if encoding == "cp949" and "␞" in LAYOUTS[name]:
        pytest.skip("cp949 has no ␞")
    path = written(tmp_path / name, LAYOUTS[name].encode(encoding))
    assert read(path, "ner") == [{"text": TEXT, "entities": ENTITIES}]


@pytest.mark.parametrize("name", LAYOUTS)
def test_sentences_are_placed_by_their_first_line(tmp_path, name):
    end = "\r\n" if "\r" in LAYOUTS[name] else "\n"
    content = LAYOUTS[name].rstrip("\r\n") + end * (1 if "tagged" in name else 2)
    path = written(tmp_path / name, content * 2)
    places = [int(place.rsplit(" ", 1)[1]) for place, _ in read_examples(path, "ner")]
    offset = {"iob1.conll": 2, "bilou.bio": 1, "klue.tsv": 1, "uner.iob2": 1}.get(name, 0)
    lines = content.count("\n")
    assert places == [1 + offset, 1 + offset + lines]


TOKENS = st.lists(
    st.text(
        st.one_of(
            st.characters(min_codepoint=ord("가"), max_codepoint=ord("힣")),
            st.sampled_from("#<>:\"'-_OB👍\u1100\u1161"),
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=8,
)


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[str], list[tuple[int, int, str]]]:
    """Tokens, and spans of them that do not overlap and may touch."""
    tokens, spans, at = draw(TOKENS), [], 0
    while at < len(tokens):
        length = draw(st.integers(0, min(3, len(tokens) - at)))
        if length:
            spans.append((at, at + length, draw(st.sampled_from(["PER", "LOC", "B-C", "기관"]))))
        at += length or 1
    return tokens, spans


def tag(tokens: list[str], spans: list[tuple[int, int, str]], scheme: str) -> list[tuple[str, str]]:
    """Return ``(mark, label)`` a token, as each scheme is defined."""
    tags, before = [("O", "")] * len(tokens), None
    for first, end, label in spans:
        for n in range(first, end):
            mark = "I"
            if scheme == "IOB1":
                # B only where the entity before it touches and has the same label
                mark = "B" if n == first and before == (first, label) else "I"
            elif scheme in ("BIOES", "BILOU") and end - first == 1:
                mark = {"BIOES": "S", "BILOU": "U"}[scheme]
            elif n == first:
                mark = "B"
            elif scheme in ("BIOES", "BILOU") and n == end - 1:
                mark = {"BIOES": "E", "BILOU": "L"}[scheme]
            tags[n] = (mark, label)
        before = (end, label)
    return tags


def spans_in_text(tokens: list[str], spans: list[tuple[int, int, str]]) -> list[dict[str, Any]]:
    found = []
    for first, end, label in spans:
        start = len("".join(f"{token} " for token in tokens[:first]))
        found.append(entity(start, start + len(" ".join(tokens[first:end])), label))
    return found


@bounded
@given(
    corpus=st.lists(sentences(), min_size=1, max_size=4),
    scheme=st.sampled_from(["BIO", "IOB1", "BIOES", "BILOU"]),
    prefix=st.booleans(),
    layout=st.sampled_from(["tab", "blank", "index", "columns"]),
)
def test_spans_are_read_as_they_were_tagged(tmp_path, corpus, scheme, prefix, layout):
    blocks = []
    for tokens, spans in corpus:
        lines = []
        tags = tag(tokens, spans, scheme)
        for number, (token, (mark, label)) in enumerate(zip(tokens, tags, strict=True), start=1):
            whole = mark if mark == "O" else f"{mark}-{label}" if prefix else f"{label}-{mark}"
            lines.append(
                {
                    "tab": f"{token}\t{whole}",
                    "blank": f"{token} {whole}",
                    "index": f"{number}\t{token}\t{whole}",
                    "columns": f"{token}\tNN\tB-NP\t{whole}",
                }[layout]
            )
        blocks.append("\n".join(lines))
    if not prefix:  # a label of B-C alone reads as a mark and a label too
        assume(any(label != "B-C" for _, spans in corpus for _, _, label in spans))
    path = written(tmp_path / "a.txt", "\n\n".join(blocks))
    assert read(path, "ner") == [
        {"text": " ".join(tokens), "entities": spans_in_text(tokens, spans)}
        for tokens, spans in corpus
    ]


@st.composite
def annotated(draw: st.DrawFn, alphabet: str) -> tuple[str, list[dict[str, Any]]]:
    text = draw(st.text(st.sampled_from(alphabet), min_size=1, max_size=20).filter(str.strip))
    found, at = [], 0
    while at < len(text):
        length = draw(st.integers(0, min(4, len(text) - at)))
        if length:
            found.append(entity(at, at + length, draw(st.sampled_from(["PER", "LOC"]))))
        at += length or 1
    return text, found


def tagged(text: str, entities: list[dict[str, Any]]) -> str:
    for one in reversed(entities):
        start, end = one["start"], one["end"]
        text = f"{text[:start]}<{text[start:end]}:{one['label']}>{text[end:]}"
    return text


@bounded
@given(corpus=st.lists(annotated("가나 :3\"'👍\u1100\u1161,"), min_size=1, max_size=4))
@example(corpus=[("12:30에", [entity(0, 5, "TIM")])])
def test_tagged_texts_are_read_as_they_were_tagged_with_the_text_and_alone(tmp_path, corpus):
    assume(any(entities for _, entities in corpus))
    for line in (lambda t, e: f"{t}␞{tagged(t, e)}", tagged):
        path = written(tmp_path / "a.txt", "\n".join(line(*one) for one in corpus))
        assert read(path, "ner") == [{"text": text, "entities": e} for text, e in corpus]


@bounded
@given(corpus=st.lists(annotated("가나 :>3<"), min_size=1, max_size=4))
@example(corpus=[("<3:가>", [entity(3, 5, "PER")])])
def test_angle_brackets_in_the_text_never_change_it(tmp_path, corpus):
    path = written(tmp_path / "a.txt", "\n".join(f"{t}␞{tagged(t, e)}" for t, e in corpus))
    for row, (text, entities) in zip(read(path, "ner"), corpus, strict=True):
        assert row["text"] == text
        assert [e["label"] for e in row["entities"]] == [e["label"] for e in entities]


def test_tags_in_hangul_are_tags_where_many_lines_have_them(tmp_path):
    decomposed = unicodedata.normalize("NFD", "인물")
    lines = ["<홍길동:인물>은 간다", f"<홍길동:{decomposed}>은 간다", "간다"]
    path = written(tmp_path / "a.txt", "\n".join(lines))
    found = [row["entities"] for _, row in read_examples(path, "ner")]
    assert found == [[entity(0, 3, "인물")]] * 2 + [[]]
    photo = "<사진:연합뉴스>"
    path = written(tmp_path / "b.txt", "\n".join([f"<홍길동:PER>은 {photo}", photo, *["가"] * 9]))
    first, second, *_ = [row for _, row in read_examples(path, "ner")]
    assert first == {"text": f"홍길동은 {photo}", "entities": [entity(0, 3, "PER")]}
    assert second == {"text": photo, "entities": []}
    path = written(path, "\n".join([photo, *["가"] * 9]))  # lines to predict
    assert next(iter(read_examples(path, "ner", gold=False)))[1] == {"text": photo}


@bounded
@given(corpus=st.lists(annotated("가나 :3#\"'👍\u1100\u1161,\u2028"), min_size=1, max_size=4))
def test_characters_are_read_as_they_were_tagged(tmp_path, corpus):
    blocks = []
    for number, (text, entities) in enumerate(corpus):
        spans = [(e["start"], e["end"], e["label"]) for e in entities]
        tags = tag(list(text), spans, "BIO")
        lines = [
            f"{c}\t{m if m == 'O' else f'{m}-{la}'}" for c, (m, la) in zip(text, tags, strict=True)
        ]
        blocks.append("\n".join([f"## id-{number}\t{tagged(text, entities)}", *lines]))
    path = written(tmp_path / "a.tsv", "\n\n".join(blocks) + "\n")
    assert read(path, "ner") == [{"text": text, "entities": e} for text, e in corpus]


@pytest.mark.parametrize(
    ("line", "text", "entities"),
    [
        ("<2> 공략␞<<2>:NOH> 공략", "<2> 공략", [entity(0, 3, "NOH")]),
        ("3<5인 서울␞3<5인 <서울:LOC>", "3<5인 서울", [entity(5, 7, "LOC")]),
        ("a:b>c␞<a:b>c:PER>", "a:b>c", [entity(0, 5, "PER")]),
        ("<가:나>␞<가:나>", "<가:나>", []),
    ],
)
def test_angle_brackets_of_the_text_are_no_tags(tmp_path, line, text, entities):
    path = written(tmp_path / "a.txt", f"가␞<가:PER>\n{line}\n")
    assert read(path, "ner")[1] == {"text": text, "entities": entities}


BIO = "홍길동\tB-PER\n씨\tO\n\n"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (BIO + "서울\n", ("line 4", "1 columns", "'서울'", "has 2")),
        (BIO + "서울\tLOC\n", ("line 4", "'LOC'", "B-…")),
        (BIO + "서울\tB\n", ("line 4", "'B'")),
        (BIO + "\tB-LOC\n", ("line 4", "no token")),
        ("1\t가\tPER_B\n2\t나\t-\n4\t다\t-\n", ("line 3", "index '4' where 3")),
        ("1\t가\tPER_B\n2\t나\t-\n1\t다\t-\n", ("line 3", "index '1' where 3", "blank line")),
        ("## a\t가나\n가\tO\n다\tO\n", ("line 1", "'가다'")),
        ("## a\t가나\n가나\tO\n나\tB-PS\n", ("line 2", "'가나' where one character")),
        ("서울␞<서울:LOC\n부산␞<부산:LOC>\n", ("line 1", "character 0")),
        ("서울에␞<서울:LOC>은\n", ("line 1", "character 2", "'은'", "'에'")),
        ("가␞나␞<가:PER>\n", ("line 1", "2 ␞")),
        ("<서울:LOC>은\n<부산:LOC은\n", ("line 2", "half")),
        ("<서울:LOC>은\n부산:LOC>은\n", ("line 2", "half")),
        ("<서울:LOC>은\n<:LOC>은\n", ("line 2", "half")),
        ("그냥 글이다.\n태그가 없다.\n", ("'그냥 글이다.'", "B-PER", "<entity:TAG>")),
        ("", ("empty",)),
        ("\n\n", ("belong",)),
        (b"\xff\xfe\xff", ("UTF-16",)),
        (BIO.encode() + "서울\tO\n".encode()[:-4] + b"\xec\n", ("line 4",)),
        (BIO + "서\0울\tO\n", ("line 4", "NUL")),
    ],
)
def test_an_annotation_that_is_wrong_is_named_by_line(tmp_path, content, parts):
    message = refused(written(tmp_path / "a.txt", content), "ner")
    assert [part for part in parts if part not in message] == []


# Entities

NFC = "각 나라"
NFD = unicodedata.normalize("NFD", NFC)


@pytest.mark.parametrize(
    ("text", "entities", "parts"),
    [
        ("서울", [entity(0, 3, "LOC")], ("entity 1", "0-3", "2 characters")),
        ("서울", [entity(1, 1, "LOC")], ("1-1 is empty", "the end exclusive")),
        ("서울", [entity(2, 1, "LOC")], ("2-1 is empty",)),
        ("서울", [entity(-1, 1, "LOC")], ("start is -1", "below 0")),
        ("서울", [entity("0", 1, "LOC")], ("start: found '0'", "whole number")),
        ("서울", [entity(True, 2, "LOC")], ("start: found 'True'",)),
        ("서울", [entity(0, 1.0, "LOC")], ("end: found '1.0'",)),
        ("서울", [entity(0, 2, None)], ("label is missing",)),
        ("서울", [entity(0, 2, float("nan"))], ("label is missing",)),
        ("서울", [entity(0, 2, ["LOC"])], ("['LOC']\" where a label",)),
        ("서울", [{"first": 0, "end": 2, "label": "LOC"}], ("no 'start'", "first, end, label")),
        ("서울에", [entity(0, 1, "LOC", text="서울")], ("there up to 2, the end",)),
        ("서울", [{"start": 0, "end": 2, "labels": "LOC"}], ("no 'label'", "Did you mean labels")),
        ("서울시", [entity(0, 2, "A"), entity(1, 3, "B")], ("0-2 A and 1-3 B overlap",)),
        ("서울시", [entity(0, 2, "A"), entity(0, 2, "B")], ("overlap",)),
        ("서울에", [entity(1, 3, "LOC", text="서울")], ("'울에'", "'서울'", "stands at 0")),
        ("서울에", [entity(0, 2, "LOC", text="부산")], ("nowhere",)),
        ("서울에", [entity(0, 2, "LOC", text=3)], ("text: found '3'",)),
        ("👍 서울", [entity(3, 5, "LOC", text="서울")], ("UTF-16",)),
        (NFD, [entity(2, 4, "LOC", text="나라")], ("found after NFC",)),
        (NFC, [entity(4, 8, "LOC", text="나라")], ("stands at 2",)),
        (NFD, [entity(0, 2, "LOC", text="나라")], ("found after NFC",)),
        ("서울", {"start": 0}, ("a list like",)),
        ("서울", "LOC", ("not JSON",)),
        ("서울", None, ("entities: found 'None'", "[] for none")),
        ("서울", [[0, 2]], ("a list like",)),
    ],
)
def test_entities_that_are_wrong_are_named_by_row(tmp_path, text, entities, parts):
    rows = [ROWS["ner"][0], {"text": text, "entities": entities}]
    message = refused(write_rows(tmp_path / "a.jsonl", rows), "ner")
    assert [part for part in ("line 2", *parts) if part not in message] == []


def test_entities_may_touch_and_are_ordered_by_their_start(tmp_path):
    start = NFD.index(" ") + 1
    rows = [
        {"text": "서울부산", "entities": [entity(2, 4, "LOC", text="부산"), entity(0, 2, "LOC")]},
        {"text": NFD, "entities": [entity(start, len(NFD), "LOC", text=NFD[start:])]},
    ]
    found = read(write_rows(tmp_path / "a.jsonl", rows), "ner")
    assert found[0]["entities"] == [entity(0, 2, "LOC"), entity(2, 4, "LOC")]
    assert found[1] == {"text": NFD, "entities": [entity(start, len(NFD), "LOC")]}


# Texts and labels of any task


@pytest.mark.parametrize("column", ["premise", "hypothesis"])
@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        (None, "found 'None'"),
        (3, "found '3'"),
        (["가"], """found "['가']\""""),
        ("\ud83d", "half of a character"),
        ("가\0나", "NUL"),
        ("가" * 1_000_001, "1,000,001 characters"),
    ],
)
def test_what_is_no_text_is_named_by_row_and_column(tmp_path, column, value, part):
    rows = [ROWS["nli"][0], {**ROWS["nli"][0], column: value}]
    path = written(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    message = refused(path, "paircls")
    assert "line 2" in message and part in message
    assert part.startswith(("found", "half")) or column in message


@pytest.mark.parametrize("task", ["nli", "doccls", "doccls |"])
@pytest.mark.parametrize("value", [None, "", " ", float("nan"), [1], {"a": 1}])
def test_what_is_no_label_is_named_by_row(tmp_path, value, task):
    name, _, separator = task.partition(" ")
    path = write_rows(tmp_path / "a.jsonl", [{**ROWS[name][0], "label": v} for v in ("0", value)])
    options = {"label_separator": separator or None}
    if separator and isinstance(value, str | list):  # an empty cell is a row without labels
        labels = [row["label"] for row in read(path, "doccls", **options)]
        assert labels == [["0"], ["1"] if value == [1] else []]
        return
    message = refused(path, task_of(name), **options)
    assert "line 2" in message and "label" in message


def test_a_missing_column_is_named_with_the_nearest_and_the_options(tmp_path):
    rows = [{"premise": "가", "hypotheses": "나", "label": 1}]
    message = refused(write_rows(tmp_path / "a.jsonl", rows), "paircls")
    for part in ("'hypothesis'", "Did you mean hypotheses?", "--hypothesis_column_name"):
        assert part in message


def test_a_row_of_the_other_kind_of_pair_is_refused(tmp_path):
    message = refused(write_rows(tmp_path / "a.jsonl", ROWS["nli"] + ROWS["sts"]), "paircls")
    assert "line 2" in message and "'premise'" in message


@pytest.mark.parametrize("task", ["doccls", "ner", "qa", "search", "generation", "pretrain"])
def test_an_unknown_ending_or_no_file_is_refused(tmp_path, task):
    assert "no such file" in refused(tmp_path / "nothing.csv", task)
    if task != "ner":
        assert ".jsonl" in refused(written(tmp_path / "a.hwp", "가"), task)


# Plain texts and folders


@pytest.mark.parametrize("task", ["pretrain", "generation"])
def test_each_line_of_a_txt_file_is_a_text(tmp_path, task):
    path = written(tmp_path / "a.txt", "첫 줄 \r\n\n  둘째\u2028줄\n \n셋째")
    assert [row["text"] for row in read(path, task)] == ["첫 줄 ", "  둘째\u2028줄", "셋째"]
    assert [place.rsplit(" ", 1)[1] for place, _ in read_examples(path, task)] == ["1", "3", "5"]


def test_sub_folders_are_labels(tmp_path):
    written(tmp_path / "긍정" / "1.txt", "좋다\n")
    written(tmp_path / "긍정" / "2.txt", "  아주\n좋다\n\n")
    written(tmp_path / unicodedata.normalize("NFD", "부정") / "1.txt", "나쁘다")
    written(tmp_path / ".git" / "1.txt", "아니다")
    written(tmp_path / "긍정" / "3.TXT", "좋다")
    options = Options()
    rows = read(tmp_path, "doccls", options=options)
    assert options.lines() == ["1 files or folders are no .txt, and were left out"]
    assert sorted((row["label"], row["text"]) for row in rows) == [
        ("긍정", "  아주\n좋다\n"),
        ("긍정", "좋다"),
        ("부정", "나쁘다"),
    ]


def test_a_folder_without_labels_or_with_loose_or_empty_texts_is_refused(tmp_path):
    assert "no .txt file in a sub-folder" in refused(tmp_path, "doccls")
    assert "a folder" in refused(tmp_path, "ner")
    written(tmp_path / "긍정" / "1.txt", "\n")
    with pytest.raises(InputError, match="긍정/1.txt: the text is empty"):
        read(tmp_path, "doccls")
    written(tmp_path / "a.txt", "글")
    with pytest.raises(InputError, match="a.txt: stands in no sub-folder"):
        read(tmp_path, "doccls")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train.jsonl", "dev.tsv", "test.csv"], ["train.jsonl", "dev.tsv", "test.csv"]),
        (
            ["klue-ner-v1.1_dev.tsv", "klue-ner-v1.1_train.tsv"],
            ["klue-ner-v1.1_train.tsv", "klue-ner-v1.1_dev.tsv"],
        ),
        (["train_data", "README.md", ".DS_Store", "manifest.json"], ["train_data"]),
        (["Ratings_Train.txt", "val.txt"], ["Ratings_Train.txt", "val.txt"]),
    ],
)
def test_splits_are_found_by_name(tmp_path, names, found):
    for name in names:
        written(tmp_path / name, "가")
    splits = find_split_files(tmp_path)
    assert [path.name for path in splits.values()] == found
    order = [split for split in ("train", "validation", "test") if split in splits]
    assert list(splits) == order


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["train.csv", "train.jsonl"], ("train.csv and train.jsonl", "train")),
        (["dev.csv", "valid.csv"], ("dev.csv and valid.csv", "validation")),
        (["trainer.csv", "latest.csv"], ("latest.csv, trainer.csv",)),
        ([], ("nothing",)),
    ],
)
def test_splits_that_are_not_clear_are_refused(tmp_path, names, parts):
    for name in names:
        written(tmp_path / name, "가")
    with pytest.raises(InputError) as raised:
        find_split_files(tmp_path)
    assert all(part in str(raised.value) for part in parts)


# Official files, read as a user's own and by the parsers of their corpora


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("module", "file", "tags"),
    [
        (ner, "ner/val.txt", [*ner.TAGS]),
        (klue_ner, "klue-ner/klue-ner-v1.1_dev.tsv", [*klue_ner.ENTITIES]),
        (naver_changwon_ner, "naver_changwon_ner/train_data", [*naver_changwon_ner.TAGS]),
    ],
)
def test_official_named_entities_are_read_as_their_corpora_read_them(module, file, tags):
    expected = [
        (row["text"], [{**span, "label": tags[span["label"]]} for span in row["entities"]])
        for row in module.parse([CORPORA / file])
    ]
    assert [(row["text"], row["entities"]) for row in read(CORPORA / file, "ner")] == expected


@pytest.mark.corpora
def test_official_questions_are_read_as_their_corpus_reads_them():
    path = CORPORA / "korquad-v1" / "KorQuAD_v1.0_dev.json"
    assert read(path, "qa") == [*korquad_v1.parse([path])]


@bounded
@given(data=st.data(), name=st.sampled_from([*LAYOUTS, "squad.json"]))
def test_a_damaged_file_is_rows_or_an_error_that_names_it(tmp_path, data, name):
    squad_json = json.dumps(SQUAD, ensure_ascii=False)
    content = bytearray(LAYOUTS.get(name, squad_json).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        lost = data.draw(st.integers(0, 5))
        content[at : at + lost] = data.draw(st.sampled_from(DAMAGE)).encode()
    path = written(tmp_path / name, bytes(content))
    try:
        read(path, "qa" if name == "squad.json" else "ner")
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)


DAMAGE = ["", "\t", "\n", "\n\n", "<", ">", ":", "null", "[]", "{}", "-1", "NaN", "\0", '"', "# "]
DAMAGE += ["\\ud83d", "99999999999999999999", "B-", "I-PER", "O", "␞", "-DOCSTART-", "각", " "]
