"""Each model that ships goes through all that README does after training, and stays the same."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import RECIPES
from writing import close, read_json, read_rows, write_rows

from nlpbook_data.inference.service import open_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
pytest.importorskip("onnxscript")
gradio_client = pytest.importorskip("gradio_client")

FEW = "--max_train_samples 64 --max_eval_samples 16 --max_predict_samples 24"
FEW += " --num_train_epochs 1 --baselines false --precision float32"
TAGS = [
    {"text": f"{first}, {second}", "label": sorted({first[:2], second[:2]})}
    for first in ("배송이 빠르다", "화면이 밝다", "소리가 작다", "맛이 좋다")
    for second in ("값이 싸다", "포장이 곱다", "색이 어둡다", "향이 짙다")
]
CASES = {
    "doccls": ("doccls", "encoder", "--corpus sample_reviews"),
    "reviews": ("doccls", "reviews", "--corpus sample_reviews"),
    "several labels": ("doccls", "encoder", "--multi_label true --train_file tags.jsonl"),
    "paircls": ("paircls", "encoder", "--corpus sample_nli"),
    "ner": ("ner", "encoder", "--corpus sample_ner"),
    "qa": ("qa", "answers", "--corpus sample_qa --max_length 128 --stride 32"),
}


@contextlib.contextmanager
def running(recipe: str, folder: Path) -> Iterator[str]:
    """Yield the address of ``recipes/demo.py FOLDER`` or serve.py, run as users do."""
    with open_port("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(RECIPES / f"{recipe}.py"), str(folder), "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder.parent, env=os.environ)
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{port}/", timeout=30)
                break
            assert process.poll() is None
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", port)) as unfinished:
            unfinished.sendall(head + b"Content-Length: 9\r\n\r\n")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) in (0, 130)


@pytest.mark.parametrize("case", CASES)
def test_train_predict_demo_serve_export_and_predict_again(case, fork_recipe, tmp_path):
    recipe, model, extra = CASES[case]
    write_rows(tmp_path / "tags.jsonl", TAGS)
    run, onnx, asked = tmp_path / "run", tmp_path / "onnx", tmp_path / "new.jsonl"
    start = f"--model_name_or_path package:models/{model} --output_dir run"
    fork_recipe(recipe, start, FEW, extra).expect()
    names = {"paircls": ("premise", "hypothesis"), "qa": ("context", "question")}
    columns = names.get(recipe, ("text",))
    rows = write_rows(
        asked, [{c: row[c] for c in columns} for row in read_rows(run / "predictions.jsonl")]
    )

    def predicted(folder: Path) -> list[dict]:
        fork_recipe("predict", folder, "--input", rows, "--overwrite").expect()
        return read_rows(tmp_path / "new.predicted.jsonl")

    original = predicted(run)
    fork_recipe("export", run, "--output", onnx).expect()
    assert close(predicted(onnx), original, 1e-4)
    report = read_json(onnx / "export_report.json")
    assert report["models"]["onnx float32"]["same"] == len(original)
    assert len(predicted(onnx / "int8")) == len(original)

    body = read_rows(rows)
    wanted = [{k: v for k, v in row.items() if k not in columns} for row in original]
    for folder in (run, onnx):
        with running("serve", folder) as address:
            served = httpx.post(f"{address}predict", json=body, timeout=120).json()
        assert close(served, wanted, 1e-4)
    with running("demo", onnx) as address:
        client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
        more = [0.5] if case == "several labels" else []
        shown = json.dumps(client.predict(*body[0].values(), *more, api_name="/predict"))
    first = wanted[0]["prediction"]
    if recipe == "ner":
        assert shown.count("<mark") - shown.count("<small>") >= len(first)
    else:
        for text in first if isinstance(first, list) else [first]:
            assert json.dumps(text)[1:-1] in shown


def test_a_generation_model_is_used_as_it_is(fork_recipe, tmp_path):
    run = tmp_path / "run"
    fork_recipe("generation", FEW, "--samples_per_prompt 1 --output_dir run").expect()
    write_rows(tmp_path / "prompts.jsonl", [{"prompt": "긍정"}])
    files = "--input prompts.jsonl --output new.jsonl"
    fork_recipe("predict", "run", files, "--method greedy --max_new_tokens 12").expect()
    (row,) = read_rows(tmp_path / "new.jsonl")
    with running("serve", run) as address:
        options = {"method": "greedy", "max_new_tokens": 12}
        served = httpx.post(f"{address}predict", json={"prompt": "긍정"}, params=options).json()
    assert served == {"prediction": row["prediction"]}
    with running("demo", run) as address:
        client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
        shown = client.predict("긍정", 12, 1.0, 1, 1.0, 1.0, 1, api_name="/predict")
    assert shown == f"긍정{row['prediction']}"  # of the best token alone
    refused = fork_recipe("export", run, "--output", tmp_path / "onnx")
    assert refused.status == 1 and "the folder itself" in refused.error
    assert not (tmp_path / "onnx").exists()


def test_a_search_model_is_asked_by_its_index(fork_recipe, tmp_path):
    run, index = tmp_path / "run", tmp_path / "index"
    model = "--model_name_or_path package:models/encoder --corpus sample_search"
    fork_recipe("search", model, FEW, "--output_dir run").expect()
    texts = ["한강은 서울을 지난다.", "배송은 이틀 걸린다.", "비밀번호는 설정에서 바꾼다."]
    passages = tmp_path / "passages.txt"
    passages.write_text("\n".join(texts) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "nlpbook_data"]
    for arguments in (
        ["index", passages, "--model", run, "--output", index],
        ["search", index, "배송이 언제 오나요?", "-k", "3"],
    ):
        done = subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
    with running("serve", index) as address:
        reply = httpx.post(f"{address}predict?k=3", json={"query": "배송이 언제 오나요?"})
    served = [hit["row"]["text"] for hit in reply.json()["prediction"]]
    assert sorted(served) == sorted(texts)
    assert sorted(served, key=done.stdout.index) == served  # in the order of the command
    with running("demo", index) as address:
        client = gradio_client.Client(address, verbose=False, analytics_enabled=False)
        shown = client.predict("배송이 언제 오나요?", 3, api_name="/predict")
    assert sorted(served, key=shown.index) == served
    refused = fork_recipe("export", run, "--output", tmp_path / "onnx")
    assert refused.status == 1 and "model for search" in refused.error
