"""The routes of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from maskcls import __version__
from maskcls.serve.answers import PredictAnswer
from maskcls.serve.batching import ModelFailedError
from maskcls.serve.guard import AccessGuard, AccessRules
from maskcls.serve.metrics import TEXT_FORMAT
from maskcls.serve.refusals import RefusedRequestError, RefusedResponse
from maskcls.serve.service import PhotoService
from maskcls.serve.uploads import JSON_FORM

# What the page's own policy, in its <meta> element, cannot say; both hold.
PAGE_POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
REFUSALS = {
    400: "the body is damaged or has no photo",
    401: "the token is missing or wrong",
    403: "posted by the page of another site",
    408: "the body did not come in time",
    413: "too many bytes or photos",
    415: "another content type",
    421: "another host name",
    503: "the queue is full; see Retry-After",
}
BODIES_IN_WORDS: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}
        },
        "image/*": {"schema": {"type": "string", "format": "binary"}},
        "application/json": {"schema": {"type": "object", "description": JSON_FORM}},
    },
}


def build_app(service: PhotoService, rules: AccessRules, *, page: str, about: Mapping[str, Any]) -> AccessGuard:
    """Return the server as an ASGI application.

    page   the HTML of `/`.
    about  what `/model` says, plain JSON data.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    # The pages at /docs and /redoc load scripts from another host, so they are off.
    app = FastAPI(title="maskcls", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.add_exception_handler(RefusedRequestError, _refuse)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(HTTPException, _no_such_route)
    app.add_exception_handler(ModelFailedError, _failed)
    app.add_exception_handler(Exception, _failed)  # uvicorn prints the traceback
    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": PredictAnswer},
        422: {"model": PredictAnswer, "description": "no photo could be read; an error for each"},
        **{status: {"description": text} for status, text in REFUSALS.items()},
    }

    @app.post("/predict", responses=answers, openapi_extra={"requestBody": BODIES_IN_WORDS})
    async def predict_photos(request: Request) -> Response:
        """Predict the photos of the request, in its order."""
        answer = await service.answer(request)
        readable = any(photo.error is None for photo in answer.photos)
        text = answer.model_dump_json(exclude_none=True)
        return Response(text, 200 if readable else 422, media_type="application/json")

    @app.get("/health")
    async def health() -> JSONResponse:
        """Say that the process runs."""
        return JSONResponse({"alive": True})

    @app.get("/ready", responses={503: {"description": "the model is not warm yet, or the server stops"}})
    async def ready() -> JSONResponse:
        """Say whether requests are answered without delay."""
        return JSONResponse({"ready": service.ready}, 200 if service.ready else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return all metrics in the text format of Prometheus."""
        return PlainTextResponse(service.metrics.text(), media_type=TEXT_FORMAT)

    @app.get("/model")
    async def model() -> JSONResponse:
        """Say what predicts: tasks, classes, hashes, scores, limits."""
        return JSONResponse(dict(about))

    @app.get("/", include_in_schema=False)
    async def upload() -> HTMLResponse:
        """Return the page for uploads."""
        return HTMLResponse(page, headers={"content-security-policy": PAGE_POLICY})

    return AccessGuard(app, rules, service.metrics)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedRequestError)
    return RefusedResponse(error)


async def _no_such_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return RefusedResponse(RefusedRequestError(error.status_code, error.detail, headers=error.headers))


async def _failed(_: Request, __: Exception) -> Response:
    """Answer a request that failed by a fault of the model or of ours; the server goes on."""
    return RefusedResponse(RefusedRequestError(500, "the server failed; its log says why"))


async def _gone(_: Request, __: Exception) -> Response:
    """Answer nobody: the client closed the connection; the status is for the metrics."""
    return Response(status_code=499)
