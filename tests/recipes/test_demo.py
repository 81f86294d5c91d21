"""The demo: what a visitor types and sees, what it refuses, what it loads."""

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from saved import LABELS, PASSAGES, ROWS, save_run

from nlpbook_data.errors import InputError
from nlpbook_data.inference.demo import build, launch
from nlpbook_data.inference.service import open_port

TEXT = ROWS["doccls"]["text"]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)> 😀"
CHROMIUM = Path("/usr/bin/chromium")


@contextlib.contextmanager
def shown(folder: Path) -> Iterator[str]:
    """Yield the address of the page of `folder`."""
    page = build(folder, characters=1000)
    with open_port("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    launch(page, port=port, quiet=True, prevent_thread_lock=True, inline=False)
    yield page.local_url
    page.close(verbose=False)


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    with shown(save_run(tmp_path_factory.mktemp("demo") / "reviews", "doccls")) as address:
        yield address


@pytest.fixture(scope="module")
def client(address) -> Client:
    return Client(address, verbose=False, analytics_enabled=False)


def test_a_text_gets_bars_of_the_probabilities(client):
    bars = client.predict(TEXT, api_name="/predict")
    assert {bar["label"] for bar in bars["confidences"]} == {*LABELS["doccls"]}
    assert sum(bar["confidence"] for bar in bars["confidences"]) == pytest.approx(1, abs=1e-4)
    assert bars["label"] == bars["confidences"][0]["label"]


@pytest.mark.parametrize("task", ["paircls", "ner", "qa", "generation", "search"])
def test_the_page_fits_the_task(tmp_path, task):
    with shown(save_run(tmp_path / "run", task)) as address:
        client = Client(address, verbose=False, analytics_enabled=False)
        row = dict(ROWS[task])
        if task in ("ner", "qa"):
            row = {name: text + EVIL for name, text in row.items()}
        controls = {"generation": [3, 0.7, 5, 0.9, 1.2, 1], "search": [3]}.get(task, [])
        found = client.predict(*row.values(), *controls, api_name="/predict")
        samples = json.dumps(httpx.get(f"{address}config").json(), ensure_ascii=False)
    assert all(text in samples for text in ROWS[task].values())  # offered as an example
    if task == "paircls":
        assert {bar["label"] for bar in found["confidences"]} == {*LABELS[task]}
    elif task == "generation":
        assert found.startswith("긍정")
    elif task == "search":
        assert "&lt;img src=x" in found and "<img" not in found
        assert all(found.count(f"· {number}번") == 1 for number in range(len(PASSAGES)))
    else:
        html = found if task == "ner" else found[-1]
        assert "&gt;" in html and "<script" not in html and "<img" not in html


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "비어"),
        (" \n", "비어"),
        ("가" * 333_000, "1,000자까지"),
        (None, "비어"),
        ("가\0", "NUL"),
    ],
)
def test_what_is_empty_or_too_long_is_said_in_korean(client, text, said):
    with pytest.raises(AppError, match=said):
        client.predict(text, api_name="/predict")
    assert client.predict(TEXT, api_name="/predict")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        build(tmp_path / "nothing")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"data": 3}', b'{"data": [1, 2, 3]}', b"\xff"])
def test_a_body_that_is_none_harms_nobody(address, client, body):
    header = {"Content-Type": "application/json"}
    for path in ("call/predict", "queue/join"):
        reply = httpx.post(f"{address}gradio_api/{path}", content=body, headers=header)
        assert reply.status_code < 600
    assert client.predict(TEXT, api_name="/predict")


def test_large_requests_and_uploads_are_refused(address):
    reply = httpx.post(f"{address}gradio_api/call/predict", content=b" " * (5 << 20))
    assert reply.status_code == 413
    file = {"files": ("a.txt", b"text")}
    assert httpx.post(f"{address}gradio_api/upload", files=file).status_code == 413


def test_nothing_may_be_loaded_from_outside(address):
    page = httpx.get(address)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    config = httpx.get(f"{address}config").json()
    assert config["analytics_enabled"] is False and "fonts.googleapis" not in page.text


@pytest.mark.long
def test_fifty_clients_and_clients_that_leave(address, client):
    alone = client.predict(TEXT, api_name="/predict")

    def ask(number: int) -> str:
        url = f"{address}gradio_api/call/predict"
        event = httpx.post(url, json={"data": [TEXT]}, timeout=120).json()["event_id"]
        if number % 5 == 0:  # leaves without the answer
            return ""
        return httpx.get(f"{url}/{event}", timeout=120).text

    with ThreadPoolExecutor(50) as pool:
        answers = [answer for answer in pool.map(ask, range(50)) if answer]
    assert len(answers) == 40 and all("event: complete" in answer for answer in answers)
    assert client.predict(TEXT, api_name="/predict") == alone


@pytest.mark.long
@pytest.mark.skipif(not CHROMIUM.exists(), reason="no chromium")
@pytest.mark.parametrize("task", ["doccls", "search"])
def test_a_visitor_types_presses_enter_and_reads(tmp_path, task):
    playwright = pytest.importorskip("playwright.sync_api")
    with shown(save_run(tmp_path / "run", task)) as address, playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        requests, alerts = list[str](), list[str]()
        page.on("request", lambda request: requests.append(request.url))
        page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        page.wait_for_selector("textarea")
        page.keyboard.press("Tab")
        page.keyboard.type(EVIL)
        page.keyboard.press("Enter")
        word = LABELS["doccls"][0] if task == "doccls" else "한강은 서울을 지난다."
        page.wait_for_selector(f"text={word} >> visible=true")
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
    assert not alerts and requests
    assert all(url.startswith((address, "data:", "blob:")) for url in requests)
