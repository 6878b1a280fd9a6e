"""Archives: what is unpacked, and those made to do harm."""

import gzip
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
ALL = ("(.*)",)
HARM = "It was made to do harm or is damaged; get it from another source."
WHOLE = "must be a whole tar or zip archive without a password, got '"
MODES = ("w", "w:gz", "w:bz2", "w:xz", "zip")


def refuses(path, told):
    return pytest.raises(FetchError, match="^" + re.escape(f"'{path}' {told}") + "$")


def pack(path, files, mode):
    return pack_zip(path, files) if mode == "zip" else pack_tar(path, files, mode)


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("mode", MODES)
def test_wanted_files_are_unpacked_however_they_are_packed(tmp_path, mode):
    junk = {"__MACOSX/top/a.txt": b"", "top/._a.txt": b"", "top/.DS_Store": b""}
    path = pack(tmp_path / "a.bin", FILES | junk, mode)

    unpack(path, ALL, tmp_path / "out")
    unpack(path, (r"top/(a\.txt)",), tmp_path / "again")

    assert read_tree(tmp_path / "out") == FILES
    assert read_tree(tmp_path / "again") == {"a.txt": b"one"}
    with refuses(path, "must hold the files of the data set, got none of them. It is another "
                 "archive; get the one that docs/download.md names."):  # fmt: skip
        unpack(path, (), tmp_path / "none")


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil", "a\\..\\evil", "a\nb", "\x1b[2J"],
)
@pytest.mark.parametrize("mode", ["w", "zip"])
def test_names_outside_the_folder_are_refused_even_where_not_wanted(tmp_path, mode, name):
    path = pack(tmp_path / "a.bin", {"fine.txt": b"1"} | {name: b"2"}, mode)

    with refuses(path, f"must hold names inside its own folder, got {name!r}. {HARM}"):
        unpack(path, ("(fine.txt)",), tmp_path / "out")

    assert {entry.name for entry in tmp_path.iterdir()} == {"a.bin", "out"}


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
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
            archive.writestr("fine", "")
            archive.writestr(info, link)
    else:
        with tarfile.open(path, "w") as tar:
            tar.addfile(member("fine"))
            tar.addfile(member("odd", kind, link))

    with refuses(path, f"must hold plain files, got a link or device as 'odd'. {HARM}"):
        unpack(path, ALL, tmp_path / "out")
    unpack(path, ("(fine)",), tmp_path / "again")

    assert read_tree(tmp_path / "again") == {"fine": b""}


def test_file_is_not_written_through_a_link_nor_twice(tmp_path):
    (tmp_path / "secret").mkdir()
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(member("door", tarfile.SYMTYPE, str(tmp_path / "secret")))
        tar.addfile(member("door/evil"))
        tar.addfile(member("./door/evil"))

    with refuses(path, f"must hold each file once, got 'door/evil' twice. {HARM}"):
        unpack(path, ("(door/evil)",), tmp_path / "out")

    assert list((tmp_path / "secret").iterdir()) == []


@pytest.mark.parametrize("mode", ["w", "zip"])
@pytest.mark.parametrize(
    ("name", "limit", "told"),
    [
        ("MAX_MEMBER_BYTES", 2999, "2999 bytes in 'top/deep/b.txt'"),
        ("MAX_BYTES", 3002, "3002 bytes"),
        ("MAX_MEMBERS", 2, "2 files"),
        ("MIN_LIMIT", 3002, "3002 bytes"),
    ],
)
def test_growth_beyond_a_limit_is_refused(tmp_path, monkeypatch, mode, name, limit, told):
    monkeypatch.setattr(archives, name, limit)
    monkeypatch.setattr(archives, "MAX_RATIO", 0)
    path = pack(tmp_path / "a.bin", FILES, mode)

    with refuses(path, f"must unpack to at most {told}, got more. {HARM}"):
        unpack(path, ("(.*empty.txt)",), tmp_path / "out")


def bomb(kind, claim=1 << 40):
    """A packed tar of a few kB: a member of that size, a long name, or a header of such bytes."""
    if kind == "pax":  # many headers in a row
        header = member("x", tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT)
        return gzip.compress(header * 3000)
    info = member("zeros", tarfile.GNUTYPE_LONGNAME if kind == "name" else tarfile.REGTYPE)
    info.size = claim
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(20_000_000))


def lying_zip(tmp_path, place, data):
    """A zip whose directory has other bytes at a place."""
    content = bytearray(pack_zip(tmp_path / "z", {"a.txt": bytes(100_000)}).read_bytes())
    start = content.rindex(b"PK\x01\x02") + place
    content[start : start + len(data)] = data
    return bytes(content)


HOSTILE = {
    "a member that grows": (bomb("file"), "must unpack to at most 100000000 bytes in 'zeros'"),
    "a long name of a tebibyte": (bomb("name"), f"{WHOLE}a header without"),
    "a long name of 10 MB": (bomb("name", 10**7), f"{WHOLE}a header without"),
    "headers without a file": (bomb("pax"), WHOLE),
    "a login page": (b"<!DOCTYPE html><html>", f"{WHOLE}truncated header'. Get it again; a page "
                     "that asks for a login is often stored by mistake."),
    "nothing": (b"", f"{WHOLE}empty file"),
    "the start of a zip": (b"PK\x03\x04", f"{WHOLE}File is not a zip file"),
    "another size": ((24, struct.pack("<I", 10)), f"{WHOLE}Bad CRC-32"),
    "a password": ((8, b"\x01"), f"{WHOLE}File <ZipInfo filename='a.txt'"),
    "another method": ((10, b"\x63"), f"{WHOLE}That compression method is not supported"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_is_refused_in_little_memory(tmp_path, case):
    content, told = HOSTILE[case]
    path = tmp_path / "a.bin"
    path.write_bytes(content if isinstance(content, bytes) else lying_zip(tmp_path, *content))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(FetchError, match=re.escape(f"'{path}' {told}")):
        unpack(path, ALL, tmp_path / "out")

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    assert sum(map(len, read_tree(tmp_path / "out").values())) <= 10


@pytest.mark.parametrize("mode", MODES)
def test_damaged_archive_writes_nothing_outside_and_raises_nothing_else(tmp_path, mode):
    path = pack(tmp_path / "a.bin", FILES, mode)
    intact, generator, told = path.read_bytes(), np.random.default_rng(0), []

    for number in range(60):
        data = np.frombuffer(intact, np.uint8).copy()
        data[generator.integers(0, len(data), 3)] = generator.integers(0, 256, 3)
        path.write_bytes(data[: len(data) - 7 * (number % 2)].tobytes())
        try:
            unpack(path, ALL, tmp_path / "out" / str(number))
        except FetchError as error:
            told.append(str(error))

    assert told
    assert all(sentence.isprintable() for sentence in told)
    assert {entry.name for entry in tmp_path.iterdir()} <= {"a.bin", "out"}


@pytest.mark.parametrize("place", [-6, 2000])
def test_flipped_bit_or_an_early_end_is_found(tmp_path, place):
    path = pack_tar(tmp_path / "a.tgz", {"a": np.random.default_rng(0).bytes(9000)}, "w:gz")
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data if place < 0 else data[:place])

    with pytest.raises(FetchError, match=f"{WHOLE}(CRC check failed|Compressed file ended|une)"):
        unpack(path, ALL, tmp_path / "out")
