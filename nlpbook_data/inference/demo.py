"""A page to try a model: `build` makes it from a run or a search index, `launch` shows it.

from nlpbook_data.inference.demo import build, launch

launch(build("outputs/doccls"))  # in a notebook below the cell
"""

import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlpbook_data.inference.service import (
    CHARACTERS,
    MAX_BYTES,
    WAITING,
    Row,
    Service,
    load_service,
)
from nlpbook_data.reports.card import as_text
from nlpbook_data.reports.pages import render

POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'"
COLUMNS = {
    "text": "글",
    "premise": "전제",
    "hypothesis": "가설",
    "sentence1": "첫째 문장",
    "sentence2": "둘째 문장",
    "context": "지문",
    "question": "질문",
    "prompt": "이어 쓸 글",
    "query": "검색어",
}
FRAMED: Any = {"show_label": True, "container": True, "min_height": 90}  # of HTML
FONTS = ("system-ui", "Noto Sans KR", "Apple SD Gothic Neo", "Malgun Gothic", "NanumGothic")
# Messages for errors that the form cannot prevent, by words of the error.
PROBLEMS = {
    "NUL": "글에 NUL 문자가 있습니다. 지우고 다시 실행해 주세요.",
    "half of a character": "깨진 글자가 있습니다. 지우고 다시 실행해 주세요.",
    "new tokens": "이 모델이 쓸 수 있는 길이를 넘습니다. 새 토큰 수를 줄여 주세요.",
}
NO_ANSWER = "지문에 답이 없습니다."
Show = Callable[..., Any]  # from a row and its answer to the values of the outputs


def build(
    model_dir: str | Path, characters: int = CHARACTERS, rerank: str | None = None
) -> gr.Blocks:
    """Return the page of the model or index in `model_dir`, for texts of so many `characters`.

    Raises:
        InputError: see `load_service`, which explains `rerank`.
    """
    service = load_service(model_dir, rerank)
    names = [COLUMNS[column] for column in service.columns]
    about = f"# {service.title}\n{as_text(service.name)}"
    if service.labels:
        about += f"  \n레이블: {', '.join(map(as_text, service.labels[:50]))}"
    with gr.Blocks(title=f"{service.title} · {service.name}", analytics_enabled=False) as page:
        gr.Markdown(about)
        with gr.Row():
            with gr.Column():
                texts = [
                    # in a single line, Enter submits
                    gr.Textbox(
                        label=COLUMNS[column],
                        lines=8 if column == "context" else 1,
                        max_lines=16,
                        max_length=characters,
                    )
                    for column in service.columns
                ]
                controls = CONTROLS.get(service.task, lambda _: {})(service)
                action = "검색" if service.task == "search" else "실행"
                button = gr.Button(action, variant="primary")
            with gr.Column():
                outputs, show = OUTPUTS[service.task](service)

        def ask(*values: Any) -> Any:
            row = dict(zip(service.columns, values, strict=False))
            for name, text in zip(names, row.values(), strict=True):
                if not isinstance(text, str) or not text.strip():
                    raise _problem(f"{name}: 비어 있습니다. 글을 넣어 주세요.")
                if len(text) > characters:
                    raise _problem(f"{name}: {len(text):,}자입니다. {characters:,}자까지 됩니다.")
            options = dict(zip(controls, values[len(row) :], strict=True))
            if "details" in service.options:
                options["details"] = True
            (answer,) = service.predict([row], **options)
            if "error" in answer:
                said = (words for key, words in PROBLEMS.items() if key in answer["error"])
                raise _problem(next(said, f"답을 내지 못했습니다: {answer['error']}"))
            return show(row, answer)

        # the model answers one question at a time
        call: Any = {"concurrency_limit": 1, "concurrency_id": "model", "outputs": outputs}
        call |= {"fn": ask, "inputs": [*texts, *controls.values()]}
        gr.on([button.click, *(box.submit for box in texts)], api_name="predict", **call)
        if service.examples:
            values = [[row[column] for column in service.columns] for row in service.examples]
            told = [value[-1:] if service.task == "qa" else value for value in values]
            labels = [_shorten(" / ".join(value)) for value in told]
            chosen = gr.Examples(values, texts, example_labels=labels, label="테스트 데이터의 예")
            chosen.load_input_event.success(**call, api_visibility="private")
        page.load(None, js="() => { document.documentElement.lang = 'ko' }")
    return page.queue(max_size=WAITING)


