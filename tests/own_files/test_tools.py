"""What annotation tools, chat models and search libraries write, in their own layouts."""

import csv
import gzip
import json
import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from writing import read_rows, write_rows, write_xlsx, written

from nlpbook_data import InputError
from nlpbook_data.own_files.annotations import write_annotations
from nlpbook_data.own_files.check import check_file, format_report
from nlpbook_data.own_files.options import Options
from nlpbook_data.own_files.schemas import read_examples

NFD = unicodedata.normalize("NFD", "긍정")
TEXT = "👍 홍길동은 서울에 산다"
SPANS = [(2, 5, "PER"), (7, 9, "LOC")]
NER = {
    "text": TEXT,
    "entities": [dict(zip(("start", "end", "label"), s, strict=True)) for s in SPANS],
}


def read(path: Path, task: str = "ner", columns: Any = None, **options: Any) -> list:
    return [row for _, row in read_examples(path, task, columns, **options)]


def as_json(path: Path, value: Any) -> Path:
    return written(path, json.dumps(value, ensure_ascii=False, indent=1))


def studio(start: int, end: int, label: str, shift: int = 0) -> dict[str, Any]:
    value = {"start": start + shift, "end": end + shift, "text": TEXT[start:end], "labels": [label]}
    return {"value": value, "from_name": "ner", "to_name": "t", "type": "labels"}


def task(results: list[dict], **more: Any) -> dict[str, Any]:
    annotations = [{"id": 1, "was_cancelled": False, "result": results}]
    return {"id": 1, "data": {"본문": TEXT}, "annotations": annotations, "predictions": []} | more


RELATIONS = [
    {"id": n, "label": label, "start_offset": start, "end_offset": end}
    for n, (start, end, label) in enumerate(SPANS)
]
MIN = {"annotator": 1, "annotation_id": 3, "created_at": "2026-01-01T00:00:00Z", "lead_time": 3.2}
PRODIGY = [
    {"start": start, "end": end, "label": label, "token_start": 1, "token_end": 1}
    for start, end, label in SPANS
]
MARKED = json.dumps([studio(*span)["value"] for span in SPANS], ensure_ascii=False)
TWO = {"text": "좋다", "label": "2"}
EXPORTS: dict[str, tuple[str, list[Any]]] = {
    "doccano": ("a.jsonl", [{"id": 1, "text": TEXT, "label": SPANS, "Comments": []}]),
    "doccano, labels": ("a.jsonl", [{"id": 1, "data": TEXT, "labels": SPANS}]),
    "doccano, relations": (
        "a.jsonl",
        [{"id": 1, "text": TEXT, "entities": RELATIONS, "relations": []}],
    ),
    "lists of entities": ("a.jsonl", [{"text": TEXT, "entities": SPANS}]),
    "Label Studio": ("a.json", [task([studio(*span) for span in SPANS])]),
    "Label Studio 1.0, UTF-16 units": ("a.json", [task([studio(*s, shift=1) for s in SPANS])]),
    "Label Studio JSON-MIN": (
        "a.json",
        [{"id": 1, "본문": TEXT, "label": [studio(*span)["value"] for span in SPANS], **MIN}],
    ),
    "Label Studio csv": ("a.csv", [{"text": TEXT, "label": MARKED, **MIN}]),
    "Label Studio tsv": ("a.tsv", [{"text": TEXT, "label": MARKED, **MIN}]),
    "doccano csv": ("a.csv", [{"text": TEXT, "label": json.dumps(SPANS)}]),
    "doccano csv, a row an entity": (
        "a.csv",
        [
            {"id": 1, "start_offset": a, "end_offset": b, "label": name, "text": TEXT, "user": 1}
            for a, b, name in SPANS
        ],
    ),
    "spaCy": ("a.json", [[TEXT, {"entities": SPANS}]]),
    "begin and type": (
        "a.jsonl",
        [{"text": TEXT, "NE": [{"begin": a, "end": b, "type": t} for a, b, t in SPANS]}],
    ),
    "Prodigy": (
        "a.jsonl",
        [
            {"text": TEXT, "_input_hash": 1, "tokens": [], "spans": PRODIGY, "answer": "accept"},
            {"text": "버린다", "_input_hash": 2, "spans": [], "answer": "reject"},
        ],
    ),
}


