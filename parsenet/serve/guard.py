"""What stands before every request: who may ask, and what browsers may do with the answer."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names by which a browser on this machine may call a server that is bound to loopback."""

_HEADERS = {
    # Everything comes from this server; images are also shown from memory.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests that other web sites made a browser send, and forbids foreign content.

    A page on the internet can send requests to `127.0.0.1`: directly, which `Origin` and
    `Sec-Fetch-Site` tell, or under a name of its own that it points there (DNS rebinding), which
    `Host` tells.

    Args:
        app: what answers the requests that pass.
        hosts: names that `Host` may give; None allows any.
    """

    def __init__(self, app: ASGIApp, hosts: AbstractSet[str] | None) -> None:
        self.app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on, one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        reason = self._refuse(scope["method"], Headers(scope=scope))
        if reason is None:
            await self.app(scope, receive, send_with_headers)
        else:
            status, sentence = reason
            response = JSONResponse({"error": sentence}, status)
            await response(scope, receive, send_with_headers)

    def _refuse(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self._hosts is not None and host_name(host) not in self._hosts:
            known = ", ".join(sorted(self._hosts))
            return 421, (
                f"The host must be one of {known}, got '{host[:80]}'. Open the address that "
                "`parsenet serve` printed, or start it with `--host`."
            )
        if method not in ("GET", "HEAD") and _is_foreign(headers, host):
            return 403, (
                "The request must come from this server's own page or from a program, got one from "
                "another web site."
            )
        return None


def host_name(host: str) -> str:
    """Return the name in a `Host` header, in lower case and without port; '' when it has none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # a bracket that does not close
        return ""


def _is_foreign(headers: Headers, host: str) -> bool:
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    # Programs send no origin; sandboxed pages send `null`.
    return origin is not None and origin.lower().partition("://")[2] != host.lower()
