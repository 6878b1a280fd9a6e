"""Downloads from a server that misbehaves, and what becomes of the archives."""

import hashlib
import json
import re

import numpy as np
import pytest
import requests
from filelock import FileLock

from parsenet.errors import ConfigError, DataNotFoundError, FetchError
from parsenet.fetch import Archive, FetchOptions, _require_file, fetching, require_all
from tests.fakes.archives import pack_tar, read_tree

FILES = {"top/a.txt": b"one", "top/b.bin": np.random.default_rng(0).bytes(300_000)}
ALL = {r"(.*)": r"\1"}
HASH = "0123456789abcdef" * 4


def refuses(message, kind=FetchError):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def check(folder):
    require_all(folder / "top", ["a.txt", "b.bin"])


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """No waiting; how long it would have been."""
    found = []
    monkeypatch.setattr("time.sleep", found.append)
    return found


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
        archive = Archive("a.tar", urls, known_hash, ALL)
        with fetching(FetchOptions(out, **options), [archive]) as fetcher:
            fetcher.ensure([archive], check)
        return read_tree(out)

    return call


def failure(reason):
    return (
        f"'a.tar' must be at one of its addresses, got {reason}. Run the same command again later "
        "(what came is kept), name another address with `--mirror URL`, or get the file yourself "
        "and pass it with `--from FILE`."
    )


ASKED = {
    "whole": ({}, [""]),
    "broken off twice": ({"cuts": [100_000, 100_000]}, 3),
    "broken off often": ({"cuts": [60_000] * 5}, 6),
    "without ranges": ({"cuts": [100_000], "knows_ranges": False}, 2),
    "in trouble": ({"statuses": [503, 500]}, 3),
    "of unknown length": ({"tells_length": False}, 1),
    "with a length too large": ({"lie": 1000}, 2),
    "with a length of 5,000 digits": ({"headers": {"Content-Length": "9" * 5000}}, None),
}


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.parametrize("is_hash_known", [True, False])
def test_file_comes_whole_from_a_bad_server(server, fetch, body, out, case, is_hash_known):
    wrong, asked = ASKED[case]
    if case == "with a length too large" and not is_hash_known:
        pytest.skip("nobody could tell whether it is whole")
    url = server.serve("a.tar", body, **wrong)

    tree = fetch(url, known_hash=sha256(body) if is_hash_known else None, retries=9)

    assert tree == FILES
    assert [path.name for path in (out / "downloads").iterdir()] == ["a.tar"]
    if isinstance(asked, int) and is_hash_known:
        assert len(server.requests) == asked
    for _, place in server.requests[1:]:
        assert is_hash_known or place == ""  # pieces of two versions would not be told


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"statuses": [401] * 9}, "HTTP 401 Unauthorized"),
        ({"statuses": [503] * 9}, "HTTP 503 Service Unavailable"),
        ({"content_type": "Text/HTML; charset=utf-8"}, "it answered with a web page, not with the "
         "file"),
        ({"redirect": "ftp://host/a"}, "No connection adapters were found for 'ftp://host/a'"),
        ({"redirect": "file:///etc/passwd"}, "No connection adapters were found for "
         "'file:///etc/passwd'"),
        ({"redirect": "/a.tar"}, "Exceeded 30 redirects"),
    ],
)  # fmt: skip
def test_address_and_reason_are_named(server, fetch, body, wrong, reason):
    url = server.serve("a.tar", body, **wrong)

    with refuses(failure(f"{server.url}/gone.tar: HTTP 404 Not Found; {url}: {reason}")):
        fetch(f"{server.url}/gone.tar", url, known_hash=sha256(body), retries=1)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "a.tar", "//h/a", "http://[::1/a", "http:"])
def test_other_addresses_are_refused(fetch, url):
    with pytest.raises(FetchError, match=re.escape(f"'a.tar' must be at one of its addresses, got "
                                                   f"{url}: ")):  # fmt: skip
        fetch(url, retries=0)


