import hashlib
import re
import shutil
from collections import namedtuple

import numpy as np
import pytest

from parsenet.errors import FetchError
from parsenet.fetch.download import Patience, download

QUICK = Patience(retries=2, pause=0.0, timeout=5.0)
BODY = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)


def refuses(message):
    return pytest.raises(FetchError, match=f"^{re.escape(message)}$")


def require_body(path):
    """Accept the right file alone, as a published hash does."""
    if hashlib.sha256(path.read_bytes()).digest() != hashlib.sha256(BODY).digest():
        raise FetchError("wrong hash")


def accept_all(path):
    """Accept any file, as when no hash is known."""


def failure(reason):
    return (
        f"'a.tar' must be at one of its addresses, got {reason}. Run the same command again later "
        "(what came is kept), name another address with `--mirror URL`, or get the file yourself "
        "and pass it with `--from FILE`."
    )


def test_file_is_written_and_nothing_else(server, tmp_path):
    url = server.serve("a.tar", BODY)

    source = download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert source == url
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    url = server.serve("a.tar", BODY, cuts=[100_000, 50_000])

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert [asked for _, asked in server.requests] == ["", "bytes=100000-", "bytes=150000-"]


def test_many_breaks_with_progress_are_no_failure(server, tmp_path):
    url = server.serve("a.tar", BODY, cuts=[30_000] * 9)

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert len(server.requests) == 10


def test_later_call_resumes(server, tmp_path):
    url = server.serve("a.tar", BODY, cuts=[100_000], statuses=[200, 404])
    with pytest.raises(FetchError):
        download([url], tmp_path / "a.tar", require_body, True, QUICK)

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert server.requests[-1] == ("/a.tar", "bytes=100000-")


