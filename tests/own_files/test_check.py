"""What `check_file` counts, and which errors it goes on after."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from writing import written

from nlpbook_data import InputError
from nlpbook_data.own_files.check import Report, check_file, format_report


def write(path: Path, rows: list[dict[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    return written(path, "".join(f"{line}\n" for line in lines))


def ner(text: str, *spans: tuple[int, int, str]) -> dict[str, Any]:
    entities = [{"start": start, "end": end, "label": label} for start, end, label in spans]
    return {"text": text, "entities": entities}


def lines_of(report: Report) -> list[str]:
    return [re.search(r", (?:the row of )?line ([0-9]+)", error)[1] for error in report.errors]


def pair(label: Any) -> dict[str, Any]:
    return {"sentence1": "가", "sentence2": "나", "label": label}


def test_rows_entities_and_lengths_are_counted(tmp_path):
    rows = [
        ner("서울", (0, 2, "LOC")),
        ner("나와 너"),
        ner("김 씨, 이 씨", (0, 1, "PER"), (5, 6, "PER")),
    ]
    report = check_file(write(tmp_path / "a.jsonl", rows), "ner")
    found = report.files["file"]
    assert report.is_right and report.errors == []
    assert (found.rows, found.wrong, found.format) == (3, 0, "jsonl, UTF-8")
    assert found.labels == {"LOC": 1, "PER": 2}
    assert found.lengths == {"text": (2, 4, 14 / 3, 8)}


ROWS = [
    ner("서울", (0, 2, "LOC")),
    ner("서울", (0, 3, "LOC")),
    "{",
    ner(""),
    {"text": "가"},
    ner("부산", (0, 2, "LOC")),
    '{"text": "가", "text": "나", "entities": []}',
]
TAGGED = ["서울\tB-LOC", "에\tO", "", "부산\tLOC", "에\tO", "", "대구\tB-LOC", "에", "", "나\tO"]


@pytest.mark.parametrize(
    ("name", "rows", "task", "lines", "labels", "kind"),
    [
        ("a.jsonl", ROWS, "ner", "23457", {"LOC": 2}, "jsonl, UTF-8"),
        (
            *("a.csv", ["text,label", "가,1,2", "나,0", "다", "라,1", ",0", '"마'], "doccls"),
            *("2467", {"0": 1, "1": 1}, "csv, comma, UTF-8"),
        ),
        (
            *("a.tsv", ["text\tlabel", "가\t1\t2", "나\t0", "다\t1", "라\t"], "doccls"),
            *("25", {"0": 1, "1": 1}, "tsv, tab, UTF-8"),
        ),
        (
            *("a.txt", TAGGED, "ner", "48", {"LOC": 1}),
            "token and tag a line, parted by tabs, B-TAG, UTF-8",
        ),
    ],
)
def test_every_bad_row_is_named_and_the_good_ones_are_counted(
    tmp_path, name, rows, task, lines, labels, kind
):
    report = check_file(write(tmp_path / name, rows), task)
    found = report.files["file"]
    assert lines_of(report) == [*lines] and not report.is_right
    assert (found.rows, found.wrong, report.wrong) == (2, len(lines), len(lines))
    assert (found.labels, found.format) == (labels, kind)


def test_questions_of_squad_are_read_on_after_a_bad_one(tmp_path):
    def question(id_: str, start: int | None) -> dict[str, Any]:
        answers = [] if start is None else [{"text": "서울", "answer_start": start}]
        return {"id": id_, "question": "?", "answers": answers}

    questions = [question("a", 0), question("b", 1), {"id": "c"}, question("d", None)]
    paragraphs = [{"context": "서울은", "qas": questions}, {"qas": []}]
    path = write(tmp_path / "a.json", [{"data": [{"title": "", "paragraphs": paragraphs}]}])
    report = check_file(path, "qa")
    assert len(report.errors) == 3 and report.files["file"].rows == 2
    assert report.files["file"].unanswered == 1
    assert "1 questions without an answer" in format_report(report)


def test_only_the_first_errors_are_kept_and_all_are_counted(tmp_path):
    path = write(tmp_path / "a.jsonl", [ner("")] * 50 + [ner("서울", (0, 2, "LOC"))])
    report = check_file(path, "ner", most=3)
    assert (len(report.errors), report.wrong) == (3, 50)
    assert "The first 3 of 50 errors:" in format_report(report)


def test_labels_of_the_other_splits_are_those_of_train(tmp_path):
    train = [{"text": "가", "label": "긍정"}, {"text": "나", "label": "부정"}]
    write(tmp_path / "train.jsonl", train)
    write(tmp_path / "dev.jsonl", [*train, {"text": "다", "label": "긍정함"}])
    write(tmp_path / "test.jsonl", [{"text": "라"}])
    report = check_file(tmp_path, "doccls")
    assert {split: found.rows for split, found in report.files.items()} == {
        "train": 2,
        "validation": 2,
        "test": 1,
    }
    (error,) = report.errors
    for part in ("dev.jsonl, line 3", "'긍정함'", "train (긍정, 부정)", "Did you mean 긍정?"):
        assert part in error


def test_a_file_to_predict_on_needs_no_labels_where_it_is_said(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"text": "가"}, {"text": ""}])
    assert check_file(path, "doccls", gold=False).wrong == 1
    assert "no column 'label'" in check_file(path, "doccls").errors[0]


@pytest.mark.parametrize(
    ("task", "name", "row"),
    [
        ("doccls", "label", "좋다"),
        ("doccls", "label", {"text": "좋다"}),
        ("ner", "entities", {"text": "좋다"}),
    ],
)
def test_a_file_without_what_is_predicted_is_one_whose_column_is_none(tmp_path, task, name, row):
    path = write(tmp_path / f"a.{'txt' if isinstance(row, str) else 'jsonl'}", [row])
    assert check_file(path, task, {name: "none"}).is_right
    assert not check_file(path, task).is_right


def test_columns_are_found_for_search_in_any_case(tmp_path):
    path = write(tmp_path / "a.csv", ["Context, Question,Answer_text", "서울은 수도,어디?,서울"])
    for task in ("search", "rerank"):
        report = check_file(path, task)
        assert report.is_right and report.task == "qa"


def test_labels_of_pairs_for_search_say_what_answers_what(tmp_path):
    path = write(tmp_path / "a.jsonl", [pair(0), pair(1)])
    (error,) = check_file(path, "search").errors
    assert "'0' does not say whether" in error and "--positive_label" in error
    assert check_file(path, "search", positive_label="1").is_right
    for task in ("search", "paircls"):
        (error,) = check_file(path, task, positive_label="2").errors
        assert "--positive_label 2: no such label. The labels are 0, 1." in error


ENTITIES = [ner("서울", (0, 2, "LOC")), ner("가", (0, 1, "LCO"))]
QUERY = {"query": "가", "passage": "나"}


@pytest.mark.parametrize(
    ("task", "rows", "options", "parts"),
    [
        ("doccls", [{"text": "가", "label": "하나"}] * 3, {}, ["1 label (하나) in all rows"]),
        ("ner", [ner("서울")], {}, ["no entity in any row"]),
        ("paircls", [pair(str(n)) for n in range(1001)], {}, ["1,001 different labels"]),
        ("search", [{**QUERY, "negative": "다"}, QUERY], {}, ["line 2: negative is not here"]),
        (
            *("ner", ENTITIES, {"label_names": ["LOC", "PER"]}),
            ["line 2", "'LCO'", "(LOC, PER)", "Did you mean LOC"],
        ),
    ],
)
def test_what_is_wrong_with_labels_or_columns_is_said(tmp_path, task, rows, options, parts):
    path = write(tmp_path / "a.jsonl", rows)
    (error,) = check_file(path, task, **options).errors
    assert [part for part in (str(path), *parts) if part not in error] == []


def test_scores_have_a_range_and_no_counts(tmp_path):
    report = check_file(write(tmp_path / "a.jsonl", [pair(0), pair(4.25), pair(3)]), "paircls")
    assert report.files["file"].scores == (0.0, 4.25) and not report.files["file"].labels
    assert "scores from 0 to 4.25" in format_report(report)


def test_a_folder_of_labels_is_one_file(tmp_path):
    for label in ("긍정", "부정"):
        write(tmp_path / label / "1.txt", [label])
    found = check_file(tmp_path, "doccls").files["file"]
    assert found.labels == {"긍정": 1, "부정": 1} and "a folder a label" in found.format


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"text,label\n\xff\xff,1\n", "line 2"),
        ("a.csv", b"", "empty"),
        ("a.xlsx", b"PK", "not a workbook"),
        ("a.hwp", b"PK", ".jsonl"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_of_the_report(tmp_path, name, content, part):
    (tmp_path / name).write_bytes(content)
    report = check_file(tmp_path / name, "doccls")
    assert report.wrong == 1 and part in report.errors[0]
    assert report.errors[0] in format_report(report)


def test_what_cannot_be_reported_on_is_refused(tmp_path):
    path = write(tmp_path / "a.jsonl", [ner("서울", (0, 2, "LOC"))])
    for arguments, part in [
        ((tmp_path / "b.jsonl", "ner"), "no such file"),
        ((path, "nre"), "Did you mean ner"),
        ((path, "ner", {"texts": "a"}), "Did you mean text"),
        ((tmp_path / "none", "ner"), "no such file"),
    ]:
        with pytest.raises(InputError, match=part):
            check_file(*arguments)


def test_the_report_reads_as_text(tmp_path):
    path = write(tmp_path / "a.jsonl", [ner("서울", (0, 2, "LOC")), ner("")])
    error = f"{path}, line 2: the text is empty. Mend or drop the row."
    assert format_report(check_file(path, "ner")) == (
        f"{path} (jsonl, UTF-8)\n"
        "  1 rows of ner, 1 wrong\n"
        "  text: 2 to 2 characters, median 2, mean 2.0\n"
        "  entities: LOC 1\n\n"
        f"Wrong:\n  {error}"
    )


def test_columns_that_are_not_read_are_named(tmp_path):
    rows = [{"query": "어디", "passage": "서울", "score": n, "url": "x"} for n in range(3)]
    said = "2 of its columns left unread: score, url"
    assert said in format_report(check_file(write(tmp_path / "a.jsonl", rows), "search"))
    wide = [{"text": "좋다", "label": "긍정", **{f"c{n}": n for n in range(40)}}]
    said = "40 of its columns left unread: c0, c1, c2, c3, c4, …"
    assert said in format_report(check_file(write(tmp_path / "b.jsonl", wide), "doccls"))
