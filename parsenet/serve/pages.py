"""The page, its parts and the API's description: read once, served from memory."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_HTML = "text/html; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"

# Written out, so that no part of a request ever becomes a file name.
_PAGES = {
    "/": ("index.html", _HTML),
    "/docs": ("docs.html", _HTML),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
    "/static/icon.svg": ("icon.svg", "image/svg+xml"),
    "/static/style.css": ("style.css", "text/css; charset=utf-8"),
    "/static/page.js": ("page.js", _SCRIPT),
    "/static/panel.js": ("panel.js", _SCRIPT),
    "/static/viewport.js": ("viewport.js", _SCRIPT),
    "/static/paint.js": ("paint.js", _SCRIPT),
    "/static/png.js": ("png.js", _SCRIPT),
    "/static/server.js": ("server.js", _SCRIPT),
    "/static/docs.js": ("docs.js", _SCRIPT),
}


def page_routes() -> list[Route]:
    """Return a route for each file of the page."""
    folder = files("parsenet.serve") / "static"
    return [
        _route(path, (folder / name).read_bytes(), kind) for path, (name, kind) in _PAGES.items()
    ]


def openapi_document(version: str) -> dict[str, Any]:
    """Return the description of the endpoints in OpenAPI 3.1.

    Args:
        version: what it says the version is.
    """
    text = (files("parsenet.serve") / "static" / "openapi.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    document["info"]["version"] = version
    return document


def _route(path: str, content: bytes, kind: str) -> Route:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    # Asked for each time, sent only when changed: a new version of the package shows at once.
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return Route(path, serve, methods=["GET"], name=path)