def test_server_without_ranges_starts_over(server, tmp_path):
    url = server.serve("a.tar", BODY, cuts=[100_000], knows_ranges=False)

    download([url], tmp_path / "a.tar", accept_all, False, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_server_that_starts_over_and_breaks_each_time_is_given_up(server, tmp_path):
    url = server.serve("a.tar", BODY, cuts=[100_000] * 9, knows_ranges=False)

    with refuses(failure(f"{url}: the connection broke after 100000 of 300000 bytes")):
        download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert len(server.requests) == 4


def test_changed_file_is_not_glued_to_the_old_one(server, tmp_path):
    url = server.serve("a.tar", OTHER, BODY, cuts=[100_000])

    download([url], tmp_path / "a.tar", accept_all, False, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert server.requests[1] == ("/a.tar", "bytes=100000-")


def test_changed_file_without_version_starts_over_where_no_hash_is_known(server, tmp_path):
    url = server.serve("a.tar", OTHER, BODY, cuts=[100_000], knows_versions=False)

    download([url], tmp_path / "a.tar", accept_all, False, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert server.requests[1] == ("/a.tar", "")


def test_glued_versions_are_found_by_the_hash_and_fetched_again(server, tmp_path):
    url = server.serve("a.tar", OTHER, BODY, cuts=[100_000], knows_versions=False)

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert [asked for _, asked in server.requests] == ["", "bytes=100000-", ""]


def test_file_that_changed_its_size_is_not_glued(server, tmp_path):
    url = server.serve("a.tar", OTHER + b"more", BODY, cuts=[100_000], knows_versions=False)

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_length_claimed_too_large_is_settled_by_the_next_request(server, tmp_path):
    url = server.serve("a.tar", BODY, lie=1000)

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_length_claimed_too_small_is_found_by_the_hash(server, tmp_path):
    url = server.serve("a.tar", BODY, lie=-1000)

    with refuses(failure(f"{url}: wrong hash")):
        download([url], tmp_path / "a.tar", require_body, True, QUICK)


def test_length_not_told_is_no_obstacle(server, tmp_path):
    url = server.serve("a.tar", BODY, tells_length=False)

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_wrong_bytes_lead_to_the_next_address(server, tmp_path):
    wrong = server.serve("wrong/a.tar", OTHER)
    right = server.serve("right/a.tar", BODY)

    source = download([wrong, right], tmp_path / "a.tar", require_body, True, QUICK)

    assert source == right
    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_next_address_goes_on_from_the_bytes_of_the_first(server, tmp_path):
    first = server.serve("one/a.tar", BODY, cuts=[100_000], statuses=[200, 403])
    second = server.serve("two/a.tar", BODY)

    download([first, second], tmp_path / "a.tar", require_body, True, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert server.requests[-1] == ("/two/a.tar", "bytes=100000-")


def test_next_address_starts_over_where_no_hash_is_known(server, tmp_path):
    first = server.serve("one/a.tar", OTHER, cuts=[100_000], statuses=[200, 403])
    second = server.serve("two/a.tar", BODY)

    download([first, second], tmp_path / "a.tar", accept_all, False, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert server.requests[-1] == ("/two/a.tar", "")


def test_missing_file_is_not_asked_for_again(server, tmp_path):
    url = f"{server.url}/a.tar"

    with refuses(failure(f"{url}: HTTP 404 Not Found")):
        download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert len(server.requests) == 1


def test_server_in_trouble_is_asked_again(server, tmp_path):
    url = server.serve("a.tar", BODY, statuses=[503, 500])

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert len(server.requests) == 3


def test_server_in_trouble_is_left_soon_where_there_is_another(server, tmp_path):
    first = server.serve("one/a.tar", BODY, statuses=[503] * 9)
    second = server.serve("two/a.tar", BODY)

    download([first, second], tmp_path / "a.tar", require_body, True, QUICK)

    assert [path for path, _ in server.requests] == ["/one/a.tar", "/one/a.tar", "/two/a.tar"]


def test_server_that_asks_for_a_pause_gets_it(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    url = server.serve("a.tar", BODY, statuses=[429], headers={"Retry-After": "7"})

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert pauses == [7.0]


def test_pauses_double(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    url = server.serve("a.tar", BODY, statuses=[503] * 9)

    with pytest.raises(FetchError):
        download([url], tmp_path / "a.tar", require_body, True, Patience(3, 1.5, 5.0))

    assert pauses == [1.5, 3.0, 6.0]


def test_web_page_is_not_taken_for_the_file(server, tmp_path):
    url = server.serve("a.tar", b"<html>Log in</html>", content_type="text/html; charset=utf-8")

    with refuses(failure(f"{url}: it answered with a web page, not with the file")):
        download([url], tmp_path / "a.tar", accept_all, False, QUICK)


def test_every_address_and_its_reason_is_named(server, tmp_path):
    gone = f"{server.url}/gone/a.tar"
    broken = server.serve("broken/a.tar", BODY, statuses=[401] * 9)

    with refuses(failure(f"{gone}: HTTP 404 Not Found; {broken}: HTTP 401 Unauthorized")):
        download([gone, broken], tmp_path / "a.tar", require_body, True, QUICK)


def test_server_that_is_not_there_is_named(tmp_path, server):
    url = "http://127.0.0.1:1/a.tar"

    with refuses(failure(f"{url}: [Errno 111] Connection refused")):
        download([url], tmp_path / "a.tar", require_body, True, QUICK)


def test_bytes_of_unknown_origin_are_dropped(server, tmp_path):
    url = server.serve("a.tar", BODY)
    (tmp_path / "a.tar.part").write_bytes(OTHER[:1000])

    download([url], tmp_path / "a.tar", accept_all, False, QUICK)

    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_whole_part_is_not_downloaded_again(server, tmp_path):
    url = server.serve("a.tar", BODY)
    download([url], tmp_path / "a.tar", accept_all, False, QUICK)
    (tmp_path / "a.tar").rename(tmp_path / "a.tar.part")
    about = f'{{"url": "{url}", "validator": "\\"v0\\"", "total": 300000}}'
    (tmp_path / "a.tar.part.json").write_text(about)

    download([url], tmp_path / "a.tar", require_body, True, QUICK)

    assert len(server.requests) == 1
    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_disk_without_room_is_told_before_the_download(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100_000))
    url = server.serve("a.tar", BODY)

    with refuses(
        f"'{tmp_path}' must have 0.0 GB free, got 0.0 GB. Make room, or choose a folder on another "
        "disk."
    ):
        download([url], tmp_path / "a.tar", require_body, True, QUICK)