@pytest.mark.parametrize(
    ("asked", "given"),
    [("7", 7), ("99999999", 60), ("²", 0), ("9" * 5000, 0), ("-3", 0), ("soon", 0), ("", 0)],
)
def test_server_that_asks_for_a_pause_gets_a_sensible_one(
    server, fetch, body, pauses, asked, given
):
    wrong = {"statuses": [429], "headers": {"Retry-After": asked.encode().decode("latin-1")}}
    url = server.serve("a.tar", body, **wrong)

    assert fetch(url, known_hash=sha256(body)) == FILES
    assert pauses[0] == given


def test_redirection_from_https_to_http_is_refused():
    first, last = requests.Response(), requests.Response()
    first.url, last.url, last.history = "https://host/a", "http://host/a", [first]

    with refuses("it redirects to 'http://host/a', which is not encrypted"):
        _require_file(last)


def test_wrong_bytes_lead_to_the_next_address_and_a_mirror_is_the_last(server, fetch, body):
    wrong = server.serve("wrong/a.tar", body[::-1])
    server.serve("mirror/a.tar", body)

    fetch(wrong, known_hash=sha256(body), mirror=(f"{server.url}/mirror/",))

    assert [path for path, _ in server.requests] == ["/wrong/a.tar"] * 1 + ["/mirror/a.tar"]


def test_only_mirrors_are_asked_when_told_so(server, fetch, body):
    url = server.serve("a.tar", body)
    mirror = server.serve("mirror/a.tar", body)

    fetch(url, known_hash=sha256(body), mirror=(mirror,), only_mirrors=True)

    assert [path for path, _ in server.requests] == ["/mirror/a.tar"]


def test_next_address_and_next_run_go_on_from_the_bytes_that_came(server, fetch, body):
    first = server.serve("one/a.tar", body, cuts=[100_000], statuses=[200, 403])
    second = server.serve("two/a.tar", body, cuts=[100_000], statuses=[200, 403])
    with pytest.raises(FetchError):
        fetch(first, second, known_hash=sha256(body))

    assert fetch(server.serve("three/a.tar", body), known_hash=sha256(body)) == FILES
    starts = [int(place[6:-1] or 0) if place else 0 for _, place in server.requests]
    assert starts == sorted(starts)
    assert starts[-1] > 150_000


def test_pieces_of_two_versions_are_fetched_again_in_one(server, fetch, body, out):
    (out / "downloads").mkdir(parents=True)
    (out / "downloads" / "a.tar.part").write_bytes(body[:1000][::-1])

    tree = fetch(server.serve("a.tar", body), known_hash=sha256(body))

    assert tree == FILES
    assert [place for _, place in server.requests] == ["bytes=1000-", ""]


def test_second_run_asks_nobody_and_writes_nothing(server, fetch, body, out):
    url = server.serve("a.tar", body)
    fetch(url)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix != ".lock"}

    fetch(url)

    assert len(server.requests) == 1
    assert {p: p.stat().st_mtime_ns for p in times if p.name != "lock" and p.is_file()} == {
        p: t for p, t in times.items() if p.name != "lock" and p.is_file()
    }


def test_lost_file_is_unpacked_again_and_a_complete_folder_left_alone(server, fetch, body, out):
    (out / "top").mkdir(parents=True)
    for name in ("a.txt", "b.bin"):
        (out / "top" / name).write_bytes(b"the user's")
    assert fetch(server.serve("a.tar", body)) == {
        "top/a.txt": b"the user's",
        "top/b.bin": b"the user's",
    }

    for name in ("a.txt", "b.bin"):
        (out / "top" / name).unlink()

    assert fetch(server.serve("a.tar", body)) == FILES
    assert len(server.requests) == 1


