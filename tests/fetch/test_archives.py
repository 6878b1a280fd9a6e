"""Archives: what is unpacked, and those made to do harm."""

import gzip
import io
import re
import resource
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from parsenet import archives
from parsenet.archives import unpack
from parsenet.errors import FetchError
from tests.fakes.archives import pack_tar, pack_zip, read_tree

FILES = {"top/a.txt": b"one", "top/deep/b.txt": b"two" * 1000, "top/empty.txt": b""}
ALL = {r"(.*)": r"\1"}
HARM = "It was made to do harm or is damaged; get it from another source."


def refuses(message):
    return pytest.raises(FetchError, match=f"^{re.escape(message)}$")


def make_tar(path, *infos):
    """Write a tar with members of any kind; a pair gives a member its bytes."""
    with tarfile.open(path, "w") as tar:
        for info in infos:
            info, data = info if isinstance(info, tuple) else (info, b"")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def patch(path, place, data):
    """Change bytes of a file; a place may be behind the last `PK\\1\\2`, a zip's directory."""
    content = bytearray(path.read_bytes())
    start = place if place < 0 else content.rindex(b"PK\x01\x02") + place
    content[start : start + len(data) or None] = data
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_archive_is_unpacked_however_it_is_packed(tmp_path, mode):
    junk = {"__MACOSX/top/a.txt": b"", "top/._a.txt": b"", "top/.DS_Store": b"", "Thumbs.db": b""}
    path = tmp_path / "a.bin"
    pack_zip(path, FILES | junk) if mode == "zip" else pack_tar(path, FILES | junk, mode)

    unpack(path, ALL, tmp_path / "out")

    assert read_tree(tmp_path / "out") == FILES


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_only_wanted_files_are_written_under_their_new_name(tmp_path, pack):
    path = pack(tmp_path / "a.bin", FILES)

    unpack(path, {r"(?:.*/)?(a)\.txt": r"renamed/\1.x"}, tmp_path / "out")

    assert read_tree(tmp_path / "out") == {"renamed/a.x": b"one"}


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil", "a\\..\\evil", "a\nb", "\x1b[2J"],
)
@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_names_outside_the_folder_are_refused_even_where_not_wanted(tmp_path, pack, name):
    path = pack(tmp_path / "a.bin", {"fine.txt": b"1"} | {name: b"2"})

    with refuses(f"'a.bin' must hold names inside its own folder, got {name!r}. {HARM}"):
        unpack(path, {"(fine.txt)": r"\1"}, tmp_path / "out")

    assert {entry.name for entry in tmp_path.iterdir()} == {"a.bin", "out"}


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "fine.txt"),
        (tarfile.LNKTYPE, "../secret"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.GNUTYPE_SPARSE, ""),
        ("zip", "/etc/passwd"),
    ],
)
def test_links_and_devices_are_refused_or_passed_over(tmp_path, kind, link):
    path = tmp_path / "a.bin"
    if kind == "zip":
        info = zipfile.ZipInfo("odd")
        info.external_attr = 0o120777 << 16
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("fine", "1")
            archive.writestr(info, link)
    else:
        make_tar(path, (member("fine"), b"1"), member("odd", kind, link))

    with refuses(f"'{path}' must hold plain files, got a link or device as 'odd'. {HARM}"):
        unpack(path, ALL, tmp_path / "out")
    unpack(path, {"fine": "fine"}, tmp_path / "again")

    assert read_tree(tmp_path / "again") == {"fine": b"1"}


def test_file_is_not_written_through_a_link(tmp_path):
    (tmp_path / "secret").mkdir()
    door = member("door", tarfile.SYMTYPE, str(tmp_path / "secret"))
    path = make_tar(tmp_path / "a.tar", door, (member("door/evil"), b"evil"))

    unpack(path, {"door/evil": "door/evil"}, tmp_path / "out")

    assert list((tmp_path / "secret").iterdir()) == []


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
@pytest.mark.parametrize(
    ("name", "limit", "told"),
    [
        ("MAX_MEMBER_BYTES", 2999, "2999 bytes in 'top/deep/b.txt'"),
        ("MAX_BYTES", 3002, "3002 bytes"),
        ("MAX_MEMBERS", 2, "2 files"),
        ("MIN_LIMIT", 3002, "3002 bytes"),
    ],
)
def test_growth_beyond_a_limit_is_refused(tmp_path, monkeypatch, pack, name, limit, told):
    monkeypatch.setattr(archives, name, limit)
    monkeypatch.setattr(archives, "MAX_RATIO", 0)
    path = pack(tmp_path / "a.bin", FILES)

    with refuses(f"'{path}' must unpack to at most {told}, got more. {HARM}"):
        unpack(path, {".*empty.txt": "e"}, tmp_path / "out")


