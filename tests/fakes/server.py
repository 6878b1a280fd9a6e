"""Servers on this machine's own address that behave as badly as real ones do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """A file, and what is wrong with its server.

    `versions` are the bytes at the first request, the second, ...; the last stays. `cuts` says
    after how many bytes each request's answer breaks off, None or no entry for never. `statuses`
    are answered in place of the file, one per request. `lie` is added to the length that is
    claimed.
    """

    versions: list[bytes]
    cuts: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    tells_length: bool = True
    lie: int = 0
    redirect: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve on a free port of the loopback; gives the address without a path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            answer(self)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def fake_server() -> Iterator["FakeServer"]:
    """Run a server of files until the block ends."""
    fake = FakeServer()
    with serving(fake.answer) as fake.url:
        yield fake


class FakeServer:
    """Files by path, and the requests that came: (path, Range or '')."""

    url = ""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, str]] = []

    def serve(self, name: str, *versions: bytes, **wrong: object) -> str:
        """Put up a file; return its address."""
        self.files[f"/{name}"] = Served(list(versions), **wrong)
        return f"{self.url}/{name}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        number = sum(1 for path, _ in self.requests if path == request.path)
        asked = request.headers.get("Range", "")
        self.requests.append((request.path, asked))
        served = self.files.get(request.path)
        if served is None:
            send(request, 404, {})
        elif served.redirect:
            send(request, 302, {"Location": served.redirect, "Connection": "close"})
        elif number < len(served.statuses) and served.statuses[number] != 200:
            send(request, served.statuses[number], served.headers)
        else:
            send_file(request, served, number, asked)


def send_file(request, served, number, asked):
    version = min(number, len(served.versions) - 1)
    body = served.versions[version]
    headers = {"Content-Type": "application/octet-stream", "Connection": "close", **served.headers}
    headers["ETag"] = tag = f'"v{version}"'
    status, start = 200, 0
    if asked and served.knows_ranges and request.headers.get("If-Range", tag) == tag:
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        status = 206 if start < len(body) else 416
        place = f"{start}-{len(body) - 1}" if start < len(body) else "*"
        headers["Content-Range"] = f"bytes {place}/{len(body)}"
    if served.tells_length and status != 416:
        headers["Content-Length"] = str(len(body) - start + served.lie)
    cut = served.cuts[number] if number < len(served.cuts) else None
    send(request, status, headers, body[start:][:cut])


def send(request, status, headers, body=b""):
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    if not body:
        request.send_header("Content-Length", "0")
    request.end_headers()
    request.wfile.write(body)