def saved(folder: Path, file: str, rows: list[Any]) -> Path:
    if file == "a.tsv":  # with the quotes of csv
        with (folder / file).open("w", encoding="utf-8", newline="") as lines:
            table = csv.DictWriter(lines, rows[0], delimiter="\t")
            table.writeheader()
            table.writerows(rows)
        return folder / file
    return (as_json if file.endswith(".json") else write_rows)(folder / file, rows)


@pytest.mark.parametrize("name", EXPORTS)
def test_entities_of_annotation_tools(tmp_path, name):
    path = saved(tmp_path, *EXPORTS[name])
    assert read(path) == [NER]
    assert format_report(check_file(path, "ner")).endswith("Nothing is wrong.")


def test_brat_is_a_folder_of_texts_with_annotations(tmp_path):
    written(tmp_path / "b/1.txt", f"{TEXT}\n둘째 줄")
    marks = [f"T{n}\t{label} {a} {b}\t{TEXT[a:b]}" for n, (a, b, label) in enumerate(SPANS, 1)]
    marks += ["T3\tPER 2 3;4 5\t홍 동", "R1\tlives Arg1:T1 Arg2:T2", "#1\tAnnotatorNotes T1\t?"]
    written(tmp_path / "b/1.ann", "\n".join(marks) + "\n")
    options = Options()
    (row,) = read(tmp_path / "b", options=options)
    assert row == NER | {"text": f"{TEXT}\n둘째 줄"}
    assert options.lines() == ["1 entities in several pieces were left out"]
    assert check_file(tmp_path / "b", "ner").is_right
    written(tmp_path / "b/1.ann", "T1\tPER 3 5\t홍길동\n")
    with pytest.raises(
        InputError, match="1.txt, entity 1: 3-5 of the text is '길동' where its text says"
    ):
        read(tmp_path / "b")
    written(tmp_path / "b/0.ann", "T1\tPER 0 3\t홍길동\n")
    with pytest.raises(InputError, match="0.ann: there is no 0.txt beside it"):
        read(tmp_path / "b")


def test_a_row_that_nobody_has_marked_is_refused(tmp_path):
    rows = [{"text": TEXT, "label": SPANS}, {"text": TEXT, "label": None}]
    with pytest.raises(InputError, match="line 2: there is no label; write \\[\\] where nothing"):
        read(write_rows(tmp_path / "a.jsonl", rows))


WEBANNO = """#FORMAT=WebAnno TSV 3.3
#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue
#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value
#T_RL=webanno.custom.Relation|kind|BT_webanno.custom.Relation


#Text=첫 문장
1-1\t0-1\t첫\tMM\t_\t_\t_\t_\t
1-2\t2-4\t문장\tNNG\t_\t_\t_\t_\t

#Text=👍 홍길동은 서울 시\\_청에 산다
2-1\t5-7\t👍\tSW\t_\t_\t_\t_\t
2-2\t8-12\t홍길동은\tNNP\t_\t_\t_\t_\t
2-2.1\t8-11\t홍길동\t_\t*\tPER\t_\t_\t
2-3\t13-15\t서울\tNNP\t*[1]\tLOC[1]\t_\t_\t
2-4\t16-20\t시_청에\tNNG\t*[1]\tLOC[1]\t_\t_\t
2-5\t21-23\t산다\tVV\t_\t_\t_\t_\t
"""


def test_webanno_tsv(tmp_path):
    first, second = read(written(tmp_path / "a.tsv", WEBANNO))
    assert first == {"text": "첫 문장", "entities": []}
    text, found = second["text"], second["entities"]
    assert text == "👍 홍길동은 서울 시_청에 산다"
    spans = [(text[e["start"] : e["end"]], e["label"]) for e in found]
    assert spans == [("홍길동", "PER"), ("서울 시_청에", "LOC")]


