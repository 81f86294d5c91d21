"""The rows of a file come back with predictions: all of them, as they were, in their order."""

import csv
import gzip
import json
import os
import runpy
import signal
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spy
import torch
from conftest import RECIPES
from openpyxl import Workbook, load_workbook
from saved import HEADS, ROWS, save_run, spoil
from tasks import DOCCLS, TASKS
from transformers import AutoTokenizer
from writing import close, read_rows, visible, write_rows, written

from nlpbook_data.errors import InputError
from nlpbook_data.inference.predictor import load_predictor

COLUMN = ("--text_column_name 본문",)
PACKED = gzip.compress(b"n\n1\n", mtime=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory, recipe_server) -> Path:
    """A tiny model that tells reviews apart, and what it predicted of the test rows."""
    folder = tmp_path_factory.mktemp("run")
    options = ("--learning_rate 1e-2 --num_train_epochs 3", "--output_dir", folder)
    return recipe_server.run(folder.parent, "doccls", *DOCCLS, *options).expect().run.folder


@pytest.fixture(scope="module")
def rows(run) -> list[dict]:
    """The test rows, under names of another's, with what the recipe predicted."""
    return read_rows(run / "predictions.jsonl")


def asked(rows):
    return [{"번호": f"{n:03}", "본문": row["text"]} for n, row in enumerate(rows)]


def read_back(path: Path) -> list[dict]:
    """Return the rows of an output; independent of the code under test."""
    if path.suffix == ".jsonl":
        return read_rows(path)
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".xlsx":
        header, *cells = load_workbook(path).worksheets[0].iter_rows(values_only=True)
        return [dict(zip(header, row, strict=True)) for row in cells]
    options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if path.suffix == ".tsv" else {}
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, **options))


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_what_is_compressed_comes_back_compressed(packing, run, fork_recipe, tmp_path):
    text = "text\r\n좋아요\r\n \r\n"
    source = tmp_path / f"a.csv.{packing}"
    with pa.output_stream(str(source)) as file:
        file.write(text.encode("utf-16"))
    done = fork_recipe("predict", run, "--input", source).expect()
    assert done.stderr.startswith(f"{source}, line 3: the text is empty")
    with pa.input_stream(str(tmp_path / f"a.predicted.csv.{packing}")) as file:
        lines = file.read().decode("utf-16").split("\r\n")
    assert lines[0] == "text,prediction,score,error" and lines[1].startswith("좋아요,")
    source.write_bytes(source.read_bytes()[:-9])
    cut = fork_recipe("predict", run, "--input", source, "--overwrite").expect(1)
    assert f"a.csv.{packing}: damaged, or cut off" in cut.error
    wrong = fork_recipe("predict", run, "--input", source, "--output", "b.csv").expect(1)
    assert f"Let it end in .csv.{packing}." in wrong.error


@pytest.mark.parametrize("suffix", ["csv", "tsv", "xlsx", "jsonl", "parquet"])
def test_every_format_comes_back_with_what_the_recipe_predicted(
    suffix, run, rows, fork_recipe, tmp_path
):
    source = write_rows(tmp_path / f"후기.{suffix}", asked(rows))
    fork_recipe("predict", run, "--input", source, *COLUMN).expect()
    found = read_back(tmp_path / f"후기.predicted.{suffix}")
    assert [{k: row[k] for k in ("번호", "본문")} for row in found] == asked(rows)
    assert [row["prediction"] for row in found] == [row["prediction"] for row in rows]
    assert len({row["prediction"] for row in rows}) == 2
    wanted = [max(row["probabilities"].values()) for row in rows]
    assert [float(row["score"]) for row in found] == pytest.approx(wanted, abs=2e-6)
    assert visible(tmp_path) == {f"후기.{suffix}", f"후기.predicted.{suffix}"}


def test_bytes_of_rows_stay_as_they_are(run, fork_recipe, tmp_path):
    text = '번호; Text \r\n"1";"좋아요; ""정말"""\r\n2;별로\r\n'
    source = written(tmp_path / "a.csv", text.encode("cp949"))
    fork_recipe("predict", run, "--input", source).expect()
    lines = (tmp_path / "a.predicted.csv").read_bytes().decode("cp949").split("\r\n")
    assert lines[0] == "번호; Text ;prediction;score;error"
    assert lines[1].startswith(
        tuple(f'"1";"좋아요; ""정말""";{label};' for label in "긍정 부정".split())
    )
    assert lines[3] == ""
    source = written(tmp_path / "b.csv", text.encode("utf-16"))
    assert fork_recipe("predict", run, "--input", source).status == 0
    again = (tmp_path / "b.predicted.csv").read_bytes().decode("utf-16").split("\r\n")
    assert again == lines
    source = written(tmp_path / "a.txt", "좋아요\n\n별로\n")
    assert fork_recipe("predict", run, "--input", source).status == 0
    lines = (tmp_path / "a.predicted.txt").read_text("utf-8").split("\n")
    assert [line.split("\t")[0] for line in lines] == ["좋아요", "", "별로", ""]
    nsmc = written(tmp_path / "ratings.txt", "id\ttext\n7\t좋아요\n")  # a table, as in training
    assert fork_recipe("predict", run, "--input", nsmc).status == 0
    lines = (tmp_path / "ratings.predicted.txt").read_text("utf-8").split("\n")
    assert lines[0] == "id\ttext\tprediction\tscore\terror" and lines[1].startswith("7\t좋아요\t")


