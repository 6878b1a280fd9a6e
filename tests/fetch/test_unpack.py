import bz2
import gzip
import io
import re
import struct
import tarfile
import zipfile

import pytest

from parsenet.errors import FetchError
from parsenet.fetch.archive import Limits
from parsenet.fetch.unpack import unpack
from tests.fakes.archives import pack_tar, pack_zip, read_tree

FILES = {"top/a.txt": b"one", "top/deep/b.txt": b"two" * 1000, "top/empty.txt": b""}
LIMITS = Limits()
REMEDY = "It was made to do harm or is damaged; get it from another source."


def keep(name):
    return name


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
    info.type = kind
    info.linkname = link
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_is_unpacked_however_it_is_packed(tmp_path, mode):
    path = pack_tar(tmp_path / "a.bin", FILES, mode)

    count = unpack(path, keep, tmp_path / "out", LIMITS)

    assert count == 3
    assert read_tree(tmp_path / "out") == FILES


def test_zip_is_unpacked(tmp_path):
    path = pack_zip(tmp_path / "a.bin", FILES | {"top/folder/": b""})

    count = unpack(path, keep, tmp_path / "out", LIMITS)

    assert count == 3
    assert read_tree(tmp_path / "out") == FILES


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_only_wanted_files_are_written_under_their_new_name(tmp_path, pack):
    path = pack(tmp_path / "a.bin", FILES)

    unpack(path, {"top/a.txt": "renamed/x.txt"}.get, tmp_path / "out", LIMITS)

    assert read_tree(tmp_path / "out") == {"renamed/x.txt": b"one"}


def test_what_systems_leave_behind_is_passed_over(tmp_path):
    junk = {"__MACOSX/top/a.txt": b"", "top/._a.txt": b"", "top/.DS_Store": b"", "Thumbs.db": b""}
    path = pack_zip(tmp_path / "a.zip", FILES | junk)

    unpack(path, keep, tmp_path / "out", LIMITS)

    assert read_tree(tmp_path / "out") == FILES


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil", "a\\..\\evil", "\\evil", "a\nb"],
)
@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_names_outside_the_folder_are_refused(tmp_path, pack, name):
    path = pack(tmp_path / "a.bin", {"fine.txt": b"1"} | {name: b"2"})

    with refuses(f"'a.bin' must hold names inside its own folder, got {name!r}. {REMEDY}"):
        unpack(path, keep, tmp_path / "out", LIMITS)

    assert {entry.name for entry in tmp_path.iterdir()} == {"a.bin", "out"}


def test_bad_name_is_refused_even_where_it_is_not_wanted(tmp_path):
    path = pack_tar(tmp_path / "a.tar", {"top/a.txt": b"1", "../evil": b"2"})

    with pytest.raises(FetchError):
        unpack(path, {"top/a.txt": "a.txt"}.get, tmp_path / "out", LIMITS)


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
    ],
)
def test_links_and_devices_are_refused(tmp_path, kind, link):
    path = make_tar(tmp_path / "a.tar", member("fine.txt"), member("odd", kind, link))

    with refuses(f"'{path}' must hold plain files, got a link or device as 'odd'. {REMEDY}"):
        unpack(path, keep, tmp_path / "out", LIMITS)


