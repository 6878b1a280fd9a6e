"""An image from an http or https address, with a limit on everything a server can choose."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import Any

from parsenet.errors import ImageError
from parsenet.version import __version__

MAX_BYTES = 64 * 2**20
"""Bytes above which an answer is cut off and refused."""

TIMEOUT = 20.0
"""Seconds that a server may stay silent."""

DEADLINE = 120.0
"""Seconds that a whole answer may take, so that a server that drips does not hold up a run."""

_MAX_REDIRECTS = 5
_CHUNK = 2**16


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow few redirects, and only to http and https (urllib would go to ftp as well)."""

    max_redirections = _MAX_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,  # noqa: ANN401 - a response, though urllib's types call it a file
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse what `redirect_request` of urllib would open besides http and https."""
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.URLError(f"a redirect to '{newurl}'")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_image(
    address: str,
    max_bytes: int = MAX_BYTES,
    timeout: float = TIMEOUT,
    deadline: float = DEADLINE,
) -> bytes:
    """Fetch what an address holds; whether it is an image shows when it is decoded.

    Args:
        address: starts with http:// or https://.
        max_bytes: longer answers are refused.
        timeout: seconds that the server may stay silent.
        deadline: seconds for all of it.

    Raises:
        ImageError: the server cannot be reached, answers with an error, too much or too slowly.
    """
    headers = {"User-Agent": f"parsenet/{__version__}", "Accept": "image/*"}
    end = time.monotonic() + deadline
    try:
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.build_opener(_Redirects).open(request, timeout=timeout) as answer:
            return _read(answer, address, max_bytes, end)
    except urllib.error.HTTPError as error:
        error.close()
        raise ImageError(
            f"'{address}' must give an image, got the answer {error.code} ({error.reason}). Open "
            "it in a browser."
        ) from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ImageError(
            f"'{address}' must be reachable, got '{reason}'. Check the address and the network."
        ) from None


def _read(answer: HTTPResponse, address: str, max_bytes: int, end: float) -> bytes:
    content = bytearray()
    # `read1` returns what has come; `read` would wait for a slow server to fill the chunk.
    while chunk := answer.read1(_CHUNK):
        content += chunk
        if len(content) > max_bytes:
            raise ImageError(
                f"'{address}' must have at most {max_bytes} bytes, got more. Download it and give "
                "the file."
            )
        if time.monotonic() > end:
            raise ImageError(
                f"'{address}' must answer in time, got {len(content)} bytes so far. Download it "
                "and give the file."
            )
    stated = answer.getheader("Content-Length") or ""
    if stated.isdigit() and len(content) < int(stated):
        raise ImageError(
            f"'{address}' must be whole, got {len(content)} of {stated} bytes. Try again."
        )
    return bytes(content)