CLOSED = """
import os, runpy, sys
reader, writer = os.pipe()
os.close(reader)
os.dup2(writer, 1)
runpy.run_path({recipe!r}, run_name="__main__")
"""


def test_a_pipe_is_read_and_one_that_is_closed_is_no_error(run, rows, fork_recipe, tmp_path):
    pipe = tmp_path / "63"
    os.mkfifo(pipe)
    content = write_rows(tmp_path / "a.csv", asked(rows)).read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    options = [run, *COLUMN, "--format", "csv", "--output"]
    fork_recipe("predict", *options, tmp_path / "b.csv", "--input", pipe).expect()
    writer.join()
    assert [row["prediction"] for row in read_back(tmp_path / "b.csv")] == [
        row["prediction"] for row in rows
    ]
    pipe.unlink()
    os.mkfifo(pipe)
    packed = threading.Thread(target=pipe.write_bytes, args=[PACKED])
    packed.start()
    done = fork_recipe("predict", *options, "-", "--input", pipe)
    packed.join()
    done.expect(1, f"{pipe}: there is no column '본문'")
    recipe = str(RECIPES / "predict.py")
    written(tmp_path / "closed.py", CLOSED.format(recipe=recipe))
    done = fork_recipe(tmp_path / "closed", *options, "-", "--input", tmp_path / "a.csv")
    assert done.status == 0 and "error" not in done.stderr, done.stderr


def test_a_name_without_its_format_gets_one(run, fork_recipe, tmp_path):
    source = written(tmp_path / "후기.dat", "text\n좋아요\n")
    fork_recipe("predict", run, "--input", source, "--format", "csv").expect()
    assert [row["text"] for row in read_back(tmp_path / "후기.predicted.csv")] == ["좋아요"]


def test_formulas_hidden_sheets_and_looks_of_a_workbook_stay(run, fork_recipe, tmp_path):
    book = Workbook()
    for row in (["text", "합", "메모"], ["좋아요", "=1+2", None], ["별로", None, "=B2"]):
        book.active.append(row)
    book.create_sheet("숨은").sheet_state = "hidden"
    book.active.column_dimensions["A"].width = 40
    book.active.merge_cells("C1:D1")
    book.save(tmp_path / "a.xlsx")
    source = (tmp_path / "a.xlsx").rename(tmp_path / "a.sheet")
    fork_recipe("predict", run, "--input", source, "--format", "xlsx").expect()
    found = load_workbook(tmp_path / "a.predicted.xlsx")
    header, *rows = found.worksheets[0].iter_rows(values_only=True)
    assert header == ("text", "합", "메모", "prediction", "score", "error")
    assert [row[:3] for row in rows] == [("좋아요", "=1+2", None), ("별로", None, "=B2")]
    assert {row[3] for row in rows} <= {"긍정", "부정"}
    assert found["숨은"].sheet_state == "hidden"
    assert found.worksheets[0].column_dimensions["A"].width == 40


def test_another_sheet_of_a_workbook_is_predicted_and_the_first_stays(run, fork_recipe, tmp_path):
    book = Workbook()
    book.active.append(["설명"])
    other = book.create_sheet("후기")
    for row in (["text"], ["재미없다"]):
        other.append(row)
    book.save(source := tmp_path / "a.xlsx")
    fork_recipe("predict", run, "--input", source, "--sheet_name", "후기").expect()
    first, second = load_workbook(tmp_path / "a.predicted.xlsx").worksheets
    assert [*first.values] == [("설명",)]
    assert [row[0] for row in second.values] == ["text", "재미없다"]
    assert [*second.values][0][1] == "prediction"
    asked = ["--input", source, "--output", tmp_path / "b.xlsx", "--sheet_name"]
    fork_recipe("predict", run, *asked, "둘째").expect(1, "there is no sheet '둘째'")