def launch(
    page: gr.Blocks, host: str = "127.0.0.1", port: int | None = None, **options: Any
) -> None:
    """Show `page`, only on this machine and with limits; `options` are `gr.Blocks.launch`'s."""
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        footer_links=["settings"],
        max_file_size=1,
        theme=gr.themes.Default(font=(*FONTS, "sans-serif"), font_mono=(*FONTS, "monospace")),
        app_kwargs={"max_body_size": MAX_BYTES, "middleware": [Middleware(Inside)]},
        **options,
    )


@dataclass(frozen=True)
class Inside:
    """ASGI middleware: a header forbids the page to load anything from outside."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", POLICY.encode())
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self.app(scope, receive, write)


def _problem(said: str) -> gr.Error:
    return gr.Error(html.escape(said), title="알림", print_exception=False)


def _shorten(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"


def _threshold(service: Service) -> dict[str, Any]:
    if not service.multi_label:
        return {}
    return {"threshold": gr.Slider(0.05, 0.95, 0.5, step=0.05, label="이 확률을 넘는 레이블")}


def _decoding(service: Service) -> dict[str, Any]:
    with gr.Accordion("생성 설정", open=True):
        return {
            "max_new_tokens": gr.Slider(1, 200, 40, step=1, label="새 토큰 수 (최대)"),
            "temperature": gr.Slider(0.1, 2, 1, step=0.1, label="온도 (temperature)"),
            "top_k": gr.Slider(0, 200, 50, step=1, label="top-k (0: 쓰지 않음)"),
            "top_p": gr.Slider(0.1, 1, 0.92, step=0.01, label="top-p"),
            "repetition_penalty": gr.Slider(1, 2, 1, step=0.1, label="반복 벌점"),
            "seed": gr.Slider(0, 1000, 42, step=1, label="시드 (같으면 같은 글)"),
        }


def _hits(service: Service) -> dict[str, Any]:
    controls: dict[str, Any] = {"k": gr.Slider(1, 50, 5, step=1, label="결과 수")}
    if "hybrid" in service.options:
        controls["hybrid"] = gr.Checkbox(True, label="형태소 BM25와 함께 찾기")
    return controls


CONTROLS: dict[str, Callable[[Service], dict[str, Any]]] = {
    "doccls": _threshold,
    "generation": _decoding,
    "search": _hits,
}


def _classes(service: Service) -> tuple[Any, Show]:
    if not service.labels:
        return gr.Number(label="점수", precision=4), lambda row, answer: answer["prediction"]
    bars = gr.Label(label="확률", num_top_classes=10, show_heading=not service.multi_label)
    if not service.multi_label:
        return bars, lambda row, answer: answer["probabilities"]
    given = gr.Textbox(label="레이블")

    def show(row: Row, answer: Row) -> Any:
        return ", ".join(answer["prediction"]) or "없음", answer["probabilities"]

    return [given, bars], show


def _entities(service: Service) -> tuple[Any, Show]:
    hues = {label: round(137.508 * n % 360) for n, label in enumerate(service.labels)}

    def show(row: Row, answer: Row) -> str:
        return _marked(row["text"], answer["prediction"], hues)

    return gr.HTML(label="개체명", **FRAMED), show


def _answer(service: Service) -> tuple[Any, Show]:
    boxes = [gr.Textbox(label="답"), gr.Number(label="점수", precision=4)]

    def show(row: Row, answer: Row) -> Any:
        found = [answer | {"label": "답"}] if answer["prediction"] else []
        text = answer["prediction"] or NO_ANSWER
        return text, answer["score"], _marked(row["context"], found, {"답": 50})

    return [*boxes, gr.HTML(label="지문의 답", **FRAMED)], show


def _marked(text: str, spans: list[Row], hues: dict[str, int]) -> str:
    """Return `text` as HTML with its spans in the colours of their labels, and a legend."""
    parts, done = list[tuple[str, str, str]](), 0
    for span in sorted(spans, key=lambda span: span["start"]):
        start = max(done, span["start"])
        parts.append((text[done:start], text[start : span["end"]], span["label"]))
        done = max(done, span["end"])
    return render("marks.html", parts=parts, rest=text[done:], hues=hues)


def _text(service: Service) -> tuple[Any, Show]:
    box = gr.Textbox(label="생성된 글", lines=6, max_lines=20, buttons=["copy"])
    # for a question, only the answer
    return box, lambda row, answer: row.get("prompt", "") + answer["prediction"]


def _passages(service: Service) -> tuple[Any, Show]:
    box = gr.HTML(label="결과", **FRAMED)
    return box, lambda row, answer: render("hits.html", hits=answer["prediction"])


OUTPUTS = {
    "doccls": _classes,
    "paircls": _classes,
    "ner": _entities,
    "qa": _answer,
    "generation": _text,
    "search": _passages,
}