def test_file_of_the_user_is_not_replaced(server, fetch, body, out):
    (out / "top").mkdir(parents=True)
    (out / "top" / "a.txt").write_bytes(b"the user's")

    with refuses(
        f"'{out / 'top' / 'a.txt'}' must be the file of the archive, got another. Move it away, or "
        "choose another folder with `--out`."
    ):
        fetch(server.serve("a.tar", body))

    (out / "top" / "a.txt").unlink()
    assert fetch() == FILES


def test_given_archive_is_checked_and_stays(server, fetch, body, tmp_path, out):
    path = tmp_path / "mine (1).tar"
    path.write_bytes(body)
    with refuses(
        f"'{path}' must have the SHA-256 {HASH}, got another. It is damaged or was changed; "
        "`--sha256 a.tar=HEX` accepts another"
    ):
        fetch(known_hash=f"sha256:{HASH}", from_=(path,), clean=True)

    assert fetch(known_hash=sha256(body), from_=(path,), clean=True) == FILES
    assert path.read_bytes() == body
    assert not (out / "downloads").exists()


def test_unverified_archive_is_told_and_later_ones_are_held_to_it(server, fetch, body, out, caplog):
    url = server.serve("a.tar", body, body + bytes(512))
    fetch(url, clean=True)
    (out / "top" / "a.txt").unlink()

    with pytest.raises(FetchError, match=f"must have the SHA-256 {sha256(body)[7:]}, got another"):
        fetch(url, retries=0)

    assert (
        f"a.tar is unverified: nobody published its hash. It is {sha256(body)}; later runs are "
        "held to it."
    ) in caplog.messages
    assert fetch(url, sha256=(sha256(body + bytes(512))[7:],)) == FILES


@pytest.mark.parametrize("bad", [b"PK\3\4 and then nothing", b"lacks", b"escapes"])
def test_refused_archive_leaves_nothing_and_is_not_trusted(server, fetch, body, out, tmp_path, bad):
    if bad == b"lacks":
        bad = pack_tar(tmp_path / "b.tar", {"top/a.txt": b"one"}).read_bytes()
    if bad == b"escapes":
        bad = pack_tar(tmp_path / "b.tar", FILES | {"../evil": b""}).read_bytes()
    url = server.serve("a.tar", bad, body)

    with pytest.raises((FetchError, DataNotFoundError)):
        fetch(url)
    left = [path.name for path in out.rglob("*") if path.is_file()]
    assert set(left) <= {"lock"}

    assert fetch(url) == FILES
    assert json.loads((out / ".parsenet/record.json").read_text())["a.tar"] == sha256(body)


def test_leftovers_of_a_killed_run_go(server, fetch, body, out):
    for name in (".parsenet/.0123.part", "downloads/tmpabcd", ".parsenet/a.tar.unpacked/top/c.txt"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"left")

    assert fetch(server.serve("a.tar", body)) == FILES
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names - {".parsenet/lock"} == {*FILES, ".parsenet/record.json", "downloads/a.tar"}


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
        ({"sha256": ("12",)}, "`--sha256` must have 64 digits of 0-9 and a-f, got '12'. Copy it "
         "again."),
        ({"from_": ("c.tar",)}, "`--from` must name a.tar or b.zip, got 'c.tar'. Correct it."),
        ({"from_": ("gone.tar",)}, "`--from` must name files, got 'gone.tar'. Check the path."),
        ({"only_mirrors": True}, "`--only-mirrors` must come with `--mirror`, got none. Name an "
         "address."),
        ({"retries": -1}, "`--retries` must not be negative, got -1. 4 is usual."),
    ],
)  # fmt: skip
def test_wrong_option_is_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.tar").touch()
    if "from_" in options:
        options = {"from_": tuple(map(type(tmp_path), options["from_"]))}
    archives = [Archive("a.tar", (), f"sha256:{HASH}", ALL), Archive("b.zip", (), None, ALL)]

    with refuses(message, ConfigError), fetching(FetchOptions(tmp_path, **options), archives):
        pass