GROWS = """
import runpy
from nlpbook_data.inference.predictor import Predictor
predict = Predictor.predict
def grow(self, rows, **options):
    with open("a.csv", "a") as file:
        file.write("more\\n")
    return predict(self, rows, **options)
Predictor.predict = grow
runpy.run_path({recipe!r}, run_name="__main__")
"""


def test_a_file_that_grows_meanwhile_is_told(run, fork_recipe, tmp_path):
    written(tmp_path / "grows.py", GROWS.format(recipe=str(RECIPES / "predict.py")))
    written(tmp_path / "a.csv", "text\n좋아요\n")
    done = fork_recipe(tmp_path / "grows", run, "--input", "a.csv")
    done.expect(1, "a.csv: it was changed meanwhile")
    assert not (tmp_path / "a.predicted.csv").exists()


def test_a_row_that_fails_says_why_and_none_is_lost(run, fork_recipe, tmp_path):
    bad = 'id,text\n1,좋아요\n2,"나빠요\n3,둘,셋\n4\n5, \n6,별로\n'
    done = fork_recipe("predict", run, "--input", written(tmp_path / "bad.csv", bad)).expect()
    assert "6 rows, 4 failed" in done.stderr
    assert "bad.csv, line 5: 1 cells where the header has 2" in done.stderr
    found = read_back(tmp_path / "bad.predicted.csv")
    assert [bool(row["error"]) for row in found] == [False, True, True, True, True, False]
    assert [bool(row["prediction"]) for row in found] == [True, False, False, False, False, True]
    assert '2,"나빠요' in found[1]["id"] and found[2]["id"] == "3,둘,셋"
    lines = b'{"text": "\xec\xa2\x8b\xec\x95\x84", "n": 1.50}\n{"text": "\xff"}\n[1]\n'
    fork_recipe("predict", run, "--input", written(tmp_path / "bad.jsonl", lines)).expect()
    first, *others = (tmp_path / "bad.predicted.jsonl").read_text("utf-8").splitlines()
    assert first.startswith('{"text": "좋아", "n": 1.50, "prediction": "')
    assert [json.loads(line)["error"] for line in others] == ["not UTF-8", "not an object {…}"]


def test_what_was_killed_goes_on(run, rows, fork_recipe, tmp_path):
    many = [{"n": n, "text": rows[n % len(rows)]["text"] + f" {n}"} for n in range(4200)]
    source = write_rows(tmp_path / "many.jsonl", many)
    journal, output = tmp_path / "many.out.jsonl.partial", tmp_path / "many.out.jsonl"
    command = [run, "--input", source, "--output", output]
    kill = "nlpbook_data.inference.predictor:Predictor.predict:2"  # after 4,096 rows
    watch = tmp_path / "watched"
    env = spy.environment(watch, kill)
    killed = fork_recipe(spy.wrapper(watch, "predict"), *command, env=env)
    assert killed.status == -signal.SIGKILL and not output.exists()
    done_before = len(journal.read_bytes().splitlines()) - 1
    assert 0 < done_before < len(many)
    with journal.open("ab") as file:
        file.write(b'{"prediction": "\xea')  # what a kill leaves of a row
    other = fork_recipe("predict", *command, "--details")
    assert other.status == 1 and "another command" in other.error
    output.touch()  # there too where the kill came before the journal was deleted
    fork_recipe("predict", *command).expect()
    found = read_rows(output)
    assert [row["n"] for row in found] == list(range(len(many)))
    again = load_predictor(run, device="cpu").predict(many[-100:])
    assert [row["prediction"] for row in found[-100:]] == [row["prediction"] for row in again]
    assert not journal.exists()


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", "id,후기\n1,좋아\n", [], "there is no column 'text'; the columns are id, 후기"),
        ("a.csv", "", [], "the file is empty"),
        ("a.csv", "text\n좋아\n", ["--output", "a.csv"], "it is the input too"),
        ("a.csv", "text\n좋아\n", ["--output", "there.csv"], "is there already"),
        ("a.csv", "text\n좋아\n", ["--output", "b.jsonl"], "Let it end in .csv"),
        ("a.csv", "text,score\n좋아,1\n", [], "has a column 'score' already"),
        ("a.jsonl", '{"n": 1}\n{"text": "좋아", "score": 1}\n', [], "has a column 'score' already"),
        ("a.jsonl", "\n{}\n", [], "the file is empty"),
        ("a.jsonl", '[{"text": "좋아"},\n{"text": "나빠"}]\n', [], "line 1: not JSON"),
        ("a.csv", "text\n좋아\n", ["--output", "folder.csv"], "not a file"),
        ("a.csv", "text\n좋아\n", ["--output", "other.csv"], "no predictions of this program"),
        ("a.csv", "text\n좋아\n", ["--batch_size", "-3"], "it must be 1 or more"),
        ("a.csv", "text\n좋아\n", ["--device", "gpu7"], "--device gpu7: it cannot be used"),
        ("a.csv", "text\n좋아\n", ["--separator", "||"], "it must be one character"),
        ("a.csv", "text\n좋아\n", ["--threshold", "0.3"], "no such option"),
        ("a.xlsx", "text\n좋아\n", [], "not a workbook"),
        ("a", "text\n좋아\n", ["--output", "b.csv"], "a: its name does not say its format"),
        ("a.hwp", "text\n좋아\n", [], "the name must end in one of"),
        ("a.jsonl", '[{"text": "좋아"}]', [], "Each line must be an object"),
        ("folder.csv/mine", "mine", ["--input", "folder.csv"], "folder.csv: no such file"),
        ("a.csv", "PK\0\0", [], "no text at all, such as a workbook"),
        ("a.csv", "text\n좋아\n", ["--device", "meta"], "--device meta: it cannot be used"),
        ("a.csv", PACKED, [], "a.csv: there is no column 'text'"),
        ("a.csv.gz", PACKED, [], "a.csv.gz: there is no column 'text'"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    name, content, options, message, run, fork_recipe, tmp_path
):
    source = written(tmp_path / name, content)
    for there in ("there.csv", "folder.csv/mine", "other.csv.partial"):
        written(tmp_path / there, "mine")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    done = fork_recipe("predict", run, "--input", source.name, *options, cwd=tmp_path)
    assert done.status == 1 and message in done.error, done.stderr
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_model_that_predicts_nan_is_refused_once_and_writes_nothing(fork_recipe, tmp_path):
    for task in HEADS:
        with pytest.raises(InputError, match=f"{task} predicts NaN: "):
            load_predictor(spoil(save_run(tmp_path / task, task)), device="cpu")
    source = write_rows(tmp_path / "a.jsonl", [ROWS["doccls"]] * 40)
    done = fork_recipe("predict", "doccls", "--input", source, "--output", "b.jsonl")
    assert done.expect(1, "doccls predicts NaN").stderr.count("NaN") == 1
    assert not [*tmp_path.glob("b.*")]


