"""Korean on the terminal: what the catalogue covers, and what a line becomes."""

import ast
import itertools
import re
from collections.abc import Iterator

import polib
import pytest
from conftest import RECIPES, REPOSITORY
from tasks import DOCCLS
from writing import written

from nlpbook_data.language import CATALOGUE, PLACEHOLDER, choose_particle, spoken

SOURCES = [*(REPOSITORY / "nlpbook_data").rglob("*.py"), *RECIPES.glob("*.py")]
FORMAT = re.compile(r"%%|%[-+ #0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]")
COVERED = 0.97


def in_source(node: ast.expr) -> list[str]:
    """Return the texts that `node` can be, a NUL for each value; [] where it is no text."""
    match node:
        case ast.Constant(value=str(text)):
            return [text, *text.splitlines()]
        case ast.IfExp(body=body, orelse=other):
            return in_source(body) + in_source(other)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            sides = (in_source(left) or ["\0"], in_source(right) or ["\0"])
            return ["".join(pair) for pair in itertools.product(*sides)]
        case ast.JoinedStr(values=values):
            parts = [
                in_source(v) or ["\0"] if not isinstance(v, ast.FormattedValue)
                # a choice of two words, or a value
                else [*(in_source(v.value) if isinstance(v.value, ast.IfExp) else ()), "\0"]
                for v in values
            ]  # fmt: skip
            return ["".join(found) for found in itertools.product(*parts)]
    return []


def key(text: str) -> str:
    """Return what a text of the source and a msgid have in common; values side by side are one."""
    return re.sub("\0+", "\0", text).strip()


def keys(node: ast.expr) -> set[str]:
    """Return the keys of `node`, as an f-string and as what `logging` formats."""
    texts = in_source(node)
    return {key(text) for text in texts} | {
        key(FORMAT.sub(lambda found: "%" if found[0] == "%%" else "\0", text)) for text in texts
    }


def messages() -> Iterator[tuple[str, set[str]]]:
    """Yield where each message of an `InputError`, or of a log, stands, and its keys."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                called = ast.unparse(node.func)
                if called in ("InputError", "ArchiveError") or called.startswith("logger."):
                    found = {k for k in keys(node.args[0]) if re.search("[A-Za-z]{2}", k)}
                    if found:
                        yield f"{path}, line {node.lineno}", found


@pytest.fixture(scope="module")
def catalogue() -> dict[str, polib.POEntry]:
    return {key(PLACEHOLDER.sub("\0", e.msgid)): e for e in polib.pofile(str(CATALOGUE))}


def test_each_template_still_occurs_in_the_source(catalogue):
    known = {"", *map(key, ("int", "float"))}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp | ast.IfExp):
                known |= keys(node)
    # `Options.lines` puts a count before each note
    gone = [
        e.msgid
        for k, e in catalogue.items()
        if not {k, k.removeprefix("\0 ")} & known and e.msgctxt != "library"
    ]
    assert not gone


def test_nearly_all_messages_are_in_the_catalogue(catalogue, record_property):
    found = list(messages())
    lacking = [(place, min(ways)) for place, ways in found if not ways & catalogue.keys()]
    share = 1 - len(lacking) / len(found)
    record_property("summary", f"messages with Korean: {share:.1%} of {len(found)}")
    assert share >= COVERED, "\n".join(f"{place}: {text}" for place, text in lacking)


def test_all_help_of_the_command_is_in_the_catalogue(catalogue):
    source = (REPOSITORY / "nlpbook_data" / "__main__.py").read_text(encoding="utf-8")
    tree, wanted = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "help":
            wanted |= {*in_source(node.value)}
        if isinstance(node, ast.FunctionDef) and f"command({node.name}" in source:
            wanted |= {*(ast.get_docstring(node) or "").splitlines()}
    assert len(wanted) > 80
    assert [text for text in wanted - {""} if key(text) not in catalogue] == []


def test_each_korean_has_the_values_of_its_english(catalogue):
    for entry in catalogue.values():
        names = PLACEHOLDER.findall(entry.msgid)
        assert {*re.findall(r"\{(\w+)(?::\w+)?\}", entry.msgstr)} <= {*names}, entry.msgid
        assert len(names) == len({*names}), entry.msgid


@pytest.fixture
def korean(monkeypatch):
    monkeypatch.setenv("NLPBOOK_LANG", "ko")


@pytest.mark.parametrize(
    "names, expected",
    [
        ({"NLPBOOK_LANG": "ko"}, True),
        ({"NLPBOOK_LANG": "en", "LANG": "ko_KR.UTF-8"}, False),
        ({"NLPBOOK_LANG": "", "LC_ALL": "", "LANG": "ko_KR.UTF-8"}, True),
        ({"NLPBOOK_LANG": "", "LC_ALL": "C", "LANG": "ko_KR.UTF-8"}, False),
        ({"NLPBOOK_LANG": "", "LANG": "kok_IN"}, False),
    ],
)
def test_the_variable_comes_before_the_locale(monkeypatch, names, expected):
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert (spoken("Nothing is wrong.") == "잘못된 것이 없습니다.") == expected


@pytest.mark.parametrize(
    "english, expected",
    [
        ("test: 1,200 rows, a.csv, written for this project", "1,200행"),
        ("error in my.csv", "error in my.csv"),  # no message of ours
        ("a {b} 100% (c): x", "a {b} 100% (c): x"),
        ("  3 rows of ner, 2 wrong\n  note: x", "  ner 3행, 잘못된 곳 2개\n  참고: x"),
        # a name with a full stop, where a suggestion may follow one
        ("--top_k 9.5.1: no such label. Did you mean 9.5 or 9.6? The labels are a.", "9.5, 9.6"),
        # what a value holds is nobody's template
        ("train has the label 'Nothing is wrong.', which the model does not know (a). Choose the "
         "model or the data that fit.", "'Nothing is wrong.'"),
    ],
)  # fmt: skip
def test_a_line_is_korean_and_its_values_are_kept(korean, english, expected):
    assert expected in spoken(english)


@pytest.mark.parametrize(
    "word, both, expected",
    [
        ("'책'", "이(가)", "이"),
        ("나무", "을(를)", "를"),
        ("text", "은(는)", "은(는)"),
        ("3", "과(와)", "과"),
        ("서울", "(으)로", "로"),
        ("부산", "(으)로", "으로"),
        ("n-그램(0.1초)", "과(와)", "과"),
        ("", "을(를)", "을(를)"),
        ("값", "", ""),
    ],
)
def test_a_particle_follows_the_last_syllable(word, both, expected):
    assert choose_particle(word, both) == expected


def test_a_run_speaks_korean_and_writes_english(fork_recipe, tmp_path):
    korean = {"NLPBOOK_LANG": "ko"}
    rows = written(tmp_path / "글.csv", "text,label\n좋아요,긍정\n,부정\n")
    done = fork_recipe("doccls", *DOCCLS, "--train_file", rows, env=korean).expect(1)
    where = f"오류: {rows}, 3번째 줄: text 값이 비어 있습니다."
    assert done.stderr.splitlines()[-1].startswith(where)
    short = ["--max_steps", 2, "--output_dir", "o"]
    done = fork_recipe("doccls", *DOCCLS, *short, env=korean).expect()
    assert "학습 데이터: " in done.stderr and "폴더    o" in done.stdout
    assert '"status": "finished"' in (tmp_path / "o" / "run.json").read_text(encoding="utf-8")
