import io
import re
import urllib.request
from http.client import HTTPMessage

import pytest

from parsenet.fetch.connection import AttemptFailedError, _Redirects, check_scheme, request


def refuses(message):
    return pytest.raises(AttemptFailedError, match=f"^{re.escape(message)}$")


def get(url, start=0, validator=""):
    reply = request(url, start, validator, 5.0)
    with reply.stream as stream:
        return reply, stream.read()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/a", "a.tar", "http:a", "//h/a"])
def test_other_schemes_are_refused(url):
    with refuses(f"the address must begin with http:// or https://, got '{url}'"):
        check_scheme(url)


def test_redirection_is_followed(server):
    server.serve("new.tar", b"12345")
    url = server.serve("old.tar", b"", redirect="/new.tar")

    _, body = get(url, start=2)

    assert body == b"345"


def test_redirection_to_another_scheme_is_refused(server):
    url = server.serve("a.tar", b"", redirect="ftp://host/a")

    with refuses("the address must begin with http:// or https://, got 'ftp://host/a'"):
        get(url)


def test_redirection_to_a_file_is_refused(server):
    url = server.serve("a.tar", b"", redirect="file:///etc/passwd")

    with pytest.raises(
        AttemptFailedError, match=r"^HTTP 302 .*'file:///etc/passwd' is not allowed$"
    ):
        get(url)


def test_redirection_from_https_to_http_is_refused():
    handler = _Redirects()
    asked = urllib.request.Request("https://host/a")

    with refuses("it redirects to 'http://host/a', which is not encrypted"):
        handler.redirect_request(asked, io.BytesIO(), 302, "Found", HTTPMessage(), "http://host/a")


def test_endless_redirection_ends(server):
    url = server.serve("a.tar", b"", redirect="/a.tar")

    with pytest.raises(AttemptFailedError, match=r"^HTTP 302 .*infinite loop"):
        get(url)


def test_part_of_the_file_is_told_with_its_place(server):
    url = server.serve("a.tar", b"12345")

    reply, body = get(url, 3, '"v0"')

    assert (reply.start, reply.total, reply.validator, body) == (3, 5, '"v0"', b"45")


def test_other_version_is_sent_whole(server):
    url = server.serve("a.tar", b"12345")

    reply, body = get(url, 3, '"older"')

    assert (reply.start, reply.total, body) == (0, 5, b"12345")


def test_end_of_the_file_is_told(server):
    url = server.serve("a.tar", b"12345")

    reply = request(url, 5, "", 5.0)

    assert (reply.stream, reply.start) == (None, 5)


def test_start_behind_the_end_is_a_failure(server):
    url = server.serve("a.tar", b"12345")

    with refuses("it has no bytes after those already here"):
        request(url, 6, "", 5.0)


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": 'W/"weak"', "Last-Modified": "Mon"}, "Mon"),
        ({"ETag": 'W/"weak"'}, ""),
        ({}, ""),
    ],
)
def test_weak_tag_names_no_version(server, headers, validator):
    url = server.serve("a.tar", b"12345", knows_versions=False, headers=headers)

    reply, _ = get(url)

    assert reply.validator == validator


def test_wrong_part_is_a_failure(server):
    url = server.serve("a.tar", b"12345", headers={"Content-Range": "bytes 0-4/5"}, statuses=[206])

    with refuses("it sent another part of the file than asked for"):
        get(url, 3)