def bomb(kind, claim=1 << 40):
    """A packed tar of a few kB: a member of that size, a long name, or a header of such bytes."""
    if kind == "pax":  # many headers in a row
        header = member("x", tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT)
        return gzip.compress(header * 3000)
    info = member("zeros", tarfile.GNUTYPE_LONGNAME if kind == "name" else tarfile.REGTYPE)
    info.size = claim
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(20_000_000))


CASES = {
    "a member that grows": (bomb("file"), "must unpack to at most 100000000 bytes in 'zeros'"),
    "a long name of a tebibyte": (bomb("name"), "must be a whole archive, got 'a header without"),
    "a long name of 10 MB": (bomb("name", 10**7), "must be a whole archive, got 'a header without"),
    "headers without a file": (bomb("pax"), "must be a whole archive, got '"),
    "a login page": (b"<!DOCTYPE html><html>", "must be a tar or zip archive, got a file that be"),
    "nothing": (b"", "must be a tar or zip archive, got a file that begins with b''. Get it"),
    "the start of a zip": (b"PK\x03\x04", "must be a whole archive, got 'File is not a zip file'"),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_file_is_refused_in_little_memory(tmp_path, case):
    content, told = CASES[case]
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(FetchError, match=re.escape(f"'{path}' {told}")):
        unpack(path, ALL, tmp_path / "out")

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


@pytest.mark.parametrize(
    ("place", "data", "told"),
    [
        (24, struct.pack("<I", 10), "must be a whole archive, got 'Bad CRC-32"),  # claimed size
        (8, b"\x01", "must not be encrypted, got a password on 'a.txt'. Unpack it yourself and"),
        (10, b"\x63", "must be a whole archive, got 'That compression method is not supported"),
        (-22, b"", "must be a whole archive, got 'File is not a zip file'. Get it again."),
    ],
)
def test_zip_that_lies_is_refused(tmp_path, place, data, told):
    path = patch(pack_zip(tmp_path / "a.zip", {"a.txt": bytes(100_000)}), place, data)
    if not data:
        path.write_bytes(path.read_bytes()[:place])

    with pytest.raises(FetchError, match=re.escape(f"'{path}' {told}")):
        unpack(path, ALL, tmp_path / "out")

    assert sum(map(len, read_tree(tmp_path / "out").values())) <= 10


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated_tar_is_refused(tmp_path, mode, share):
    noise = bytes(range(256)) * 200
    path = pack_tar(tmp_path / "a.tar", {"a": noise, "b": noise, "c": noise}, mode)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(FetchError, match=rf"^'{re.escape(str(path))}' must be a (whole|tar or)"):
        unpack(path, ALL, tmp_path / "out")


def test_flipped_bit_in_a_checksum_is_found(tmp_path):
    path = pack_tar(tmp_path / "a.tgz", {"a": bytes(range(256)) * 9}, "w:gz")
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(bytes(data))

    with pytest.raises(FetchError, match=r"must be a whole archive, got 'CRC check failed"):
        unpack(path, ALL, tmp_path / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_damaged_archive_writes_nothing_outside_and_raises_nothing_else(tmp_path, mode):
    path = tmp_path / "a.bin"
    pack_zip(path, FILES) if mode == "zip" else pack_tar(path, FILES, mode)
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    told = []

    for number in range(60):
        data = np.frombuffer(whole, np.uint8).copy()
        data[generator.integers(0, len(data), 3)] = generator.integers(0, 256, 3)
        path.write_bytes(data.tobytes())
        try:
            unpack(path, ALL, tmp_path / "out" / str(number))
        except FetchError as error:
            told.append(str(error))

    assert told
    assert all(sentence.isprintable() for sentence in told)
    assert {entry.name for entry in tmp_path.iterdir()} <= {"a.bin", "out"}


def test_file_that_comes_twice_is_refused(tmp_path):
    path = make_tar(tmp_path / "a.tar", (member("a"), b"1"), (member("./a"), b"2"))

    with refuses(f"'{path}' must hold each file once, got 'a' twice. {HARM}"):
        unpack(path, ALL, tmp_path / "out")


def test_other_archive_is_told(tmp_path):
    path = pack_tar(tmp_path / "a.tar", FILES)

    with refuses(
        f"'{path}' must hold the files of the data set, got none of them. It is another archive; "
        "get the one that docs/download.md names."
    ):
        unpack(path, {}, tmp_path / "out")