@pytest.mark.parametrize(
    "tags",
    [
        ["O", "B-PER", "M-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC"],  # BMES
        ["O", "B-PER", "M-PER", "E-PER", "O", "W-LOC", "B-LOC", "E-LOC"],  # BMEWO
        ["O", "PER-B", "PER-I", "PER-I", "O", "LOC-B", "LOC-B", "LOC-I"],  # KoBERT-NER
    ],
)
@pytest.mark.parametrize("layout", ["lines", "sentences", "objects", "numbers", "parquet"])
def test_tags_of_any_scheme_and_layout(tmp_path, tags, layout):
    words, names = "아 홍 길 동 이 서울 부산 시".split(), sorted(set(tags))
    numbers = [names.index(tag) for tag in tags]
    options, path = Options(), tmp_path / "a.jsonl"
    lines = {
        "lines": "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)),
        "sentences": f"{' '.join(words)}\t{' '.join(tags)}\n",
    }
    if layout in lines:
        path = written(tmp_path / "a.tsv", lines[layout])
    elif layout == "parquet":
        types = Features(tokens=List(Value("string")), ner_tags=List(ClassLabel(names=names)))
        path = tmp_path / "a.parquet"
        Dataset.from_dict({"tokens": [words], "ner_tags": [numbers]}, types).to_parquet(path)
    else:
        write_rows(path, [{"tokens": words, "ner_tags": tags if layout == "objects" else numbers}])
    if layout == "numbers":
        with pytest.raises(InputError, match="line 1: .*--ner_tag_names"):
            read(path)
        options = Options(ner_tag_names=names)
    (row,) = read(path, options=options)
    found = [(row["text"][e["start"] : e["end"]], e["label"]) for e in row["entities"]]
    assert found == [("홍 길 동", "PER"), ("서울", "LOC"), ("부산 시", "LOC")]


def test_2016klp_and_labels_without_marks(tmp_path):
    klp = written(
        tmp_path / "klp.txt",
        "; 홍길동은 서울에 산다\n$<홍길동:PS>은 <서울:LC>에 산다\n1\t홍길동\tNNP\tB_PS\n\n",
    )
    (row,) = read(klp)
    assert row["text"] == "홍길동은 서울에 산다"
    assert [e["label"] for e in row["entities"]] == ["PS", "LC"]
    io = written(tmp_path / "io.txt", "홍\tPER\n길동\tPER\n은\tO\n서울\tLOC\n\n또\tO\n")
    assert [len(row["entities"]) for row in read(io)] == [2, 0]


