"""Downloads from a server that misbehaves, and what becomes of the archives."""

import hashlib
import re

import numpy as np
import pytest
import requests
from filelock import FileLock

from parsenet.errors import ConfigError, DataNotFoundError, FetchError
from parsenet.fetch import Archive, FetchOptions, _require_file, ensure, locked
from tests.fakes.archives import pack_tar, read_tree
from tests.fakes.server import fake_server

FILES = {"top/a.txt": b"one", "top/b.bin": np.random.default_rng(0).bytes(300_000)}
ALL = ("(.*)",)
HASH = "0123456789abcdef" * 4


def refuses(message, kind=FetchError):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def check(folder):
    for name in FILES:
        if not (folder / name).is_file():
            raise DataNotFoundError(f"no '{name}'")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fake_server() as fake:
        yield fake


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    return pack_tar(tmp_path_factory.mktemp("packed") / "a.tar", FILES).read_bytes()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def fetch(out):
    """Fetch one archive; return what lies in the folder then."""

    def call(*urls, known_hash=None, **options):
        with locked(out):
            ensure(FetchOptions(out, **options), [Archive("a.tar", urls, known_hash, ALL)], check)
        return read_tree(out)

    return call


ASKED = {
    "whole": ({}, 1),
    "broken off twice": ({"cuts": [100_000, 100_000]}, 3),
    "broken off often": ({"cuts": [60_000] * 5}, 6),
    "without ranges": ({"cuts": [100_000], "knows_ranges": False}, 2),
    "in trouble": ({"statuses": [503, 500]}, 3),
    "of unknown length": ({"tells_length": False}, 1),
    "with a length too large": ({"lie": 1000}, 2),
    "with a length of 5,000 digits": ({"headers": {"Content-Length": "9" * 5000}}, 1),
}


@pytest.mark.parametrize("case", ASKED)
def test_file_comes_whole_from_a_bad_server(server, fetch, body, out, case):
    wrong, asked = ASKED[case]

    assert fetch(server.serve("a.tar", body, **wrong), known_hash=sha256(body)) == FILES
    assert [path.name for path in (out / "downloads").iterdir()] == ["a.tar"]
    assert len(server.requests) == asked


def test_without_a_hash_no_pieces_are_joined(server, fetch, body):
    url = server.serve("a.tar", body[::-1], body, cuts=[100_000])

    assert fetch(url) == FILES
    assert server.requests == [("/a.tar", "")] * 2


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"statuses": [401] * 9}, "HTTP 401 Unauthorized"),
        ({"headers": {"Content-Type": "Text/HTML; charset=utf-8"}},
         "it answered with a web page, not with the file"),
        ({"redirect": "ftp://host/a"}, "No connection adapters were found for 'ftp://host/a'"),
        ({"redirect": "file:///etc/passwd"}, "No connection adapters were found for "
         "'file:///etc/passwd'"),
        ({"redirect": "/a.tar"}, "Exceeded 30 redirects"),
        ({}, f"it must have the hash sha256:{HASH}, got another. It is damaged or was changed; "
         "`--sha256 a.tar=HEX` accepts another"),
    ],
)  # fmt: skip
def test_addresses_and_reasons_are_named(server, fetch, body, wrong, reason):
    url = server.serve("a.tar", body, **wrong)

    with refuses(
        f"'a.tar' must be at one of its addresses, got {server.url}/gone.tar: HTTP 404 Not Found; "
        f"{url}: {reason}. Run the same command again later (what came is kept), name a folder "
        "that has it with `--mirror URL`, or get the file yourself and pass it with `--from FILE`."
    ):
        fetch(f"{server.url}/gone.tar", url, known_hash=f"sha256:{HASH}")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "a.tar", "//h/a", "http://[::1/a", "http:"])
def test_other_addresses_are_refused(fetch, url, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    with pytest.raises(FetchError, match=re.escape(f"one of its addresses, got {url}: ")):
        fetch(url)


def test_redirection_from_https_to_http_is_refused():
    first, last = requests.Response(), requests.Response()
    first.url, last.url, last.history = "https://host/a", "http://host/a", [first]

    with refuses("it redirects to 'http://host/a', which is not encrypted"):
        _require_file(last)


def test_wrong_bytes_of_a_mirror_lead_to_the_official_address(server, fetch, body):
    server.serve("mirror/a.tar", body[::-1])
    url = server.serve("a.tar", body)

    assert fetch(url, known_hash=sha256(body), mirror=(f"{server.url}/mirror/",)) == FILES
    assert [path for path, _ in server.requests] == ["/mirror/a.tar", "/a.tar"]


def test_next_address_and_next_run_go_on_from_the_bytes_that_came(server, fetch, body):
    first = server.serve("one/a.tar", body, cuts=[100_000], statuses=[200, *[403] * 9])
    second = server.serve("two/a.tar", body, cuts=[100_000], statuses=[200, *[403] * 9])
    with pytest.raises(FetchError):
        fetch(first, second, known_hash=sha256(body))

    assert fetch(server.serve("three/a.tar", body), known_hash=sha256(body)) == FILES
    starts = [int(place[6:-1] or 0) if place else 0 for _, place in server.requests]
    assert starts == sorted(starts)
    assert starts[-1] > 150_000


@pytest.mark.parametrize("size", [1000, None])
def test_bytes_of_another_version_are_fetched_again_in_one(server, fetch, body, out, size):
    part = body[:size][::-1]
    (out / "downloads").mkdir(parents=True)
    (out / "downloads" / "a.tar.part").write_bytes(part)

    assert fetch(server.serve("a.tar", body), known_hash=sha256(body)) == FILES
    assert [place for _, place in server.requests] == [f"bytes={len(part)}-", ""]


def test_second_run_asks_nobody_and_a_lost_file_is_unpacked_again(server, fetch, body, out):
    url = server.serve("a.tar", body)
    fetch(url)
    times = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != "lock"}

    fetch(url)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    (out / "top" / "a.txt").unlink()

    assert fetch(url) == FILES
    assert len(server.requests) == 1


