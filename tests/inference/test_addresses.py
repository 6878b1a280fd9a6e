import re
import time

import pytest

from parsenet.errors import ImageError
from parsenet.inference.inputs import fetch_image
from tests.fakes.server import serving


def reply(content, status=200, headers=()):
    """Return an answer with that content."""

    def answer(request):
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    return answer


def drip(request):
    request.send_response(200)
    request.end_headers()
    for _ in range(40):
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.02)


def test_redirect_is_followed():
    def answer(request):
        to = () if request.path == "/b.jpg" else (("Location", "/b.jpg"),)
        reply(b"there" if not to else b"", 302 if to else 200, to)(request)

    with serving(answer) as address:
        assert fetch_image(f"{address}/a.jpg") == b"there"


def test_redirects_without_end_are_refused():
    count = []

    def answer(request):
        count.append(request.path)
        reply(b"", 302, [("Location", f"/{len(count)}")])(request)

    with serving(answer) as address, pytest.raises(ImageError, match="got the answer 302"):
        fetch_image(address)

    assert len(count) <= 7


@pytest.mark.parametrize(
    ("answer", "options", "sentence"),
    [
        (
            reply(b"", 302, [("Location", "file:///etc/hostname")]),
            {},
            "give an image, got the answer 302 (Found - Redirection to url 'file:///etc/hostname' "
            "is not allowed). Open it in a browser.",
        ),
        (
            reply(b"", 302, [("Location", "ftp://127.0.0.1/x")]),
            {},
            "be reachable, got 'unknown url type: ftp'. Check the address and the network.",
        ),
        (
            reply(b"x" * 1001),
            {"max_bytes": 1000},
            "have at most 1000 bytes, got more. Download it and give the file.",
        ),
        (
            reply(b"", 404), {},
            "give an image, got the answer 404 (Not Found). Open it in a browser.",
        ),
        (
            lambda request: time.sleep(0.5),
            {"timeout": 0.1},
            "be reachable, got 'timed out'. Check the address and the network.",
        ),
        (
            reply(b"short", headers=[("Content-Length", "100")]),
            {},
            "be whole, got 5 of 100 bytes. Try again.",
        ),
    ],
)  # fmt: skip
def test_what_a_server_does_wrong_is_told(answer, options, sentence):
    with serving(answer) as address:
        message = f"'{address}' must {sentence}"
        with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
            fetch_image(address, **options)


def test_dripping_server_is_given_up():
    with serving(drip) as address, pytest.raises(ImageError, match="must answer in time, got "):
        fetch_image(address, deadline=0.2)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://["])
def test_server_that_is_not_there_is_named(address):
    with pytest.raises(ImageError, match=f"^'{re.escape(address)}' must be reachable, got "):
        fetch_image(address)