CLASSES = {
    "doccano": ("a.jsonl", [{"id": 1, "text": "좋다", "label": ["긍정"], "Comments": []}]),
    "Label Studio": (
        "a.json",
        [
            {
                "data": {"text": "좋다", "출처": "웹"},
                "annotations": [
                    {"was_cancelled": True, "result": []},
                    {"result": [{"type": "choices", "value": {"choices": ["긍정"]}}]},
                ],
            },
            {"data": {"text": "아직"}, "annotations": []},
        ],
    ),
    "JSON-MIN": ("a.json", [{"text": "좋다", "감성": "긍정", "annotation_id": 1, "lead_time": 1}]),
    "Prodigy": (
        "a.jsonl",
        [{"text": "좋다", "options": [], "accept": ["긍정"], "answer": "accept", "_task_hash": 1}],
    ),
    "spaCy": ("a.jsonl", [{"text": "좋다", "cats": {"긍정": 1.0, "부정": 0.0}}]),
    "doccano csv": ("a.csv", [{"id": 1, "data": "좋다", "label": "긍정"}]),
    "KLUE": ("a.json", [{"guid": "y-0", "title": "좋다", "label": "긍정", "url": "u"}]),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes_of_annotation_tools(tmp_path, name):
    path = saved(tmp_path, *CLASSES[name])
    assert read(path, "doccls") == [{"text": "좋다", "label": "긍정"}]


def test_one_of_several_choices_of_label_studio_is_named(tmp_path):
    results = [
        {"from_name": name, "type": "choices", "value": {"choices": [choice]}}
        for name, choice in (("감성", "긍정"), ("주제", "배송"))
    ]
    annotated = {"data": {"text": "좋다"}, "annotations": [{"result": results}]}
    path = as_json(tmp_path / "a.json", [annotated])
    assert read(path, "doccls", {"label": "주제"}) == [{"text": "좋다", "label": "배송"}]
    with pytest.raises(InputError, match="the label may be 감성 or 주제"):
        read(path, "doccls", label_separator="|")


def test_characters_of_klue_on_the_hub_and_words(tmp_path):
    rows = [{"tokens": [*"나 홍"], "ner_tags": ["O", "O", "B-PS"]}]
    rows += [{"tokens": [*"가다"], "ner_tags": ["O", "O"]}]
    found = read(write_rows(tmp_path / "a.jsonl", rows))
    assert found[0] == {"text": "나 홍", "entities": [{"start": 2, "end": 3, "label": "PS"}]}
    assert found[1]["text"] == "가다"
    write_rows(tmp_path / "b.jsonl", [{"words": ["홍", "간다"], "ner": ["B-PS", "O"]}])
    assert read(tmp_path / "b.jsonl")[0]["text"] == "홍 간다"
    words = written(tmp_path / "c.csv", "sentence,word,tag\n1,홍,B-PS\n1,길동,I-PS\n")
    with pytest.raises(InputError, match="If each row is a token"):
        read(words)


def test_of_several_annotators_the_first_counts_and_is_said_to(tmp_path):
    def by(*answers: str) -> dict[str, Any]:
        return {
            "data": {"text": f"글 {answers}"},
            "annotations": [
                {"completed_by": n, "result": [{"type": "choices", "value": {"choices": [answer]}}]}
                for n, answer in enumerate(answers)
            ],
        }

    path = as_json(
        tmp_path / "a.json", [by("긍정"), by("부정", "부정"), by("긍정", "부정", "부정")]
    )
    for gold in (True, False):
        options = Options()
        rows = read(path, "doccls", gold=gold, options=options)
        assert [row["label"] for row in rows] == ["긍정", "부정", "긍정"]
        assert options.lines() == [
            "1 rows have several annotations that are equal",
            "1 rows have several annotations that differ: the first of each counts",
        ]
    spans = [task([studio(*SPANS[1]), studio(*SPANS[0])])]
    spans[0]["annotations"] += task([studio(*span) for span in SPANS])["annotations"]
    options = Options()
    assert read(as_json(tmp_path / "b.json", spans), options=options) == [NER]
    assert options.lines() == ["1 rows have several annotations that are equal"]


def test_marks_of_label_studio_in_html_are_counted(tmp_path):
    marked = {"type": "hypertextlabels", "value": {"start": "/p[1]/text()[1]", "end": "/p[1]"}}
    options = Options()
    path = as_json(tmp_path / "a.json", [task([marked, *(studio(*span) for span in SPANS)])])
    assert read(path, options=options) == [NER]
    assert options.lines() == ["1 marks are hypertextlabels, not in plain text, and were left out"]


def test_of_nested_entities_the_outermost_is_kept_and_the_others_are_counted(tmp_path):
    text = "서울대학교 병원장"
    spans = [(0, 2, "LOC"), (0, 8, "ORG"), (6, 8, "ORG"), (0, 8, "ORG"), (8, 9, "POH")]
    path = write_rows(tmp_path / "a.jsonl", [{"id": 1, "text": text, "label": spans}])
    report = check_file(path, "ner")
    assert report.is_right and report.files["file"].labels == {"ORG": 1, "POH": 1}
    assert report.files["file"].notes[0].startswith("3 entities stand inside another one")
    for wrong in ([(0, 5, "ORG"), (3, 8, "LOC")], [(0, 5, "ORG"), (0, 5, "LOC")]):
        path = write_rows(tmp_path / "b.jsonl", [{"id": 1, "text": text, "label": wrong}])
        with pytest.raises(InputError, match="overlap. Keep one"):  # which one, nobody can tell
            read(path)


def test_nsmc_as_txt_and_lines_to_predict(tmp_path):
    for header in ("id\tdocument\tlabel", "ID\tDocument \tLabel"):
        nsmc = written(tmp_path / "ratings.txt", f'{header}\n1\t"좋다\t1\n')
        assert read(nsmc, "doccls") == [{"text": '"좋다', "label": "1"}]
    lines = written(tmp_path / "new.txt", "좋다\n\n나쁘다\n")
    assert [row["text"] for row in read(lines, "doccls", gold=False)] == ["좋다", "나쁘다"]


def test_pairs_of_klue(tmp_path):
    rows = [
        {"guid": "n", "premise": "가", "hypothesis": "나", "gold_label": "neutral", "label5": "x"}
    ]
    (row,) = read(as_json(tmp_path / "a.json", rows), "paircls")
    assert row["label"] == "neutral"
    sts = [{"guid": "s", "sentence1": "가", "sentence2": "나", "labels": {"label": 3.7}}]
    assert read(as_json(tmp_path / "b.json", sts), "paircls")[0]["label"] == "3.7"
    rows[0]["gold label"] = rows[0].pop("gold_label")
    report = check_file(write_rows(tmp_path / "c.jsonl", rows * 3), "paircls")
    assert report.wrong == 1 and "Did you mean gold label or label5?" in report.errors[0]


@pytest.mark.parametrize(
    ("labels", "kept", "said"),
    [
        ("neutral - Entailment", "neutral Entailment", ["1 rows of inference have no gold label"]),
        ("함의 - 모순 -", "함의 모순", ["2 rows of inference have no gold label"]),
        ("+ - +", "+ - +", []),
    ],
)
def test_pairs_without_a_gold_label_are_left_out_of_inference_alone(tmp_path, labels, kept, said):
    pair, options = {"sentence1": "가", "sentence2": "나"}, Options()
    path = write_rows(tmp_path / "a.tsv", [pair | {"gold_label": one} for one in labels.split()])
    assert [row["label"] for row in read(path, "paircls", options=options)] == kept.split()
    assert [line[: len(said[0])] for line in options.lines()] == said if said else True


@pytest.mark.parametrize("name", ["id", "ID"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_row_for_each_label_of_a_text(tmp_path, name, suffix):
    rows = [
        {name: n, "text": f"글 {n}", "label": label if suffix == "csv" else [label]}
        for n, label in [(1, "a"), (2, "a"), (1, "b")]
    ]
    path = write_rows(tmp_path / f"a.{suffix}", rows)
    found = read(path, "doccls", label_separator=",")
    assert [row["label"] for row in found] == [["a", "b"], ["a"]]


def test_a_text_with_two_labels_is_told(tmp_path):
    rows = [{"id": n // 2, "text": f"글 {n // 2}", "label": str(n % 3)} for n in range(6)]
    notes = check_file(write_rows(tmp_path / "a.csv", rows), "doccls").files["file"].notes
    assert "3 rows repeat a text with another label." in notes
    assert any("3 of the first 100 rows repeat an id and text; --multi_label" in n for n in notes)


def test_relations_of_klue_are_marked_as_in_the_corpus(tmp_path):
    subject = {"word": "홍길동", "start_idx": 0, "end_idx": 2, "type": "PER"}
    other = {"word": "서울", "start_idx": 5, "end_idx": 6, "type": "도시"}
    row = {"guid": "r", "sentence": "홍길동은 서울에 산다", "label": "per:origin"}
    row |= {"subject_entity": subject, "object_entity": other}
    path = as_json(tmp_path / "a.json", [row])
    marked = {"text": "@ * 인물 * 홍길동 @은 # ^ 도시 ^ 서울 #에 산다"}
    assert read(path, "doccls") == [marked | {"label": "per:origin"}]
    assert read(path, "doccls", {"text": "sentence"})[0]["text"] == row["sentence"]
    del row["label"]
    assert read(as_json(path, [row]), "doccls", gold=False) == [marked]
    other["end_idx"] = 7
    with pytest.raises(InputError, match="'서울에' where the word '서울' belongs. Mend or drop"):
        read(as_json(path, [row]), "doccls", gold=False)


TURNS = [("system", "짧게."), ("user", "수도는?"), ("assistant", "서울"), ("user", "또?")]
TURNS += [("assistant", "부산")]


SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": who, "content": said} for who, said in TURNS]},
        {"conversations": [{"from": SHAREGPT[who], "value": said} for who, said in TURNS]},
        {"messages": [{"role": w, "content": said} for w, said in TURNS[1:]], "system": "짧게."},
    ],
)
def test_each_answer_of_a_conversation_is_a_completion(tmp_path, row):
    alone = {key: value[:1] if key != "system" else "" for key, value in row.items()}
    path = write_rows(tmp_path / "a.jsonl", [row, alone])
    options = Options()
    assert read(path, "generation", options=options) == [
        {"prompt": "짧게.\n수도는?\n", "completion": "서울"},
        {"prompt": "짧게.\n수도는?\n서울\n또?\n", "completion": "부산"},
    ]
    assert options.lines()[0].startswith("1 rows were left out: nothing in them is said")


def test_instructions(tmp_path):
    rows = [{"instruction": "옮겨라", "input": "서울", "output": "Seoul"}]
    rows += [{"instruction": "인사해라", "input": "", "output": "안녕"}]
    assert read(as_json(tmp_path / "a.json", rows), "generation") == [
        {"prompt": "옮겨라\n서울\n", "completion": "Seoul"},
        {"prompt": "인사해라\n", "completion": "안녕"},
    ]
    dolly = {"instruction": "줄여라", "context": "긴 글", "response": "글"}
    (row,) = read(as_json(tmp_path / "b.json", [dolly]), "generation")
    assert row == {"prompt": "줄여라\n긴 글\n", "completion": "글"}
    songys = written(tmp_path / "c.csv", "Q,A,label\n안녕?,네,0\n")
    assert read(songys, "generation") == [{"question": "안녕?", "answer": "네"}]


@pytest.mark.parametrize(
    "row",
    [
        {"anchor": "수도", "positive": "서울", "negative": "부산"},
        {"Anchor": "수도", " Positive": "서울", "NEGATIVE": "부산"},
        {"anchor": "수도", "positive": "서울", "negative_1": "부산"},
        {"query": "수도", "pos": ["서울"], "neg": ["부산"], "prompt": "찾아라"},
        {
            "query": "수도",
            "positive_passages": [{"docid": "1", "text": "서울"}],
            "negative_passages": [{"docid": "2", "title": "", "text": "부산"}],
        },
    ],
)
def test_queries_of_search_libraries(tmp_path, row):
    found = {"query": "수도", "passage": "서울", "negative": "부산"}
    assert read(write_rows(tmp_path / "a.jsonl", [row]), "search") == [found]


def test_gzip_zstd_and_utf_16(tmp_path):
    content = "text,label\n좋다,1\n"
    written(tmp_path / "a.csv.gz", gzip.compress(content.encode()))
    written(tmp_path / "b.csv", content.encode("utf-16"))
    with pa.CompressedOutputStream(str(tmp_path / "c.csv.zst"), "zstd") as file:
        file.write(content.encode("cp949"))
    for path in sorted(tmp_path.iterdir()):
        assert read(path, "doccls") == [{"text": "좋다", "label": "1"}]
    written(tmp_path / "a.csv.gz", gzip.compress(content.encode())[:-9])
    with pytest.raises(InputError, match="a.csv.gz: damaged"):
        read(tmp_path / "a.csv.gz", "doccls")


def test_labels_in_one_spelling_and_headers_in_any(tmp_path):
    path = written(tmp_path / "a.csv", f" Text ,LABEL\n하나,1.0\n둘,1\n셋,{NFD}\n넷,nan\n")
    options = Options()
    assert [row["label"] for row in read(path, "doccls", options=options)] == ["1", "1"] + [
        "긍정",
        "nan",
    ]
    assert [line[:30] for line in options.lines()] == [
        "1 labels in decomposed letters",
        "1 labels are a word for an emp",
    ]


def test_labels_that_look_alike_are_one_class(tmp_path):
    labels = ["긍정", "긍정\u200b", "긍정\u3164", "\ufeff부정", "부\u00ad정", "부정 \u2060\u200e"]
    rows = [{"\ufefftext": "글", "label": label} for label in labels]
    path = write_rows(tmp_path / "a.jsonl", rows)
    options = Options()
    found = [row["label"] for row in read(path, "doccls", options=options)]
    assert found == ["긍정"] * 3 + ["부정"] * 3
    assert options.lines()[0].startswith("5 labels have invisible characters")
    write_rows(path, [{"text": "글", "label": "\u200b"}])
    with pytest.raises(InputError, match="line 1: the label is missing"):
        read(path, "doccls")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("True TRUE", True),
        ("1 True", True),
        ("01 1", True),
        ("1 １ 0", True),
        ("긍정(상) 긍정（상）", True),
        ("-1 1 \u22121", True),
        ("긍\u00a0정 긍정", True),
        ("1 -1 10 0.1", False),
        ("긍정 부정 중립", False),
        ("['긍정'] 부정", True),
    ],
)
def test_labels_that_look_like_one_are_told(tmp_path, labels, said):
    rows = [{"text": f"글 {label}", "label": label} for label in labels.split(" ") * 2]
    report = check_file(write_rows(tmp_path / "a.jsonl", rows), "doccls")
    assert report.is_right
    notes = [n for n in report.files["file"].notes if "look like one" in n or "like a list" in n]
    assert bool(notes) == said


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("['기쁨', \"슬픔\"]", ["기쁨", "슬픔"]),
        ("[기쁨, 슬픔]", ["기쁨", "슬픔"]),
        ("('기쁨',)", ["기쁨"]),
        ("{'기쁨'}", ["기쁨"]),
        ("set()", []),
        ("[1, 2, 0]", ["0", "1", "2"]),
        ("(주)나라", ["(주)나라"]),
        ("(기타)", ["(기타)"]),
    ],
)
def test_lists_in_a_cell(tmp_path, cell, labels):
    path = write_rows(tmp_path / "a.csv", [{"text": "글", "label": cell}])
    assert read(path, "doccls", label_separator=";") == [{"text": "글", "label": labels}]


