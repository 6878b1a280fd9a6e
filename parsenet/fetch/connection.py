"""One request to a server: what it answered, or why it is of no use."""

from __future__ import annotations

import email.message
import http.client
import re
import ssl
import urllib.error
import urllib.request
from typing import Any, NamedTuple, final
from urllib.parse import urlsplit

_SCHEMES = ("http", "https")

# Answers that may be different in a moment: time-out, too many requests, trouble of the server's.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d+)")


@final
class AttemptFailedError(Exception):
    """A request came to nothing.

    Args:
        reason: what happened, to be put after the address.
        again: trying the same address again may help.
        wait: seconds that the server asked to wait.
    """

    def __init__(self, reason: str, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.again = again
        self.wait = wait


class Reply(NamedTuple):
    """What a server answered.

    `start` is the place in the file of the first byte that follows, `total` the size of the whole
    file if the server told it, `validator` what names this version of the file ('' if nothing).
    """

    stream: http.client.HTTPResponse | None
    start: int
    total: int | None
    validator: str


def check_scheme(url: str) -> None:
    """Refuse addresses of other kinds than http and https.

    Raises:
        AttemptFailedError: it is `file:`, `ftp:` or something else.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES or not urlsplit(url).netloc:
        raise AttemptFailedError(f"the address must begin with http:// or https://, got '{url}'")


def request(url: str, start: int, validator: str, timeout: float) -> Reply:
    """Ask for a file from one of its bytes on.

    Args:
        url: address.
        start: first byte wanted, 0 for the whole file.
        validator: version of the file that the bytes before `start` belong to, '' if unknown; of
            another version the server sends the whole file.
        timeout: seconds without any answer after which to give up.

    Returns:
        The answer; its `start` is 0 where the server sends the whole file in spite of `start`. A
        reply without a stream says that nothing is left to send.

    Raises:
        AttemptFailedError: no use can be made of the answer.
    """
    check_scheme(url)
    # Without `identity` a server may compress, and lengths and ranges then count other bytes.
    headers = {"User-Agent": "parsenet-data-tools", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    try:
        opener = urllib.request.build_opener(_Redirects)
        stream = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            return _no_content(error, start)
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from None
    return _reply(stream, start)


@final
class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirections, but not away from http and https, nor from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,  # noqa: ANN401 (not the IO[bytes] that its type says)
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            check_scheme(newurl)
            if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme == "http":
                raise AttemptFailedError(f"it redirects to '{newurl}', which is not encrypted")
        except AttemptFailedError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reply(stream: http.client.HTTPResponse, start: int) -> Reply:
    headers = stream.headers
    if headers.get_content_type() == "text/html":
        stream.close()
        raise AttemptFailedError("it answered with a web page, not with the file")
    validator = _validator(headers)
    if stream.status == 206:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start:
            stream.close()
            raise AttemptFailedError("it sent another part of the file than asked for", again=True)
        return Reply(stream, start, None if found[2] == "*" else int(found[2]), validator)
    length = headers.get("Content-Length", "")
    return Reply(stream, 0, int(length) if length.isdigit() else None, validator)


def _no_content(error: urllib.error.HTTPError, start: int) -> Reply:
    """Turn an answer of 4xx or 5xx into a reply where all bytes are here, else into a failure."""
    if error.code == 416:
        found = _UNSATISFIED.fullmatch(error.headers.get("Content-Range", ""))
        if found is not None and int(found[1]) == start:
            return Reply(None, start, start, _validator(error.headers))
        raise AttemptFailedError("it has no bytes after those already here", again=True)
    after = error.headers.get("Retry-After", "")
    raise AttemptFailedError(
        f"HTTP {error.code} {error.reason}",
        again=error.code in _PASSING,
        wait=float(after) if after.isdigit() else 0.0,
    )


def _unreachable(error: Exception) -> AttemptFailedError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    # A wrong certificate stays wrong.
    again = not isinstance(reason, ssl.SSLCertVerificationError)
    return AttemptFailedError(str(reason) or type(reason).__name__, again)


def _validator(headers: email.message.Message) -> str:
    """Name the version of the file: its strong ETag, else its date."""
    tag: str = headers.get("ETag", "")
    if tag.startswith('"'):
        return tag
    date: str = headers.get("Last-Modified", "")
    return date
