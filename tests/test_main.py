"""The command nlpbook-data."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
from saved import pretrained
from writing import read_rows, write_nsmc, write_rows, write_xlsx, written

from nlpbook_data import list_corpora, load_corpus
from nlpbook_data.__main__ import main
from nlpbook_data.search import index as search_index


def command(*arguments: object, status: int = 0) -> subprocess.CompletedProcess:
    """Run the command in this process, which has imported everything; it ends with `status`."""
    out, errors, code = io.StringIO(), io.StringIO(), 0
    handler = logging.StreamHandler(errors)
    logging.getLogger().addHandler(handler)
    try:
        with redirect_stdout(out), redirect_stderr(errors):
            main([*map(str, arguments)])
    except SystemExit as end:
        code = int(end.code != 0)
        errors.write(str(end.code))
    finally:
        logging.getLogger().removeHandler(handler)
    assert code == status and "Traceback" not in errors.getvalue(), errors.getvalue()
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())


def process(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    """Run the command as a shell does."""
    words = [sys.executable, "-m", "nlpbook_data", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, timeout=120, **options)


def test_list_says_what_there_is_and_what_is_on_disk(tmp_path):
    (tmp_path / "nsmc").mkdir()
    for name in ("ratings_train.txt", "ratings_test.txt"):
        (tmp_path / "nsmc" / name).touch()
    (tmp_path / "korsts").mkdir()
    (tmp_path / "korsts" / "sts-dev.tsv").touch()
    lines = command("list", "--corpus_dir", tmp_path).stdout.splitlines()
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert list(rows) == list_corpora()
    assert rows["nsmc"][1:6] == ["doccls", "200,000", "CC0-1.0", "yes", "yes"]
    assert rows["sample_reviews"][1:6] == ["doccls", "1,980", "CC0-1.0", "yes", "yes"]
    assert rows["korsts"][5] == "partly" and rows["klue-ynat"][5] == "no"


def test_help_and_its_errors_are_korean_where_that_is_wanted(monkeypatch):
    monkeypatch.setenv("NLPBOOK_LANG", "ko")
    everything = command("--help").stdout
    assert everything.startswith("사용법: nlpbook-data")
    assert "search              index로 만든 검색 엔진에서 찾습니다" in everything
    one = command("search", "--help").stdout
    for line in ("인자:", "옵션:", "--exact               FAISS를 쓰지 않습니다"):
        assert line in one
    assert "이 도움말을 보여 주고 끝냅니다" in one
    done = command("search", "--eaxct", status=1)
    assert done.stderr.startswith("사용법: ")
    assert "nlpbook-data search: 오류: 필요한 인자가 빠졌습니다: folder, query" in done.stderr


def test_list_show_and_audit_are_korean_where_that_is_wanted(monkeypatch):
    monkeypatch.setenv("NLPBOOK_LANG", "ko")
    head, *rows = command("list").stdout.splitlines()
    assert head.split() == "이름 작업 행 라이선스 상업적 이용 내려받음 제목".split()
    [row] = [row for row in rows if row.startswith("sample_nli ")]
    assert row.split()[1:6] == ["paircls", "1,434", "CC0-1.0", "예", "예"]
    shown = command("show", "sample_nli").stdout
    assert "작업 paircls; 라이선스 CC0-1.0" in shown and "학습 데이터: 1,020행" in shown

    said = command("audit", "sample_reviews").stdout
    english = {"train", "validation", "test", "text", "label", "jsonl", "CC0", "sample_reviews"}
    words = {*re.findall(r"[A-Za-z_0-9]*[A-Za-z][A-Za-z_0-9]*", said.partition("\n예 (")[0])}
    assert words - english <= {"nlpbook_data", "samples", "ㅋㅋ"}, words - english
    for line in ("사본이 있는 텍스트", "text 글자 수, 평균", "label, 행"):
        assert line in said


def test_a_terminal_that_lacks_a_character_gets_another(tmp_path):
    path = written(tmp_path / "mine.csv", "text,label\n좋아요,긍정 👍\n싫어요,부정\n")
    env = {**os.environ, "PYTHONIOENCODING": "cp949"}
    done = process("check", path, "--task", "doccls", env=env)
    assert done.returncode == 0 and "긍정 ?" in done.stdout.decode("cp949")


def test_show_prints_licence_columns_origins_and_rows():
    done = command("show", "sample_reviews", "--rows", "2")
    assert "CC0-1.0" in done.stdout and "test: 400 rows" in done.stdout
    assert "  label: label, 부정, 긍정" in done.stdout.splitlines()
    assert sum("\t긍정" in line or "\t부정" in line for line in done.stdout.splitlines()) == 6


def test_show_of_a_corpus_that_is_not_there_says_how_to_get_it_and_fetches_nothing(tmp_path):
    done = command("show", "modu_ne", "--corpus_dir", tmp_path)
    assert f"Not in {tmp_path / 'NIKL_NE'}" in done.stdout and "korean.go.kr" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, message",
    [
        (["show", "nsmcc"], "There is no corpus 'nsmcc'. Did you mean nsmc"),
        (["fetch", "nsmc", "--splits", "tets"], "nsmc has no split 'tets'. Did you mean test?"),
    ],
)
def test_an_unknown_name_or_split_is_an_error_with_the_nearest(tmp_path, words, message):
    done = command(*words, "--corpus_dir", tmp_path, status=1)
    assert f"error: {message}" in done.stderr and not list(tmp_path.iterdir())


def test_fetch_of_files_that_are_there_checks_them(tmp_path):
    folder = write_nsmc(tmp_path)
    done = command("fetch", "nsmc", "--corpus_dir", folder, status=1)
    assert "ratings_train.txt: sha256" in done.stderr and "the official file has" in done.stderr


def test_convert_writes_label_words_to_jsonl(nsmc, tmp_path):
    command("convert", "nsmc", *nsmc, "--format", "jsonl", "--output_dir", tmp_path / "out")
    assert read_rows(tmp_path / "out" / "test.jsonl") == [
        {"text": "걸작", "label": "긍정"},
        {"text": "졸작", "label": "부정"},
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{split}.jsonl" for split in ("test", "train", "validation")
    ]


def test_convert_to_parquet_keeps_rows_and_types(nsmc, tmp_path):
    from datasets import Dataset

    command("convert", "nsmc", *nsmc, "--output_dir", tmp_path / "out")
    loaded = load_corpus("nsmc", tmp_path / "corpora", tmp_path / "cache", accept_files=True)
    for split, rows in loaded.items():
        read = Dataset.from_parquet(str(tmp_path / "out" / f"{split}.parquet"))
        assert read.features == rows.features and read[:] == rows[:]


def test_convert_does_not_overwrite(nsmc, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "test.parquet").write_text("mine")
    done = command("convert", "nsmc", *nsmc, "--output_dir", tmp_path / "out", status=1)
    assert "test.parquet is there already" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["test.parquet"]


def test_convert_deduplicated_drops_what_is_held_out_and_says_how_many(nsmc, tmp_path):
    arguments = ["--format", "jsonl", "--output_dir", tmp_path / "out", "--deduplicate"]
    done = command("convert", "nsmc", *nsmc, *arguments)
    kept = "".join((tmp_path / "out" / f"{s}.jsonl").read_text() for s in ("train", "validation"))
    assert "걸작" not in kept and kept.count("번째 영화") == 200
    dropped = [line for line in done.stderr.splitlines() if "dropped" in line]
    assert len(dropped) == 2 and sum(": 1 of " in line for line in dropped) == 1


def test_audit_prints_a_table_and_writes_json_and_html(nsmc, tmp_path):
    done = command("audit", "nsmc", *nsmc, "--output_dir", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"audit.json", "audit.html"}
    assert "nsmc" in done.stdout


def test_check_shows_the_errors_of_a_file_and_fails(tmp_path):
    rows = [
        {"text": "서울에서 만나요", "entities": [{"start": 0, "end": 2, "label": "장소"}]},
        {"text": "부산에서", "entities": [{"start": 3, "end": 9, "label": "장소"}]},
    ]
    path = write_rows(tmp_path / "mine.jsonl", rows[:1])
    command("check", path, "--task", "ner")
    write_rows(path, rows)
    done = command("check", path, "--task", "ner", status=1)
    assert "line 2" in done.stdout + done.stderr


def test_check_takes_your_columns_and_labels(tmp_path):
    path = written(tmp_path / "mine.csv", "본문,분류\n좋아요,긍정\n그저 그래요,중립\n")
    columns = ["--text_column_name", "본문", "--label_column_name", "분류"]
    command("check", path, "--task", "doccls", *columns)
    labels = ["--labels", "긍정", "부정"]
    done = command("check", path, "--task", "doccls", *columns, *labels, status=1)
    assert "line 3" in done.stdout and "중립" in done.stdout


def test_check_of_several_labels_a_row(tmp_path):
    path = written(tmp_path / "mine.csv", "text,label\n좋아요,긍정|영화\n별로,부정\n")
    done = command("check", path, "--task", "doccls", "--multi_label", "true")
    assert "영화 1" in done.stdout


class LetterEncoder:
    """Counts of letters: a text is nearest to itself."""

    def encode_document(self, texts: list[str]) -> np.ndarray:
        return np.array([[1 + text.count(letter) for letter in "가나다라마바"] for text in texts])

    encode_query = encode_document


@pytest.fixture
def model(tmp_path, monkeypatch) -> str:
    """A folder in place of a model, of which a LetterEncoder is loaded."""
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(search_index, "load_encoder", lambda name: LetterEncoder())
    return str(tmp_path / "model")


def search(capsys: pytest.CaptureFixture, *arguments: object) -> list[list[str]]:
    """The rows that ``nlpbook-data search`` prints."""
    capsys.readouterr()
    main(["search", *map(str, arguments)])
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_an_option_of_search_that_would_count_for_nothing_is_refused(tmp_path, capsys):
    lines, index = written(tmp_path / "lines.txt", "가나\n"), str(tmp_path / "index")
    main(["index", str(lines), "--output", index])
    main(["search", index, "쀍"])
    found = capsys.readouterr()
    assert found.err == "No text has a word of the query.\n"
    for options in (["--weight", "0.5"], ["--rerank_depth", "3"]):
        with pytest.raises(SystemExit):
            main(["search", index, "가나", *options])
        assert f"{options[0]} is of --" in capsys.readouterr().err


def test_a_text_file_is_indexed_grown_and_searched(tmp_path, model, capsys):
    lines, index = tmp_path / "lines.txt", tmp_path / "index"
    lines.write_text("가가가\n\n나나\n가가가\n다\n", encoding="utf-8")
    main(["index", str(lines), "--model", model, "--output", str(index)])
    assert "3 texts (3 new)" in capsys.readouterr().out
    rows = search(capsys, index, "나나", "-k", 2)
    assert rows[0] == ["1.0000", "1", "나나"] and len(rows) == 2
    lines.write_text("라\n가가가\n마바\n", encoding="utf-8")
    main(["index", str(lines), "--output", str(index), "--add"])
    assert "5 texts (2 new)" in capsys.readouterr().out
    assert search(capsys, index, "마바", "-k", 1) == [["1.0000", "4", "마바"]]


def test_columns_of_files_and_passages_of_corpora_are_indexed(tmp_path, model, capsys):
    (tmp_path / "rows.csv").write_text('본문,쪽\n"두\n줄 가",3\n나,4\n', encoding="utf-8")
    options = ["--model", model, "--output"]
    csv, corpus = tmp_path / "csv", tmp_path / "corpus"
    columns = ["--text_column_name", "본문"]
    main(["index", str(tmp_path / "rows.csv"), *columns, *options, str(csv)])
    assert search(capsys, csv, "가", "-k", 1)[0][2:] == ["두 줄 가", '{"쪽": "3"}']
    sheet = write_xlsx(tmp_path / "rows.xlsx", [["설명"]], [["본문", None, "쪽"], ["가", None, 5]])
    main(["index", str(sheet), *columns, "--sheet_name", "Sheet1", "--output", str(tmp_path / "x")])
    assert search(capsys, tmp_path / "x", "가")[0][2:] == ["가", '{"쪽": 5}']
    cache = ["--cache_dir", str(tmp_path / "cache")]
    main(["index", "sample_qa", *cache, "--hybrid", *options, str(corpus)])
    splits = load_corpus("sample_qa", cache_dir=tmp_path / "cache")
    contexts = {text for rows in splits.values() for text in rows["context"]}
    assert f"{len(contexts):,} texts" in capsys.readouterr().out
    rows = search(capsys, corpus, splits["test"][0]["question"], "--hybrid")
    assert len(rows) == 10 and rows[0][2] in {" ".join(text.split()) for text in contexts}
    assert set(json.loads(rows[0][3])) == set(splits["test"].column_names) - {"context"}


def test_an_faq_is_searched_by_its_words_changed_and_answers(tmp_path, capsys):
    path, index = tmp_path / "faq.csv", tmp_path / "index"
    rows = "번호,질문,답변\n1,배송 기간,사흘\n2,환불 방법,전화\n3,환불 방법,방문\n"
    path.write_bytes(rows.encode("cp949"))
    columns = ["--text_column_name", "질문"]
    made = ["--id_column_name", "번호", "--output", str(index)]
    main(["index", str(path), *columns, *made])
    found = search(capsys, index, "환불은요?")
    assert [json.loads(row[3]) for row in found] == [
        {"번호": "2", "답변": "전화"},
        {"번호": "3", "답변": "방문"},
    ]
    main(["index", str(path), *columns, "--output", str(tmp_path / "by text")])
    assert "1 rows are left out" in capsys.readouterr().out
    cross = pretrained(tmp_path / "cross", auto="AutoModelForSequenceClassification", num_labels=1)
    reranked = search(capsys, index, "환불은요?", "--rerank", cross)
    assert sorted(row[1:] for row in reranked) == sorted(row[1:] for row in found)
    assert [row[0] for row in reranked] != [row[0] for row in found]  # other scores
    main(["index", "--delete", "2", "--output", str(index)])
    path.write_bytes(rows.replace("방문", "우편").encode("cp949"))
    main(["index", str(path), *columns, "--add", "--output", str(index)])
    assert "3 texts (1 new, 1 replaced)" in capsys.readouterr().out
    found = search(capsys, index, "환불은요?")
    assert {json.loads(row[3])["답변"] for row in found} == {"전화", "우편"}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["index", "sample_qaa", "--model", "m", "--output", "o"], "Did you mean sample_qa"),
        (["index", "no.txt", "--model", "m", "--output", "o"], "no.txt: no such file"),
        (["index", "--output", "o"], "Nothing names the texts"),
        (["index", "sample_qa", "--to", "qdrant", "--output", "o"], "needs --url"),
        (["index", "sample_qa", "--add", "--output", "o"], "o: there is no index"),
        (["index", "sample_qa", "--add", "--hybrid", "--output", "o"], "are of a new index"),
        (
            ["index", "sample_qa", "--text_column_name", "본문", "--model", "m", "--output", "o"],
            "the columns are id, title, context",
        ),
        (["search", "o", "질문"], "o: there is no index"),
        (
            ["index", "two.csv", "--text_column_name", "질문", "--output", "o"],
            "the column 'text' stands beside '질문'",
        ),
    ],
)
def test_what_index_and_search_refuse(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.csv").write_text("text,질문\n가,언제?\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="1"):
        main(arguments)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
