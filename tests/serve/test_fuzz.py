"""Whatever is sent, the answer is a sentence and the server goes on."""

import socket
import threading
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parsenet.serve.app import create_app
from parsenet.serve.guard import LOOPBACK_NAMES
from parsenet.serve.limits import Limits
from parsenet.serve.server import bind, make_server
from tests.fakes.uploads import broken_uploads, image_bytes

KINDS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM")
WHOLE = {kind: image_bytes(kind, (12, 17)) for kind in KINDS}

FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_fine(response):
    """Check that an answer is a label, or a sentence that blames the request."""
    if response.status_code != 200:
        assert 400 <= response.status_code < 500, response.text
        assert set(response.json()) == {"error"}
        assert "Traceback" not in response.text


@pytest.mark.parametrize("upload", broken_uploads(), ids=lambda upload: upload[0])
def test_broken_upload_is_answered_with_a_sentence(upload, client):
    for content in ({"files": {"image": upload[1]}}, {"content": upload[1]}):
        response = client.post("/api/segment", **content)
        assert_fine(response)
        assert response.status_code != 200
    assert client.post("/api/segment", content=WHOLE["PNG"]).status_code == 200


@FEW
@given(data=st.binary(max_size=300))
def test_random_bytes_are_answered(data, client):
    assert_fine(client.post("/api/segment", content=data))


@FEW
@given(
    kind=st.sampled_from(KINDS),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=20),
    cut=st.none() | st.integers(0, 10_000),
)
def test_damaged_images_are_answered(kind, changes, cut, client):
    data = bytearray(WHOLE[kind])
    for at, value in changes:
        data[at % len(data)] = value
    if cut is not None:
        data = data[: cut % len(data)]

    assert_fine(client.post("/api/segment?uncertainty=1&image=1", content=bytes(data)))


@FEW
@given(first=st.sampled_from(KINDS), second=st.sampled_from(KINDS), at=st.integers(0, 400))
def test_images_that_are_two_things_at_once_are_answered(first, second, at, client):
    data = WHOLE[first][:at] + WHOLE[second]

    assert_fine(client.post("/api/segment", content=data))


@FEW
@given(body=st.binary(max_size=200), boundary=st.text('ab-"; =\r', max_size=20))
def test_random_forms_are_answered(body, boundary, client):
    kind = f"multipart/form-data; boundary={boundary}"
    body = b"--ab\r\nContent-Disposition: form-data; " + body + b"\r\n--ab--"

    assert_fine(client.post("/api/segment", content=body, headers={"Content-Type": kind}))


@FEW
@given(words=st.binary(max_size=60))
def test_random_queries_are_answered(words, client):
    query = words.decode("latin-1")

    response = client.post("/api/segment", params={"model": query, query: "x"}, content=b"x")

    assert_fine(response)


@contextmanager
def listening(models):
    """Run a server on a socket in a thread; yields the address."""
    with bind("127.0.0.1", 0) as listener:
        server = make_server(create_app(models, Limits(upload_seconds=1.0), LOOPBACK_NAMES))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(20)


def talk(address, data):
    """Send bytes over a connection of their own; return the start of what comes back, if any."""
    with socket.create_connection(address, timeout=2) as connection:
        try:
            connection.sendall(data)
            return connection.recv(65536)
        except (ConnectionError, TimeoutError):
            return b""


REQUEST = b"POST /api/segment HTTP/1.1\r\nHost: localhost\r\n"
RAW = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,
    "nothing": b"",
    "half a request line": b"POST /api/seg",
    "a huge header": REQUEST + b"X: " + b"a" * 10_000_000 + b"\r\n\r\n",
    "many headers": REQUEST + b"".join(b"X-%d: 1\r\n" % i for i in range(20_000)) + b"\r\n",
    "a huge address": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a negative length": REQUEST + b"Content-Length: -5\r\n\r\nabc",
    "a length of words": REQUEST + b"Content-Length: many\r\n\r\nabc",
    "a length beyond all": REQUEST + b"Content-Length: " + b"9" * 18 + b"\r\n\r\nabc",
    "a length that is too long": REQUEST + b"Content-Length: 1000\r\n\r\nabc",
    "two lengths": REQUEST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a broken chunk": REQUEST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "a chunk beyond all": REQUEST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
    "an upgrade": b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "another protocol's proxy": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a foreign address": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a path upwards": b"GET /static/../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


def test_server_lives_through_broken_requests(models):
    with listening(models) as address:
        answers = {name: talk(address, data) for name, data in RAW.items()}
        length = b"Content-Length: %d\r\n\r\n" % len(WHOLE["PNG"])
        alive = talk(address, REQUEST + length + WHOLE["PNG"])

    assert alive.startswith(b"HTTP/1.1 200")
    answered = {name: answer[9:12] for name, answer in answers.items() if answer}
    assert answered.pop("an upgrade") == b"200"  # passed over, and the page sent
    assert {status[:1] for status in answered.values()} == {b"4"}
    assert not any(b"Traceback" in answer or b"root:" in answer for answer in answers.values())


def test_server_ends_while_an_upload_is_under_way(models):
    with listening(models) as address:
        idle = socket.create_connection(address, timeout=5)
        idle.sendall(REQUEST + b"Content-Length: 100\r\n\r\nabc")

    with idle, suppress(ConnectionError):
        assert idle.recv(65536)[:1] in (b"", b"H")
