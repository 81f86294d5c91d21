"""Korpora's own classes and ours on the same real files, row by row.

Korpora's constructors open their URLs before they look at the disk: that alone is patched out,
and what its corpus lacks on this disk.
"""

import csv
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CORPORA
from fixture_rows import parse
from Korpora.loader import KORPUS

from nlpbook_data.data.corpus import find_corpus

Rows = list[tuple]


@pytest.fixture
def korpora(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], Any]:
    """Return Korpora's corpus `name` of the files below a folder, without the network."""

    def load(name: str, root: Path) -> Any:
        module = importlib.import_module(KORPUS[name].__module__)
        monkeypatch.setattr(module, "fetch", lambda *_, **__: None)
        if name == "kornli":
            table = module.KORNLI_FETCH_INFORMATION
            there = [row for row in table if (root / row["destination"]).is_file()]
            monkeypatch.setattr(module, "KORNLI_FETCH_INFORMATION", there)
        if name == "korean_hate_speech" and not (root / name / "unlabeled").is_dir():
            monkeypatch.setattr(module, "load_unlabeled", lambda _: None)
        return KORPUS[name](str(root))

    return load


def words(name: str, split: str, root: Path, *columns: str) -> Rows:
    """Return our rows as tuples of `columns`, labels as the words that a user reads."""
    features = find_corpus(name).features
    return [
        tuple(
            features[column].int2str(row[column])
            if hasattr(features[column], "int2str") and row[column] >= 0
            else row[column]
            for column in columns
        )
        for row in parse(name, split, root)
    ]


# One function a corpus: yield (what is compared, Korpora's rows, ours).
Compared = Iterator[tuple[str, Rows, Rows]]


def nsmc(korpus: Any, root: Path) -> Compared:
    read = {0: "부정", 1: "긍정"}
    for split in ("train", "test"):
        data = getattr(korpus, split)
        theirs = [(row.text, read[row.label]) for row in data]
        yield split, theirs, words("nsmc", split, root, "text", "label")


def korsts(korpus: Any, root: Path) -> Compared:
    columns = ("sentence1", "sentence2", "label", "genre", "source", "year")
    for split in ("train", "dev", "test"):
        theirs = [
            (row.text, row.pair, row.label, row.genre, row.filename, row.year)
            for row in getattr(korpus, split)
        ]
        ours = words("korsts", "validation" if split == "dev" else split, root, *columns)
        yield split, theirs, ours


def kornli(korpus: Any, root: Path) -> Compared:
    read = {"entailment": "함의", "neutral": "중립", "contradiction": "모순"}
    columns = ("premise", "hypothesis", "label")
    parts = {"train": ("multinli_train", "snli_train")}
    for split, names in (parts | {"validation": ("xnli_dev",), "test": ("xnli_test",)}).items():
        if hasattr(korpus, names[-1]):
            data = [row for name in names for row in getattr(korpus, name)]
            theirs = [(row.text, row.pair, read[row.label]) for row in data]
            yield split, theirs, words("kornli", split, root, *columns)


def question_pair(korpus: Any, root: Path) -> Compared:
    read = {"0": "같은 질문", "1": "다른 질문"}  # as the author's README has it
    for split in ("train", "test"):
        theirs = [(row.text, row.pair, read[row.label]) for row in getattr(korpus, split)]
        ours = words("question_pair", split, root, "sentence1", "sentence2", "label")
        yield split, theirs, ours


def korean_chatbot_data(korpus: Any, root: Path) -> Compared:
    read = {0: "일상", 1: "이별", 2: "사랑"}
    theirs = [(row.text, row.pair, read[row.label]) for row in korpus.train]
    yield "all", theirs, words("korean_chatbot_data", "train", root, "question", "answer", "label")


def unquote(text: str, delimiter: str = "\t") -> str:
    """Return what the csv reader of Python makes of a line of one cell."""
    return next(csv.reader([text], delimiter=delimiter), [""])[0]


