"""A JSON endpoint for a model or an index: POST /predict, GET /health, /openapi.json."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Body, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware import Middleware
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlpbook_data.inference.decoding import DECODING
from nlpbook_data.inference.predictor import DECODING_RANGES
from nlpbook_data.inference.service import CHARACTERS, MAX_BYTES, WAITING, Service
from nlpbook_data.language import spoken
from nlpbook_data.reports.pages import render

ROWS = 64
MAX_HITS = 100
MAX_NEW_TOKENS = 1024


class Answer(BaseModel):
    """What a row gets; which keys there are, the task and the options say."""

    model_config = ConfigDict(extra="allow")


class Problem(BaseModel):
    """Why there is no answer, in one sentence."""

    error: str


@dataclass(frozen=True)
class BodyLimit:
    """An ASGI middleware against large requests; FastAPI's own answers in plain text."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def read() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BYTES:
                raise HTTPException(413, f"The request is over {MAX_BYTES:,} bytes. Send less.")
            return message

        with contextlib.suppress(asyncio.CancelledError):  # the server stops: no traceback
            await self.app(scope, read, send)


def create_app(service: Service, rows: int = ROWS, characters: int = CHARACTERS) -> FastAPI:
    """Return the server of `service`, for so many `rows` a request and `characters` a text."""
    app = FastAPI(
        title=f"{service.name} ({service.task})",
        description=f"{service.title}: {rows} rows a request, {characters:,} characters a "
        "text at most.",
        docs_url=None,  # both load from a CDN
        redoc_url=None,
        middleware=[Middleware(BodyLimit)],
    )
    example = (service.examples or [dict.fromkeys(service.columns, "가나다")])[0]
    text = Annotated[str, Field(min_length=1, max_length=characters)]
    row_type: Any = create_model("Row", **dict.fromkeys(service.columns, (text, ...)))  # type: ignore[call-overload]
    several = Annotated[list[row_type], Field(min_length=1, max_length=rows)]
    body_type: Any = Annotated[
        Annotated[row_type, Tag("row")] | Annotated[several, Tag("rows")],
        Discriminator(lambda value: "rows" if isinstance(value, list) else "row"),
        Body(openapi_examples={"a row": {"value": example}, "rows": {"value": [example] * 2}}),
    ]
    options_type: Any = Annotated[_options(service), Query()]
    limiter = CapacityLimiter(1)  # the model answers one request at a time

    @app.post("/predict", responses={code: {"model": Problem} for code in (400, 413, 422, 503)})
    async def predict(
        request: Request,
        body: body_type,
        options: options_type,
    ) -> Answer | list[Answer | Problem]:
        """Predict a row, or each of a list of rows, in order.

        A row of a list that cannot be predicted gets an `error` and takes no other with it.
        """
        if limiter.statistics().tasks_waiting >= WAITING:
            raise HTTPException(503, "Too many requests are waiting. Ask again in a moment.")
        asked = [row.model_dump() for row in (body if isinstance(body, list) else [body])]
        given = options.model_dump(exclude_none=True)
        async with limiter:
            if await request.is_disconnected():
                raise HTTPException(499, "The client has gone.")
            answers = await anyio.to_thread.run_sync(lambda: service.predict(asked, **given))
        if isinstance(body, list):
            return [
                Problem(error=_said(one["error"])) if "error" in one else Answer(**one)
                for one in answers
            ]
        if "error" in answers[0]:
            raise HTTPException(422, _said(answers[0]["error"]))
        return Answer(**answers[0])

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Say that the model is loaded, and what it reads."""
        names = {"task": service.task, "columns": service.columns, "labels": service.labels}
        return {"status": "ok", "name": service.name, **names}

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> HTMLResponse:
        values = {
            "title": f"{service.name} · {service.title}",
            "service": service,
            "task": service.title,
            "limits": {"rows": rows, "characters": characters},
            "options": _options(service).model_json_schema().get("properties", {}),
            "example": json.dumps(example, ensure_ascii=False),
            "address": str(request.base_url),
        }
        return HTMLResponse(render("server.html", **values))

    @app.exception_handler(RequestValidationError)
    async def refuse(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            said = first.get("ctx", {}).get("error", first["msg"])
            return _problem(400, f"The body is no JSON: {said} at byte {first['loc'][-1]}.")
        place = ".".join(str(part) for part in first["loc"] if part not in ("body", "row", "rows"))
        said = first["msg"]
        if first["type"] == "model_attributes_type":
            said = "A row, or a list of rows, belongs here, with Content-Type: application/json"
        return _problem(422, f"{place or 'body'}: {spoken(said)}.")

    @app.exception_handler(AnyHTTPException)
    async def explain(request: Request, error: AnyHTTPException) -> Response:
        said = "The body cannot be read as JSON in UTF-8." if error.status_code == 400 else ""
        return _problem(error.status_code, said or error.detail, error.headers)

    return app


def _problem(status: int, said: str, headers: Mapping[str, str] | None = None) -> Response:
    content = json.dumps({"error": spoken(said)}, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, headers, "application/json")


def _said(error: str) -> str:
    """Return the error of a row in the server's language; elsewhere it begins with a place."""
    return spoken(spoken(f"row: {error}").removeprefix("row: "))


def _options(service: Service) -> type[BaseModel]:
    """Return the model of the query's parameters."""
    fields: dict[str, Any] = {
        "details": (bool, Field(False, description="all there is to know of a row")),
        "threshold": (float, Field(0.5, gt=0, lt=1, description="a label is given above it")),
        "k": (int, Field(10, ge=1, le=MAX_HITS, description="hits")),
        "hybrid": (bool, Field(False, description="fused with BM25")),
        "max_new_tokens": (int | None, Field(None, ge=1, le=MAX_NEW_TOKENS)),
        "method": (Literal[tuple(DECODING)], Field("top-p", description="of decoding")),
        "seed": (int, Field(42, ge=0, lt=2**32)),
    }
    for name, (least, most) in DECODING_RANGES.items():
        fields[name] = (type(least) | None, Field(None, ge=least, le=most))
    chosen = {name: field for name, field in fields.items() if name in service.options}
    return create_model("Options", __config__=ConfigDict(extra="forbid"), **chosen)
