"""A server on this machine's own address that behaves as badly as real ones do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import final


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
    knows_versions: bool = True
    tells_length: bool = True
    lie: int = 0
    redirect: str = ""
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)


@final
class FakeServer:
    """Files by path, and the requests that came: (path, Range or '')."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, str]] = []

    def serve(self, name: str, *versions: bytes, **wrong: object) -> str:
        """Put up a file; return its address."""
        self.files[f"/{name}"] = Served(list(versions), **wrong)
        return f"{self.url}/{name}"


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """Run a server until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.fake = FakeServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.fake
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        fake = self.server.fake
        number = sum(1 for path, _ in fake.requests if path == self.path)
        fake.requests.append((self.path, self.headers.get("Range", "")))
        self.close_connection = True
        served = fake.files.get(self.path)
        if served is None:
            self.answer(404, {})
        elif served.redirect:
            self.answer(302, {"Location": served.redirect, "Connection": "close"})
        elif number < len(served.statuses) and served.statuses[number] != 200:
            self.answer(served.statuses[number], served.headers)
        else:
            self.send_file(served, number)

    def send_file(self, served, number):
        version = min(number, len(served.versions) - 1)
        body = served.versions[version]
        headers = {"Content-Type": served.content_type, "Connection": "close", **served.headers}
        tag = f'"v{version}"'
        if served.knows_versions:
            headers["ETag"] = tag
        status, start = 200, 0
        asked = self.headers.get("Range", "")
        if asked and served.knows_ranges and self.headers.get("If-Range", tag) == tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            status = 206 if start < len(body) else 416
            place = f"{start}-{len(body) - 1}" if start < len(body) else "*"
            headers["Content-Range"] = f"bytes {place}/{len(body)}"
        if served.tells_length and status != 416:
            headers["Content-Length"] = str(len(body) - start + served.lie)
        cut = served.cuts[number] if number < len(served.cuts) else None
        self.answer(status, headers, body[start:][:cut])

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not body:
            self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""