def korean_hate_speech(korpus: Any, root: Path) -> Compared:
    """Korpora leaves the quotes of the csv writer on; without them the rows are equal."""
    hates = {"none": "없음", "offensive": "공격적", "hate": "혐오"}
    biases = {"none": "없음", "gender": "성별", "others": "기타"}
    columns = ("text", "title", "label", "bias", "gender_bias")
    for split, ours in (("train", "train"), ("dev", "test")):
        theirs = [
            (
                *(unquote(row.text), unquote(row.title, ",")),
                *(
                    hates[row.hate],
                    biases[row.bias],
                    {"False": "없음", "True": "있음"}[row.gender_bias],
                ),
            )
            for row in getattr(korpus, split)
        ]
        yield split, theirs, words("korean_hate_speech", ours, root, *columns)
    theirs = [(unquote(row.text), unquote(row.pair, ","), -1, -1, -1) for row in korpus.test]
    yield "test", theirs, words("korean_hate_speech", "unlabeled_test", root, *columns)


def naver_changwon_ner(korpus: Any, root: Path) -> Compared:
    """Korpora's texts end in a blank; a tag that continues nothing is a B for us."""
    theirs = []
    for row in korpus.train:
        if not row.words:
            continue  # Korpora's sentence between two blank lines
        tags = list(row.tags)
        for n, tag in enumerate(tags):
            if tag.endswith("_I") and (n == 0 or row.tags[n - 1][:3] != tag[:3]):
                tags[n] = f"{tag[:3]}_B"
        theirs.append((row.text.removesuffix(" "), tuple(tags)))
    ours = [
        (row["text"], tuple(word_tags(row))) for row in parse("naver_changwon_ner", "train", root)
    ]
    yield "all", theirs, ours


def word_tags(row: dict[str, Any]) -> Iterator[str]:
    """Yield the official tag of each word of the text, from the spans."""
    tags = "PER FLD AFW ORG LOC CVL DAT TIM NUM EVT ANM PLT MAT TRM".split()
    start = 0
    for word in row["text"].split(" "):
        inside = [e for e in row["entities"] if e["start"] <= start < e["end"]]
        assert len(inside) < 2
        if not inside:
            yield "-"
        else:
            part = "B" if inside[0]["start"] == start else "I"
            yield f"{tags[inside[0]['label']]}_{part}"
        start += len(word) + 1


COMPARED = {
    function.__name__: function
    for function in (
        *(nsmc, korsts, kornli, question_pair, korean_chatbot_data),
        *(korean_hate_speech, naver_changwon_ner),
    )
}


def compare(theirs: Rows, ours: Rows) -> int:
    """Assert that all rows are equal, naming the first that is not; return their number."""
    for number, (their, our) in enumerate(zip(theirs, ours, strict=False)):
        assert our == their, f"row {number}"
    assert len(ours) == len(theirs)
    assert theirs
    return len(theirs)


@pytest.mark.corpora
def test_rows_of_the_real_files_are_korporas(korpora, record_property):
    there = sorted({path.name for path in CORPORA.iterdir()} & set(KORPUS))
    counts = {}
    for name in there:
        assert name in COMPARED, f"Korpora can read {name}, and nothing compares it"
        parts = COMPARED[name](korpora(name, CORPORA), CORPORA)
        counts[name] = {part: compare(theirs, ours) for part, theirs, ours in parts}
    lines = [
        f"  {name}: {', '.join(f'{part} {count:,}' for part, count in rows.items())}"
        for name, rows in counts.items()
    ]
    record_property("summary", "\n".join(["Rows equal to Korpora's:", *lines]))
    assert counts, f"nothing to compare in {CORPORA}"
    assert all(counts.values())


# Where Korpora is wrong


@pytest.mark.corpora
def test_real_comments_and_titles_are_quoted_exactly_where_a_csv_writer_quotes():
    folder = CORPORA / "korean_hate_speech"
    texts = {
        "\t": [*folder.glob("labeled/*.tsv"), folder / "test.no_label.tsv"],
        ",": list(folder.glob("news_title/*.txt")),
    }
    lines = [
        (delimiter, line.split("\t")[0])
        for delimiter, paths in texts.items()
        for path in paths
        for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    ]
    assert len(lines) == 2 * (7_896 + 471 + 974) + 3  # three headers
    for delimiter, line in lines:
        text = unquote(line, delimiter)
        written = Line()
        csv.writer(written, delimiter=delimiter, lineterminator="").writerow([text])
        assert written == [line]


class Line(list):
    """What a csv writer writes into."""

    write = list.append
