"""The JSON server: what it answers, what it refuses, what it survives."""

import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import torch
import uvicorn
from saved import LABELS, PASSAGES, ROWS, pretrained, save_run
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from nlpbook_data.inference.server import create_app
from nlpbook_data.inference.service import load_service, open_port
from nlpbook_data.search.index import SearchIndex

TEXT = ROWS["doccls"]["text"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_run(tmp_path_factory.mktemp("served") / "reviews", "doccls")


def start(folder: Path, rerank: str | None = None) -> Iterator[httpx.Client]:
    """Yield a client of a server of `folder`, on a port of its own."""
    bound = open_port("127.0.0.1", 0)
    app = create_app(load_service(folder, rerank), rows=8, characters=1000)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=60) as client:
        yield client
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def client(folder) -> Iterator[httpx.Client]:
    yield from start(folder)


def test_a_row_gets_the_model_s_class_and_rows_get_a_list(client, folder):
    texts = [TEXT, "별로예요 😀", "<script>alert(1)</script>"]
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        true = model(**tokens).logits.softmax(1)
    rows = client.post("/predict?details=true", json=[{"text": text} for text in texts]).json()
    for row, expected in zip(rows, true, strict=True):
        assert list(row["probabilities"]) == LABELS["doccls"]
        assert [*row["probabilities"].values()] == pytest.approx(expected.tolist(), abs=1e-4)
        assert row["prediction"] == LABELS["doccls"][expected.argmax()]
    one = client.post("/predict", json={"text": TEXT}).json()
    assert one == {key: rows[0][key] for key in ("prediction", "score")}


@pytest.mark.parametrize("task", ["paircls", "ner", "qa", "generation", "search"])
def test_every_task_answers_its_row(tmp_path, task):
    server = start(save_run(tmp_path / "run", task))
    client = next(server)
    assert client.get("/health").json()["task"] == task
    options = {"generation": {"max_new_tokens": 3, "top_k": 5}, "search": {"k": 2}}.get(task)
    reply = client.post("/predict", json=ROWS[task], params=options)
    assert reply.status_code == 200, reply.text
    found = reply.json()["prediction"]
    if task == "paircls":
        assert found in LABELS[task]
    elif task == "ner":
        assert all(ROWS[task]["text"][e["start"] : e["end"]] == e["text"] for e in found)
    elif task == "qa":
        assert found in ROWS[task]["context"]
    elif task == "search":
        assert len(found) == 2 and {hit["row"]["text"] for hit in found} <= {*PASSAGES}
    next(server, None)


def test_a_reranker_orders_the_hits_of_an_index_and_nothing_else(folder, fork_recipe, tmp_path):
    index = save_run(tmp_path / "run", "search")
    cross = pretrained(tmp_path / "cross", auto="AutoModelForSequenceClassification", num_labels=1)
    query = ROWS["search"]["query"]
    scores = CrossEncoder(str(cross)).predict([(query, passage) for passage in PASSAGES])
    order = sorted(range(len(PASSAGES)), key=lambda number: -scores[number])
    assert order != [hit.id for hit in SearchIndex.load(index).search([query])[0]]
    server = start(index, str(cross))
    client = next(server)
    for k in (3, 1):  # the first of all, not of the first k
        found = client.post(f"/predict?k={k}", json={"query": query}).json()["prediction"]
        assert [hit["id"] for hit in found] == order[:k]
    next(server, None)
    for recipe in ("demo", "serve"):
        refused = fork_recipe(recipe, folder, "--port", 0, "--rerank", cross)
        assert refused.status == 1 and f"--rerank {cross}: is for" in refused.error


MANY = b'[{"text": "a"}' + b', {"text": "a"}' * 8 + b"]"
LENGTHY = ('{"text": "%s"}' % ("가" * 300_000)).encode()