def test_settings_of_generation_are_those_of_the_server_and_in_range(tmp_path):
    predictor = load_predictor(save_run(tmp_path / "run", "generation"), device="cpu")
    for name, value in {"seed": 2**64, "temperature": 99.0, "top_p": 2.0}.items():
        with pytest.raises(InputError, match=f"{name} {value}: it must be from"):
            predictor.predict([ROWS["generation"]], **{name: value})
    assert predictor.options <= {*runpy.run_path(str(RECIPES / "predict.py"))["OPTIONS"]}


def test_one_column_is_not_read_as_both_texts_of_a_pair(tmp_path):
    columns = {"premise": "첫째", "hypothesis": "첫째"}
    with pytest.raises(InputError, match="read from one column, '첫째'"):
        load_predictor(save_run(tmp_path / "run", "paircls"), columns=columns, header=["첫째"])


def test_settings_of_another_program_are_no_settings(tmp_path):
    folder = save_run(tmp_path / "run", "doccls")
    config = json.loads((folder / "config.json").read_text("utf-8")) | {"recipe_settings": "none"}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    assert load_predictor(folder, device="cpu").columns == ("text",)


def test_a_row_that_is_predicted_nan_has_an_error_and_the_others_have_none(tmp_path):
    predictor = load_predictor(save_run(tmp_path / "run", "doccls"), device="cpu")
    embeddings = predictor.model.get_input_embeddings().weight
    texts = ["배송이 빨라요", "정말 좋아요", "배송이 느려요"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run")
    first, bad, last = (set(tokenizer(text)["input_ids"]) for text in texts)
    with torch.no_grad():
        embeddings[list(bad - first - last)] = float("inf")
    found = predictor.predict([{"text": text} for text in texts])
    assert [list(row) for row in found] == [["prediction", "score"], ["error"], [*found[0]]]


@pytest.mark.parametrize(
    "task", ["ner", *(pytest.param(name, marks=pytest.mark.long) for name in ("paircls", "qa"))]
)
def test_other_tasks_predict_what_their_recipe_did(task, trained, fork_recipe, tmp_path):
    run = trained(task)
    predictor = load_predictor(run.folder)
    assert predictor.task == task
    asked = [{c: row[c] for c in predictor.columns} for row in TASKS[task].rows(2)]
    source = write_rows(tmp_path / "a.csv", asked)
    fork_recipe("predict", run, "--input", source).expect()
    found = [row["prediction"] for row in read_back(tmp_path / "a.predicted.csv")]
    wanted = [row["prediction"] for row in run.rows]
    if task == "ner":
        found = list(map(json.loads, found))
    assert close(found, wanted, 1e-4)
