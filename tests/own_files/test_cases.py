"""Files that people really have (../shared/cases), through the command ``nlpbook-data check``."""

import pytest
from conftest import CORPORA

from nlpbook_data.__main__ import main

CASES = CORPORA.parent / "cases"
PEOPLE = "entities: LOC 40, PER 40"
SIX = "If they are scores, pass --scores true"
REVIEWS = [*("--text_column_name", "본문", "--label_column_name", "분류")]
ANSWERS = ["--context_column_name", "본문", "--question_column_name", "질문"]
ANSWERS += ["--answers_column_name", "답"]
FAQ = [*("--query_column_name", "질문", "--passage_column_name", "답변")]
# file, task, options, whether nothing is wrong, what is said
RIGHT = [
    ("02-qa-next-command/test.json", "qa", [], True, "2 rows of qa"),
    ("03-float-int-labels", "doccls", [], True, "labels: 0 30, 1 30"),
    ("04-comma-multilabel/tags.csv", "doccls", [], True, "pass --multi_label true"),
    ("04-comma-multilabel/tags.csv", "doccls", ["--multi_label"], False, "--label_separator ,"),
    ("05-nfd-labels/train.csv", "doccls", [], True, "labels: 긍정 30, 부정 30"),
    ("06-rare-class/train.csv", "doccls", [], True, "A single row has the label 중립"),
    *((f"20-ner-schemes/{name}.txt", "ner", [], True, "entities: LOC 60, ORG 60, PER 60")
      for name in ("BIOES", "BMES", "BMEWO", "IO", "IOB1")),
    ("24-ner-doccano/admin.jsonl", "ner", [], True, "entities: LOC 40, ORG 40, PER 40"),
    ("24-ner-doccano/hf.jsonl", "ner", [], True, PEOPLE),
    ("24-ner-doccano/monologg.tsv", "ner", [], True, PEOPLE),
    ("40-sts-string-and-integer-scores/ints.tsv", "paircls", [], True, SIX),
    ("40-sts-string-and-integer-scores/whole_as_float.tsv", "paircls", [], True, SIX),
    ("40-sts-string-and-integer-scores/ints.tsv", "paircls", ["--scores", "true"], True,
     "scores from 0 to 5"),
    ("exports/doccano_ner.jsonl", "ner", [], True, "40 rows of ner"),
    ("exports/labelstudio_ner.json", "ner", [], True, "30 rows of ner"),
    ("exports/labelstudio_cls.json", "doccls", [], True, "labels: 긍정 17, 부정 23"),
    ("exports/reviews.xlsx", "doccls", REVIEWS, True, "labels: 긍정 53, 부정 47"),
    ("exports/colleagues_qa.csv", "qa", ANSWERS, False, "pass --repeated_answers first"),
    ("exports/colleagues_qa.csv", "qa", [*ANSWERS, "--repeated_answers", "skip"], True,
     "note: 12 answers stand more than once"),
    ("exports/faq.csv", "search", FAQ, True, "119 rows of search"),
]  # fmt: skip


@pytest.mark.corpora
@pytest.mark.parametrize(("file", "task", "options", "right", "said"), RIGHT)
def test_what_people_have_is_read_or_said_aloud(capsys, file, task, options, right, said):
    if not CASES.is_dir():
        pytest.skip(f"no {CASES}")
    status = 0
    try:
        main(["check", str(CASES / file), "--task", task, *options])
    except SystemExit as end:
        status = end.code
    assert said in capsys.readouterr().out
    assert status == (0 if right else 1)