@pytest.mark.parametrize(
    ("body", "query", "status", "said", "korean"),
    [
        (b'{"text": ', "", 400, "no JSON", "본문이 JSON이 아닙니다. "),
        (b"[" * 100_000, "", 400, "body", ""),
        (b"\xff\xfe", "", 400, "body", ""),
        ('{"text": "가"}'.encode("cp949"), "", 400, "as JSON in UTF-8", "본문을 UTF-8로 된 JSON"),
        (b"3", "", 422, "A row, or a list of rows", "body: "),
        (b"{}", "", 422, "text: Field required", "text: 값이 있어야 합니다."),
        (b"[]", "", 422, "at least 1", "body: 행이 1개 이상이어야 하는데 0개입니다."),
        (b'{"text": ""}', "", 422, "text", "text: 1자 이상이어야 합니다."),
        (b'{"text": "  "}', "", 422, "text is empty", "text 값이 비어 있습니다"),
        (b'{"text": 3}', "", 422, "text: Input should be a valid string", "text: 문자열이어야"),
        (b'{"text": "\\ud800"}', "", 422, "text", ""),
        (b'[{"text": "a"}, {"text": null}]', "", 422, "1.text", ""),
        (MANY, "", 422, "at most 8", "body: 행이 8개 이하"),
        (LENGTHY, "", 422, "at most 1000 characters", "text: 1000자 이하여야 합니다."),
        (b" " * (5 << 20), "", 413, "4,194,304 bytes", "요청이 4,194,304바이트를 넘습니다. 나누어"),
        (b'{"text": "a"}', "?detials=1", 422, "detials", "query.detials: 없는 옵션입니다."),
        (b'{"text": "a"}', "?threshold=0.5", 422, "threshold", ""),
        (b'{"text": "a"}', "?details=x", 422, "details", "query.details: true나 false여야"),
    ],
)
def test_what_it_cannot_read_gets_one_sentence_and_a_4xx(
    client, monkeypatch, body, query, status, said, korean
):
    def refused(language: str) -> str:
        monkeypatch.setenv("NLPBOOK_LANG", language)
        headers = {"Content-Type": "application/json"}
        reply = client.post(f"/predict{query}", content=body, headers=headers)
        assert reply.status_code == status and [*reply.json()] == ["error"]
        return reply.json()["error"]

    assert said in refused("en") and len(refused("en")) < 200
    if korean:
        assert refused("ko").startswith(korean)
        assert not re.search("should|is |Input|belongs", refused("ko"))


@pytest.mark.parametrize(
    ("language", "said"), [("en", "the text is empty"), ("ko", "text 값이 비어 있습니다")]
)
def test_a_row_that_fails_takes_no_other_with_it(client, monkeypatch, language, said):
    monkeypatch.setenv("NLPBOOK_LANG", language)
    first, second = client.post("/predict", json=[{"text": " "}, {"text": TEXT}]).json()
    assert first["error"].startswith(said) and "prediction" in second
    nowhere = client.get("/nowhere").json()["error"]
    assert (nowhere == "그런 주소가 없습니다") == (language == "ko")


def test_fifty_clients_and_clients_that_leave(client):
    alone = client.post("/predict", json={"text": TEXT}).json()
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    for body in (b'{"text": "a"}', b'{"te'):
        with socket.create_connection((client.base_url.host, client.base_url.port)) as gone:
            gone.sendall(head + b"Content-Length: 13\r\n\r\n" + body)
    with ThreadPoolExecutor(50) as pool:
        replies = pool.map(
            lambda _: httpx.post(f"{client.base_url}/predict", json={"text": TEXT}), range(50)
        )
        assert [reply.json() for reply in replies] == [alone] * 50


def test_its_pages_load_nothing_and_openapi_tells_columns_and_options(client):
    page = client.get("/").text
    assert "default-src 'none'" in page and "curl" in page and TEXT in page
    assert "<script" not in page and "<link" not in page
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
    described = client.get("/openapi.json").json()
    assert [*described["components"]["schemas"]["Row"]["properties"]] == ["text"]
    names = [one["name"] for one in described["paths"]["/predict"]["post"]["parameters"]]
    assert names == ["details"]


def test_what_is_no_run_and_a_taken_port_are_refused(fork_recipe, tmp_path):
    missing = fork_recipe("serve", tmp_path / "nothing")
    assert missing.status == 1 and "nothing" in missing.error
    with open_port("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        refused = fork_recipe("serve", tmp_path, "--port", port)
    assert refused.status == 1 and f"127.0.0.1:{port}" in refused.error
