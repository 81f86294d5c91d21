"""Mutated fixtures of every corpus: right rows, or an error that names file and row.

A new corpus is fuzzed by its fixture in `fixtures`, in its official format; where the file's suffix
does not tell the format, `FORMATS` must. NLPBOOK_FUZZ_EXAMPLES is the number of examples each.
"""

import importlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from datasets import ClassLabel, Features, Value
from fuzzing import (
    Fault,
    Format,
    Subject,
    blocks,
    delimited,
    json_lines,
    json_value,
    klue_ner,
    mutate,
    plain,
    quoted,
    sections,
    tmx,
    workbook,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nlpbook_data.corpora._read import member, read_json
from nlpbook_data.data.corpus import find_corpus, list_corpora
from nlpbook_data.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures"
EXAMPLES = int(os.environ.get("NLPBOOK_FUZZ_EXAMPLES", "2000"))
PACKAGED_ROWS = 6  # of the files that ship with the package
MAX_FILES = 3  # of a split that is made of many alike

# Formats that a file's suffix does not tell, by corpus (a file's name where its files differ).
FORMATS: dict[str, Format | dict[str, Format]] = {
    "kcbert": plain(),
    "klue-ner": klue_ner(),
    "kowikitext": sections(),
    "namuwikitext": sections(),
    "open_subtitles": tmx(),
    "korean_hate_speech": {
        "labeled/train.tsv": delimited("\t", header=True),
        "labeled/dev.tsv": delimited("\t", header=True),
        "test.no_label.tsv": delimited("\t", header=True),
        ".txt": plain(),
    },
    "korean_parallel_koen_news": plain(),
    "korean_petitions": json_lines(),
    "kornli": delimited("\t", header=True),
    "korsts": delimited("\t", header=True),
    "naver_changwon_ner": blocks(),
    "ner": delimited("␞", header=False),
    "nsmc": delimited("\t", header=True),
    "nsmc_raw": plain(),
}
SUFFIXES = {".xlsx": workbook(), ".json": json_value(), ".jsonl": json_lines(), ".csv": quoted()}

fuzz = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """No warnings of parsers, of which there are thousands."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that is no disk where there is one: each example writes a file."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def seeds(number: int) -> Iterator[int]:
    """Yield the seeds of one to three mutations; fewer the smaller `number`."""
    for _ in range(3):
        number, seed = divmod(number, 1 << 16)
        yield seed
        if not number or seed % 2:
            return


def run(subjects: list[Subject], number: int) -> tuple[list[str], str]:
    """Mutate a file of one of `subjects` and check it; return what was done and the outcome."""
    subject = subjects[number % len(subjects)]
    names = list(subject.clean)
    name = names[number // len(subjects) % len(names)]
    data, done = subject.clean[name], []
    for seed in seeds(number):
        mutation, data = mutate(data, subject.formats[name], seed)
        done.append(mutation)
    try:
        return done, subject.check(name, data)
    except Fault as fault:
        raise Fault(f"{name} after {'; '.join(done)}: {fault}\n{data[:3000]!r}") from fault


def subjects_of(name: str, folder: Path) -> list[Subject]:
    """Return a `Subject` of each split of a corpus that has files."""
    corpus = find_corpus(name)
    parse = importlib.import_module(f"nlpbook_data.corpora.{name.replace('-', '_')}").parse
    source = corpus.folder(FIXTURES)
    assert source.is_dir(), f"no fixture of {name}: put one into {source}"
    subjects = []
    for split, declared in corpus.splits.items():
        paths = [path for path in declared.paths(source) if path.is_file()]
        if not paths:
            continue
        if not declared.aligned:
            paths = paths[: 1 if paths[0].suffix == ".xlsx" else MAX_FILES]
        files = {path.relative_to(source).as_posix(): path.read_bytes() for path in paths}
        if corpus.packaged:
            files = {f: b"".join(d.splitlines(True)[:PACKAGED_ROWS]) for f, d in files.items()}
        formats = {file: format_of(name, file) for file in files}
        subjects.append(Subject(parse, corpus.features, files, formats, folder / split))
    assert subjects, f"no official file names in {source}"
    return subjects


def format_of(name: str, file: str) -> Format:
    declared = FORMATS.get(name, SUFFIXES.get(Path(file).suffix))
    if isinstance(declared, dict):
        declared = next((f for key, f in declared.items() if file.endswith(key)), None)
    assert declared, f"{name}: FORMATS does not say how to read {file}"
    return declared


@pytest.mark.parametrize("name", list_corpora())
def test_mutated_files_give_right_rows_or_an_error_with_its_place(name, memory):
    subjects = subjects_of(name, memory)
    outcomes = []

    @fuzz
    @given(st.integers(0, (1 << 48) - 1))
    def check(number: int) -> None:
        outcomes.append(run(subjects, number)[1])

    check()
    assert len(outcomes) >= EXAMPLES
    refused = sum(outcome != "rows" for outcome in outcomes)
    assert refused, "nothing was refused: the mutations do not reach the parser"


@pytest.mark.parametrize("name", list_corpora())
def test_every_text_column_is_full_of_sentinels(name, memory):
    subjects = subjects_of(name, memory)
    corpus = find_corpus(name)
    for subject in subjects:
        reached = {column.split(".")[0] for found in subject.columns.values() for column in found}
        assert reached >= set(corpus.texts)


# --- the harness itself: parsers that are wrong on purpose, over tiny files ------------------

TABLE = "id\tquestion\tanswer\tlabel\n" + "".join(
    f"{n}\t{n}번 물음\t{n}번 답, 하나\t{n % 2}\n" for n in range(4)
)
RECORDS = [
    {"id": f"가{n}", "question": f"물음 {n}", "answer": f"답 {n}", "label": n % 2} for n in range(4)
]
FEATURES = Features(
    question=Value("string"), answer=Value("string"), label=ClassLabel(names=["아니오", "예"])
)


def lines_of(path: Path, errors: str = "strict") -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line 1: not UTF-8.") from error
    if "\0" in text:
        raise InputError(f"{path}, line 1: a NUL.")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


def right(files: list[Path], **wrong) -> Iterator[dict]:
    """Parse TABLE; `wrong` replaces a part of it."""
    for path in files:
        lines = wrong.get("lines", lines_of)(path)
        if "header" not in wrong and lines[:1] != TABLE.split("\n")[:1]:
            raise InputError(f"{path}, line 1: no header.")
        for number, line in enumerate(lines[1:], start=2):
            cells = line.split("\t")
            if len(cells) != 4 and "cells" not in wrong:
                raise InputError(f"{path}, line {number}: {len(cells)} cells.")
            question, answer, label = wrong.get("cells", lambda cells: cells[1:])(cells)
            if "label" in wrong:
                label = wrong["label"](label)
            elif label not in ("0", "1"):
                raise InputError(f"{path}, line {number}: no label.")
            row = {"question": question, "answer": answer, "label": int(label)}
            yield wrong.get("row", lambda row: row)(row)


def padded(cells: list[str]) -> list[str]:
    return [*cells[1:3], "", ""][:2] + [cells[-1] if cells[-1] in ("0", "1") else "0"]


def swapped_when_short(cells: list[str]) -> list[str]:
    return cells[1:] if len(cells) == 4 else [cells[-2], cells[0], "0"]


def label_of_the_next(files: list[Path]) -> Iterator[dict]:
    rows = list(right(files))
    labels = [row["label"] for row in rows]
    for row, label in zip(rows, labels[1:] + labels[:1] if len(rows) == 3 else labels, strict=True):
        yield {**row, "label": label}


def question_of_another(files: list[Path]) -> Iterator[dict]:
    rows = list(right(files))
    for row, other in zip(rows, rows if len(rows) > 3 else rows[::-1], strict=True):
        yield {**row, "question": other["question"]}


def bare_message(files: list[Path]) -> Iterator[dict]:
    try:
        yield from right(files)
    except InputError as error:
        raise InputError(f"{files[0]}: wrong.") from error


def silent_end(files: list[Path]) -> Iterator[dict]:
    try:
        yield from right(files)
    except InputError:
        return


WRONG = {
    "columns swapped where a cell is missing": lambda f: right(f, cells=swapped_when_short),
    "missing cells read as empty": lambda f: right(f, cells=padded),
    "IndexError where cells are missing": lambda f: right(f, cells=lambda c: (c[1], c[2], c[3])),
    "last row lost without a line break": lambda f: right(
        f, lines=lambda p: lines_of(p)[: p.read_bytes().count(b"\n")]
    ),
    "lines cut at U+2028 and its like": lambda f: right(
        f, lines=lambda p: "\n".join(lines_of(p)).splitlines()
    ),
    "bad bytes replaced": lambda f: right(f, lines=lambda p: lines_of(p, "replace")),
    "header not looked at": lambda f: right(f, header=None),
    "unknown label read as 0": lambda f: right(f, label=lambda x: x if x == "1" else "0"),
    "unknown label as an id that there is not": lambda f: right(
        f, label=lambda x: x if x in ("0", "1") else "7"
    ),
    "ValueError at a label": lambda f: right(f, label=int),
    "text stripped": lambda f: right(f, row=lambda row: {**row, "answer": row["answer"].strip()}),
    "empty text as None of another type": lambda f: right(
        f, row=lambda row: {**row, "answer": row["answer"] or 0}
    ),
    "the label of the next row": label_of_the_next,
    "the question of another row": question_of_another,
    "no row in the message": bare_message,
    "rows up to the fault and then silence": silent_end,
}


def first_fault(parse, file: str, data: str, folder: Path) -> str:
    """Return the first fault in as many examples as a corpus gets, or an empty text."""
    form = json_value() if file.endswith(".json") else delimited("\t", header=True)
    try:
        subject = Subject(parse, FEATURES, {file: data.encode()}, {file: form}, folder)
        fuzz(given(st.integers(0, (1 << 48) - 1))(lambda number: run([subject], number) and None))()
    except Fault as fault:
        return str(fault)
    return ""


def test_a_right_parser_passes(memory):
    assert first_fault(right, "table.tsv", TABLE, memory) == ""


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_parser_is_caught(name, memory):
    assert first_fault(WRONG[name], "table.tsv", TABLE, memory)


def records(files: list[Path], get=member, read=read_json) -> Iterator[dict]:
    """Parse RECORDS; `get` and `read` are its parts."""
    for path in files:
        found = read(path)
        if not isinstance(found, list):
            raise InputError(f"{path}, row 1: not a list.")
        for number, row in enumerate(found, start=1):
            place = f"{path}, row {number}"
            label = get(place, row, "label", int)
            if label not in (0, 1):
                raise InputError(f"{place}: no label.")
            texts = {key: get(place, row, key, str) for key in ("question", "answer")}
            yield {**texts, "label": label}


def or_any_text(place, row, key, kind):
    if isinstance(row, dict) and key not in row and kind is str:
        return next((value for value in row.values() if isinstance(value, str)), "")
    return member(place, row, key, kind)


WRONG_RECORDS = {
    "KeyError where a key is missing": lambda f: records(f, get=lambda p, row, key, kind: row[key]),
    "values that are no text": lambda f: records(
        f, get=lambda p, row, key, kind: member(p, row, key, object)
    ),
    "half a character": lambda f: records(
        f, get=lambda p, row, key, kind: row[key] if kind is str else member(p, row, key, kind)
    ),
    "another text where one is missing": lambda f: records(f, get=or_any_text),
    "RecursionError": lambda f: records(f, read=lambda p: json.loads(p.read_text("utf-8"))),
}


def test_a_right_parser_of_json_passes(memory):
    data = json.dumps(RECORDS, ensure_ascii=False)
    assert first_fault(records, "records.json", data, memory) == ""


@pytest.mark.parametrize("name", WRONG_RECORDS)
def test_a_wrong_parser_of_json_is_caught(name, memory):
    data = json.dumps(RECORDS, ensure_ascii=False)
    assert first_fault(WRONG_RECORDS[name], "records.json", data, memory)
