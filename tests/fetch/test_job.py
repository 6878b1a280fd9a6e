import hashlib
import json
import logging
import re

import pytest

from parsenet.errors import FetchError
from parsenet.fetch.archive import Archive, Digest
from parsenet.fetch.download import Patience
from parsenet.fetch.job import Job, Options, Source
from tests.fakes.archives import pack_tar, read_tree

QUICK = Patience(retries=1, pause=0.0, timeout=5.0)
FILES = {"top/a.txt": b"one", "top/b.txt": b"two"}


def refuses(message):
    return pytest.raises(FetchError, match=f"^{re.escape(message)}$")


def sha256(data):
    return Digest("sha256", hashlib.sha256(data).hexdigest())


def check(out):
    return None if (out / "top" / "b.txt").is_file() else "b is missing"


def pick(name):
    return name


@pytest.fixture
def packed(tmp_path):
    """The archive on the user's disk."""
    return pack_tar(tmp_path / "mine.tar", FILES)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def published(server, packed, **more):
    """The archive on the server, with its hash."""
    data = packed.read_bytes()
    return Archive("a.tar", (server.serve("a.tar", data),), sha256(data), **more)


def job(out, **options):
    return Job("tool", Options(out, patience=QUICK, **options))


def test_archive_is_fetched_and_unpacked(server, packed, out):
    job(out).ensure("Data", [Source(published(server, packed), pick)], check)

    assert read_tree(out) == FILES


def test_second_run_asks_nobody_and_writes_nothing(server, packed, out):
    archive = published(server, packed)
    job(out).ensure("Data", [Source(archive, pick)], check)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}

    job(out).ensure("Data", [Source(archive, pick)], check)

    assert len(server.requests) == 1
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == times


def test_lost_file_is_unpacked_again_without_a_download(server, packed, out):
    archive = published(server, packed)
    job(out).ensure("Data", [Source(archive, pick)], check)
    (out / "top" / "a.txt").unlink()

    job(out).ensure("Data", [Source(archive, pick)], check)

    assert read_tree(out) == FILES
    assert len(server.requests) == 1


def test_folder_of_the_user_that_is_complete_is_left_alone(server, packed, out):
    (out / "top").mkdir(parents=True)
    (out / "top" / "b.txt").write_bytes(b"the user's")

    job(out).ensure("Data", [Source(published(server, packed), pick)], check)

    assert server.requests == []
    assert read_tree(out) == {"top/b.txt": b"the user's"}


def test_given_archive_is_taken_and_stays(server, packed, out):
    archive = published(server, packed)
    before = packed.read_bytes()

    job(out, given={"a.tar": packed}).ensure("Data", [Source(archive, pick)], check)

    assert server.requests == []
    assert read_tree(out) == FILES
    assert packed.read_bytes() == before


def test_given_archive_with_another_hash_is_refused_and_stays(server, packed, out):
    archive = published(server, packed)
    packed.write_bytes(b"another")

    with refuses(
        f"'a.tar' must have the {archive.digest}, got {sha256(b'another').value}. It is damaged or "
        "another file."
    ):
        job(out, given={"a.tar": packed}).obtain(archive)

    assert packed.read_bytes() == b"another"
    assert server.requests == []


def test_downloaded_archive_that_was_damaged_since_is_downloaded_again(server, packed, out):
    archive = published(server, packed)
    path = job(out).obtain(archive)
    path.write_bytes(b"damaged")

    job(out).obtain(archive)

    assert path.read_bytes() == packed.read_bytes()
    assert len(server.requests) == 2


def test_mirror_comes_after_the_official_address(server, packed, out):
    data = packed.read_bytes()
    archive = Archive("a.tar", (f"{server.url}/gone/a.tar",), sha256(data))
    server.serve("mirror/a.tar", data)

    job(out, mirrors=[f"{server.url}/mirror/"]).obtain(archive)

    assert [path for path, _ in server.requests] == ["/gone/a.tar", "/mirror/a.tar"]


def test_source_of_an_archive_is_kept(server, packed, out):
    archive = published(server, packed)

    job(out).obtain(archive)

    record = json.loads((out / ".parsenet" / "tool.json").read_text())
    assert record["archives"]["a.tar"] == {
        "sha256": archive.digest.value,
        "source": archive.urls[0],
        "verified": str(archive.digest),
    }


def test_mirror_may_be_the_address_of_the_file(server, packed, out):
    data = packed.read_bytes()
    archive = Archive("a.tar", (), sha256(data))

    job(out, mirrors=[server.serve("mirror/a.tar", data)]).obtain(archive)

    assert [path for path, _ in server.requests] == ["/mirror/a.tar"]


def test_official_address_can_be_left_out(server, packed, out):
    archive = published(server, packed)
    server.serve("mirror/a.tar", packed.read_bytes())

    job(out, mirrors=[f"{server.url}/mirror"], only_mirrors=True).obtain(archive)

    assert [path for path, _ in server.requests] == ["/mirror/a.tar"]


def test_users_hash_counts_in_place_of_the_published_one(server, packed, out):
    archive = published(server, packed)
    other = b"packed otherwise"
    server.serve("a.tar", other)

    path = job(out, hashes={"a.tar": sha256(other)}).obtain(archive)

    assert path.read_bytes() == other


def test_archive_without_published_hash_is_told_with_its_hash(server, packed, out, caplog):
    data = packed.read_bytes()
    archive = Archive("a.tar", (server.serve("a.tar", data),))

    with caplog.at_level(logging.WARNING):
        job(out).obtain(archive)

    assert caplog.messages == [
        f"a.tar is unverified: it fits no published hash. Its SHA-256 is {sha256(data).value}; "
        "later runs are held to it."
    ]


def test_archive_without_published_hash_is_held_to_the_last_time(server, packed, out):
    data = packed.read_bytes()
    archive = Archive("a.tar", (server.serve("a.tar", data, b"changed"),))
    job(out).obtain(archive).unlink()

    with pytest.raises(FetchError, match=rf"SHA-256 of the last time, {sha256(data).value}, got"):
        job(out).obtain(archive)


def test_archive_that_is_packed_anew_may_have_another_hash(server, packed, out, caplog):
    archive = published(server, packed, firm=False)
    server.serve("a.tar", b"packed anew")

    with caplog.at_level(logging.WARNING):
        path = job(out).obtain(archive)

    assert path.read_bytes() == b"packed anew"
    assert caplog.messages[0] == (
        "a.tar has another SHA256 than the known one; its server packs it anew."
    )
    assert caplog.messages[1].startswith("a.tar is unverified")


def test_archive_that_lacks_files_is_refused(server, packed, out):
    with refuses(
        f"Data in '{out}' must be complete, got one in which c is missing. Get the archive from "
        "another source, or move what lies there away and start again."
    ):
        job(out).ensure(
            "Data", [Source(published(server, packed), pick)], lambda out: "c is missing"
        )


@pytest.mark.parametrize("clean", [False, True])
def test_downloads_are_removed_if_the_user_says_so(server, packed, out, clean):
    archive = published(server, packed)
    tool = job(out, clean=clean)
    tool.obtain(archive)

    tool.finish([archive])

    assert (out / "downloads").is_dir() is not clean


def test_given_archive_is_not_cleaned(server, packed, out):
    archive = published(server, packed)
    tool = job(out, clean=True, given={"a.tar": packed})
    tool.obtain(archive)

    tool.finish([archive])

    assert packed.is_file()
