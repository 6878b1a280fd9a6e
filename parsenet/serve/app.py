"""The endpoints, and the application that joins them with the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parsenet.serve.answers import FORMS, Wish, answer
from parsenet.serve.guard import Guard
from parsenet.serve.images import formats
from parsenet.serve.limits import Limits, Refusal
from parsenet.serve.models import ServedModel
from parsenet.serve.pages import openapi_document, page_routes
from parsenet.serve.turns import Turns
from parsenet.serve.uploads import read_upload

_BOOLEANS = {"": True, "true": True, "1": True, "false": False, "0": False}


def create_app(
    models: Sequence[ServedModel], limits: Limits, hosts: AbstractSet[str] | None
) -> Guard:
    """Make the application: the page at `/`, the endpoints below `/api`.

    Args:
        models: what labels the images; the page shows them side by side.
        limits: what is accepted.
        hosts: names that requests may call this server by; None allows any.
    """
    turns = Turns(limits)

    async def segment(request: Request) -> Response:
        wish, model = _wish(request), _model(request, models)
        with turns.place():
            data = await read_upload(request, limits)
            work = partial(answer, data, model, wish, limits)
            result = await turns.run(work, request.is_disconnected)
        if isinstance(result, bytes):
            return Response(result, media_type=FORMS[wish.form])
        return JSONResponse(result)

    async def describe(request: Request) -> Response:
        return JSONResponse({
            "models": [model.describe() for model in models],
            "limits": {
                "bytes": limits.num_bytes,
                "pixels": limits.megapixels * 10**6,
                "formats": list(formats()),
            },
        })

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": _version()})

    async def document(request: Request) -> Response:
        return JSONResponse(openapi_document(_version()))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        turns.close()

    app = Starlette(
        routes=[
            *page_routes(),
            Route("/api/segment", segment, methods=["POST"]),
            Route("/api/models", describe, methods=["GET"]),
            Route("/healthz", health, methods=["GET"]),
            Route("/openapi.json", document, methods=["GET"]),
        ],
        exception_handlers={
            Refusal: _tell_refusal,
            HTTPException: _tell_http_error,
            Exception: _tell_bug,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    # Around everything, so that answers to bugs come under the same policy.
    return Guard(app, hosts)


def _wish(request: Request) -> Wish:
    known = {"model", "format", "uncertainty", "image"}
    for name in request.query_params:
        if name not in known:
            raise Refusal(
                400,
                f"The query must use {', '.join(f'`{word}`' for word in sorted(known))}, got "
                f"'{name[:80]}'.",
            )
    form = request.query_params.get("format", "json")
    if form not in FORMS:
        raise Refusal(400, f"`format` must be one of {', '.join(FORMS)}, got '{form[:80]}'.")
    return Wish(form, _flag(request, "uncertainty"), _flag(request, "image"))


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in _BOOLEANS:
        raise Refusal(400, f"`{name}` must be true or false, got '{text[:80]}'.")
    return _BOOLEANS[text]


def _model(request: Request, models: Sequence[ServedModel]) -> ServedModel:
    text = request.query_params.get("model", "0")
    for model in models:
        if text in (str(model.index), model.name):
            return model
    known = ", ".join(f"{model.index} ({model.name})" for model in models)
    raise Refusal(404, f"`model` must be one of {known}, got '{text[:80]}'.")


async def _tell_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse({"error": str(error)}, error.status, dict(error.headers))


async def _tell_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: "The address must be one that /docs lists, got another.",
        405: f"The method must be one that /docs lists for this address, got {request.method}.",
    }
    sentence = sentences.get(error.status_code, f"The request must be valid: {error.detail}.")
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


async def _tell_bug(request: Request, error: Exception) -> Response:
    # Starlette raises the error again afterwards, and the server's log gets the traceback.
    return JSONResponse(
        {"error": f"The server failed with {type(error).__name__}. Its log says more."}, 500
    )


def _version() -> str:
    try:
        return version("parsenet")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0+unknown"