def test_file_is_not_written_through_a_link(tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    path = make_tar(
        tmp_path / "a.tar",
        member("door", tarfile.SYMTYPE, str(secret)),
        (member("door/evil"), b"evil"),
    )

    unpack(path, {"door/evil": "door/evil"}.get, tmp_path / "out", LIMITS)

    assert list(secret.iterdir()) == []
    assert read_tree(tmp_path / "out") == {"door/evil": b"evil"}


def test_link_in_a_zip_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    info = zipfile.ZipInfo("odd")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")

    with refuses(f"'{path}' must hold plain files, got a link or device as 'odd'. {REMEDY}"):
        unpack(path, keep, tmp_path / "out", LIMITS)


def test_link_that_is_not_wanted_is_passed_over(tmp_path):
    path = make_tar(tmp_path / "a.tar", member("odd", tarfile.SYMTYPE, "x"), (member("a"), b"1"))

    unpack(path, {"a": "a"}.get, tmp_path / "out", LIMITS)

    assert read_tree(tmp_path / "out") == {"a": b"1"}


def test_file_that_comes_twice_is_refused(tmp_path):
    path = make_tar(tmp_path / "a.tar", (member("a"), b"1"), (member("./a"), b"2"))

    with refuses(f"'{path}' must hold each file once, got './a' twice. {REMEDY}"):
        unpack(path, keep, tmp_path / "out", LIMITS)


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(member_bytes=2999), "2999 bytes in 'top/deep/b.txt'"),
        (Limits(total_bytes=3002), "3002 bytes"),
        (Limits(num_members=2), "2 files"),
    ],
)
def test_growth_beyond_a_limit_is_refused(tmp_path, pack, limits, limit):
    files = {"top/a.txt": b"one", "top/deep/b.txt": b"two" * 1000, "top/c.txt": b"three"}
    if pack is pack_tar:  # whose folders count as well
        limits = Limits(limits.num_members + 2, limits.member_bytes, limits.total_bytes)
        limit = limit.replace("2 files", "4 files")
    path = pack(tmp_path / "a.bin", files)

    with refuses(f"'{path}' must unpack to at most {limit}, got more. {REMEDY}"):
        unpack(path, keep, tmp_path / "out", limits)


def test_bomb_is_refused_before_it_grows(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    info = tarfile.TarInfo("zeros")
    info.size = 10**12
    with gzip.open(path, "wb") as file:
        file.write(info.tobuf() + bytes(10**6))

    with refuses(f"'{path}' must unpack to at most 8000000000 bytes, got more. {REMEDY}"):
        unpack(path, {}.get, tmp_path / "out", LIMITS)


def test_zip_that_lies_about_a_size_is_refused(tmp_path):
    path = pack_zip(tmp_path / "a.zip", {"zeros": bytes(100_000)})
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02") + 24  # uncompressed size in the directory
    data[place : place + 4] = struct.pack("<I", 10)
    path.write_bytes(bytes(data))

    with pytest.raises(FetchError, match=r"must be a whole archive, got 'Bad CRC-32"):
        unpack(path, keep, tmp_path / "out", LIMITS)

    assert (tmp_path / "out" / "zeros").stat().st_size <= 10


def test_encrypted_zip_is_refused(tmp_path):
    path = pack_zip(tmp_path / "a.zip", {"a.txt": b"1"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))

    with refuses(
        f"'{path}' must not be encrypted, got a password on 'a.txt'. Unpack it yourself and pack "
        "it again without."
    ):
        unpack(path, keep, tmp_path / "out", LIMITS)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated_tar_is_refused(tmp_path, mode, share):
    noise = bytes(range(256)) * 200
    path = pack_tar(tmp_path / "a.tar", {"a": noise, "b": noise, "c": noise}, mode)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(FetchError, match=rf"^'{re.escape(str(path))}' must be a (whole|tar or)"):
        unpack(path, keep, tmp_path / "out", LIMITS)


def test_truncated_zip_is_refused(tmp_path):
    path = pack_zip(tmp_path / "a.zip", FILES)
    path.write_bytes(path.read_bytes()[:-30])

    with refuses(f"'{path}' must be a whole archive, got 'File is not a zip file'. Get it again."):
        unpack(path, keep, tmp_path / "out", LIMITS)


def test_flipped_bit_in_a_gz_is_found(tmp_path):
    path = pack_tar(tmp_path / "a.tgz", {"a": bz2.compress(bytes(range(256)) * 9)}, "w:gz")
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # its checksum
    path.write_bytes(bytes(data))

    with pytest.raises(FetchError, match=r"must be a whole archive, got 'CRC check failed"):
        unpack(path, keep, tmp_path / "out", LIMITS)


def test_login_page_is_no_archive(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"<!DOCTYPE html><html>")

    with refuses(
        f"'{path}' must be a tar or zip archive, got a file that begins with b'<!DOCTYPE html><'. "
        "Get it again; a page that asks for a login is often stored by mistake."
    ):
        unpack(path, keep, tmp_path / "out", LIMITS)


def test_other_archive_is_told(tmp_path):
    path = pack_tar(tmp_path / "a.tar", FILES)

    with refuses(
        f"'{path}' must hold the files of the data set, got none of them. It is another archive; "
        "get the one that docs/download.md names."
    ):
        unpack(path, {}.get, tmp_path / "out", LIMITS)
