"""Mutated fixtures of every corpus: right rows, or an error that names file and row.

A new corpus is fuzzed by its fixture in `fixtures`, in its official format; where the file's suffix
does not tell the format, `FORMS` must. Workbooks, which openpyxl reads, have a test of their own.
"""

import importlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzzing import Fault, Subject, mutate
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nlpbook_data.data.corpus import find_corpus, list_corpora

FIXTURES = Path(__file__).parent / "fixtures"
MAX_FILES = 3  # of a split that is made of many alike

# Formats that a file's suffix does not tell, by corpus or, where its files differ, by suffix.
FORMS: dict[str, str | dict[str, str]] = {
    **dict.fromkeys(("kcbert", "klue-ner", "kowikitext", "namuwikitext", "nsmc_raw"), "lines"),
    **dict.fromkeys(("korean_parallel_koen_news", "naver_changwon_ner"), "lines"),
    **dict.fromkeys(("kornli", "korsts", "nsmc"), "tsv"),
    "open_subtitles": "tmx",
    "korean_hate_speech": {".tsv": "tsv", ".txt": "lines"},
    "korean_petitions": "jsonl",
    "ner": "␞",
}
SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".csv": "csv"}
# What ships is known by its checksums.
NAMES = [
    name
    for name in list_corpora()
    if not name.startswith("aihub") and not find_corpus(name).packaged
]
bounded = settings(
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
        mutation, data = mutate(data, subject.forms[name], seed)
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
            paths = paths[:MAX_FILES]
        files = {path.relative_to(source).as_posix(): path.read_bytes() for path in paths}
        forms = {file: form_of(name, file) for file in files}
        subjects.append(Subject(parse, corpus.features, files, forms, folder / split))
    assert subjects, f"no official file names in {source}"
    return subjects


def form_of(name: str, file: str) -> str:
    suffix = Path(file).suffix
    form = FORMS.get(name, SUFFIXES.get(suffix))
    form = form.get(suffix) if isinstance(form, dict) else form
    assert form, f"{name}: FORMS does not say how to read {file}"
    return form


@pytest.mark.parametrize("examples", [200, pytest.param(2000, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", NAMES)
def test_mutated_files_give_right_rows_or_an_error_with_its_place(name, examples, memory):
    subjects = subjects_of(name, memory)
    outcomes = []

    @settings(bounded, max_examples=examples)
    @given(st.integers(0, (1 << 48) - 1))
    def check(number: int) -> None:
        outcomes.append(run(subjects, number)[1])

    check()
    refused = sum(outcome != "rows" for outcome in outcomes)
    assert refused, "nothing was refused: the mutations do not reach the parser"