@pytest.mark.parametrize("label", [[0, 1, 1], "[1, 0, 0]", "0;1;0"])
def test_a_one_for_each_label_is_refused(tmp_path, label):
    path = write_rows(tmp_path / "a.jsonl", [{"text": "글", "label": label}])
    with pytest.raises(InputError, match="line 1: found .* a list of the labels' names belongs"):
        read(path, "doccls", label_separator=";")


@pytest.mark.parametrize(
    ("labels", "told"),
    [(("기쁨", "슬픔", "기쁨 슬픔"), True), (("매우 좋음", "매우 나쁨", "좋음"), False)],
)
def test_labels_with_a_blank_between_them(tmp_path, labels, told):
    rows = [{"text": f"글 {label}", "label": label} for label in labels]
    report = check_file(write_rows(tmp_path / "a.csv", rows), "doccls", label_separator=",")
    assert report.is_right != told and ("--label_separator ' '" in str(report.errors)) == told


SCORES = [{"sentence1": "가", "sentence2": "나", "label": label} for label in ("3,5", "0")]
JUDGED = [{"query": "가", "passage": passage, "맞음": n} for n, passage in enumerate("나다")]
NOTES: dict[str, tuple[str, list[dict], str]] = {
    "a word for an empty text": (
        "doccls",
        [{"text": "NaN", "label": "1"}, TWO],
        "1 rows have a word",
    ),
    "scores with a comma": ("paircls", SCORES, "look like scores with a comma"),
    "a history": (
        *("generation", [{"instruction": "가", "output": "나", "history": [["다", "라"]]}]),
        "1 of its columns left unread: history",
    ),
    "scores of passages": (
        *("search", [{"query": "가", "pos": ["나"], "neg": [], "pos_scores": [1]}]),
        "1 of its columns left unread: pos_scores",
    ),
    "what answers": (
        "search",
        JUDGED,
        "1 columns of 0 and 1 left unread: all rows count as answers",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_is_read_but_may_be_meant_otherwise_is_told(tmp_path, name):
    task, rows, said = NOTES[name]
    report = check_file(write_rows(tmp_path / "a.jsonl", rows), task)
    assert report.is_right and any(said in note for note in report.files["file"].notes)


def test_columns_of_0_and_1_are_no_label(tmp_path):
    rows = [{"문장": "가", "욕설": 0, "혐오": 1}, {"문장": "나", "욕설": 1, "혐오": 0}]
    path = write_rows(tmp_path / "a.tsv", rows)
    with pytest.raises(
        InputError, match="If 욕설, 혐오 are labels, write the names of those with a 1"
    ):
        read(path, "doccls", {"text": "문장"}, label_separator=",")


def test_a_label_beside_query_and_passage_is_not_passed_over(tmp_path):
    rows = [{"query": "수도", "passage": "서울", "label": 1}, {"query": "수도", "passage": "부산"}]
    path = write_rows(tmp_path / "a.jsonl", [rows[0], rows[1] | {"label": 0}])
    assert "--positive_label" in check_file(path, "search").errors[0]
    assert check_file(path, "rerank", positive_label="1").is_right


def test_folders_of_beir(tmp_path):
    passages = [{"_id": n, "title": "제목" * (n == 1), "text": f"글 {n}"} for n in range(3)]
    write_rows(tmp_path / "corpus.jsonl", passages)
    queries = write_rows(
        tmp_path / "queries.jsonl", [{"_id": f"q{n}", "text": f"물음 {n}"} for n in (1, 2)]
    )
    head = "query-id\tcorpus-id\tscore\n"
    written(tmp_path / "qrels/train.tsv", f"{head}q1\t1\t1\nq1\t2\t0\nq2\t2\t0\n")
    qrels = written(tmp_path / "qrels/dev.tsv", f"{head}q2\t0\t2\n")
    found = check_file(tmp_path, "search")
    assert found.is_right and {s: f.rows for s, f in found.files.items()} == {
        "train": 1,
        "validation": 1,
    }
    assert found.files["train"].notes == [
        "1 queries have no passage with a score above 0, and were left out"
    ]
    row = {"query": "물음 1", "passage": "제목 글 1", "negative": "글 2"}
    assert read(tmp_path / "qrels/train.tsv", "search") == [row]
    written(qrels, f"{head}q2\t7\t1\nq2\t0\t?\n")
    for error, part in zip(
        check_file(tmp_path, "rerank").errors, ["'7' where an id of corpus", "'?'"], strict=True
    ):
        assert "dev.tsv, line" in error and part in error
    queries.unlink()
    with pytest.raises(InputError, match="BEIR's qrels, .* no queries.jsonl"):
        read(qrels, "search")


def test_a_sheet_by_name_and_dates_in_columns_that_are_not_read(tmp_path):
    day = date(2026, 1, 1)
    rows = [["작성일", "text", "label"], [day, "좋다", "긍정"]]
    path = write_xlsx(tmp_path / "a.xlsx", [["비고"]], rows)
    assert (
        "1 of its sheets left unread (--sheet_name): Sheet1"
        in check_file(path, "doccls").files["file"].notes
    )
    options = Options(sheet_name="Sheet1")
    assert read(path, "doccls", options=options) == [{"text": "좋다", "label": "긍정"}]
    with pytest.raises(InputError, match="row 2: found 'datetime.* where a label belongs"):
        read(path, "doccls", {"label": "작성일"}, options=options)
    with pytest.raises(InputError, match="no sheet '리뷰'; the sheets are Sheet, Sheet1"):
        read(path, "doccls", options=Options(sheet_name="리뷰"))


def test_answers_that_stand_twice(tmp_path):
    rows = [{"context": "서울은 서울", "question": "?", "answers": "서울"}]
    rows += [{"context": "부산은 항구", "question": "?", "answers": "항구"}]
    path = write_rows(tmp_path / "a.csv", rows)
    for how, starts in [("first", [0, 4]), ("skip", [4])]:
        options = Options(repeated_answers=how)
        found = read(path, "qa", options=options)
        assert [row["answers"][0]["answer_start"] for row in found] == starts
        assert options.lines()[0].startswith("1 answers stand more than once")


def test_predictions_come_back_from_the_tools_they_are_written_for(tmp_path):
    found = [entity | {"text": "x", "score": 0.5} for entity in NER["entities"]]
    write_rows(tmp_path / "p.jsonl", [{"text": TEXT, "entities": None, "prediction": found}])
    write_annotations(tmp_path / "p.jsonl", tmp_path / "d.jsonl", "doccano")
    assert read(tmp_path / "d.jsonl") == [NER]
    _, said = write_annotations(tmp_path / "p.jsonl", tmp_path / "l.json", "label_studio")
    assert '<Label value="PER"/>' in said
    (task,) = json.loads((tmp_path / "l.json").read_text("utf-8"))
    accepted = {**task, "annotations": task["predictions"]}
    assert read(as_json(tmp_path / "m.json", [accepted])) == [NER]
    rows = [{"text": "좋다", "label": None, "prediction": "긍정", "probabilities": {"긍정": 0.9}}]
    write_annotations(write_rows(tmp_path / "q.jsonl", rows), tmp_path / "e.jsonl", "doccano")
    assert read_rows(tmp_path / "e.jsonl") == [{"text": "좋다", "label": ["긍정"]}]
    answers = write_rows(tmp_path / "a.jsonl", [{"question": "어디?", "prediction": "서울"}])
    with pytest.raises(InputError, match="no column 'text'.* Only doccls and ner are annotated"):
        write_annotations(answers, tmp_path / "f.jsonl", "doccano")