def test_file_of_the_user_is_not_replaced(server, fetch, body, out):
    (out / "top").mkdir(parents=True)
    (out / "top" / "a.txt").write_bytes(b"the user's")
    url = server.serve("a.tar", body)

    with refuses(
        f"'{out / 'top' / 'a.txt'}' must be the file of the archive, got another. Move it away, or "
        "choose another folder with `--out`."
    ):
        fetch(url)

    (out / "top" / "a.txt").unlink()
    assert fetch(url) == FILES
    (out / "top" / "a.txt").write_bytes(b"the user's")
    assert fetch(url)["top/a.txt"] == b"the user's"  # a complete folder is left alone


def test_given_archive_is_checked_and_stays(fetch, body, tmp_path, out):
    path = tmp_path / "a.tar"
    path.write_bytes(body)
    with refuses(
        f"'{path}' must have the hash sha256:{HASH}, got another. It is damaged or was changed; "
        "`--sha256 a.tar=HEX` accepts another"
    ):
        fetch(known_hash=f"sha256:{HASH}", from_=(path,))

    assert fetch(known_hash=sha256(body), from_=(path,)) == FILES
    assert path.read_bytes() == body


def test_unverified_archive_is_told_and_later_ones_are_held_to_it(server, fetch, body, out, caplog):
    url = server.serve("a.tar", body, body + bytes(512))
    fetch(url)
    (out / "top" / "a.txt").unlink()
    (out / "downloads" / "a.tar").unlink()

    with pytest.raises(FetchError, match=f"must have the hash {sha256(body)}, got another"):
        fetch(url)

    assert caplog.messages[0] == (
        f"a.tar is unverified: nobody published its hash. It is {sha256(body)}; later runs are "
        "held to it."
    )
    assert fetch(url, sha256=("a.tar=" + sha256(body + bytes(512))[7:],)) == FILES


@pytest.mark.parametrize("bad", ["damaged", "lacks", "escapes"])
def test_refused_archive_leaves_nothing_and_is_not_trusted(server, fetch, body, out, tmp_path, bad):
    files = {"lacks": {"top/a.txt": b"one"}, "escapes": FILES | {"../evil": b""}}.get(
        bad, {"a": b""}
    )
    packed = pack_tar(tmp_path / "b.tar", files).read_bytes()
    url = server.serve("a.tar", b"PK\3\4 and then" if bad == "damaged" else packed, body)

    with pytest.raises((FetchError, DataNotFoundError)):
        fetch(url)
    assert {path.name for path in out.rglob("*") if path.is_file()} <= {"lock"}

    assert fetch(url) == FILES
    assert (out / ".parsenet" / "a.tar.sha256").read_text() == sha256(body)


def test_leftovers_of_a_killed_run_go(server, fetch, body, out):
    for name in (".parsenet/.0123.part", "downloads/tmpabcd", ".parsenet/a.tar.unpacked/top/c.txt"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"left")

    assert fetch(server.serve("a.tar", body)) == FILES
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names - {".parsenet/lock"} == {*FILES, ".parsenet/a.tar.sha256", "downloads/a.tar"}


def test_folder_in_use_is_refused(fetch, out):
    (out / ".parsenet").mkdir(parents=True)
    with (
        FileLock(out / ".parsenet" / "lock"),
        refuses(f"'{out}' must be free, got another tool at work in it. Wait for it to end."),
    ):
        fetch()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sha256": (f"c.tar={HASH}",)}, "`--sha256` must name a.tar or b.zip, got 'c.tar'. Correct"
         " it."),
        ({"sha256": (HASH,)}, "`--sha256` must be a file's name, `=` and 64 digits of 0-9 and a-f, "
         f"got '{HASH}'. Copy it again."),
        ({"from_": ("c.tar",)}, "`--from` must name a.tar or b.zip, got 'c.tar'. Correct it."),
        ({"from_": ("gone.tar",)}, "`--from` must name files, got 'gone.tar'. Check the path."),
    ],
)  # fmt: skip
def test_wrong_option_is_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.tar").touch()
    options = {
        name: tuple(map(type(tmp_path), x)) if name == "from_" else x for name, x in options.items()
    }
    archives = [Archive("a.tar", (), f"sha256:{HASH}", ALL), Archive("b.zip", (), None, ALL)]

    with refuses(message, ConfigError):
        ensure(FetchOptions(tmp_path, **options), archives, check)
