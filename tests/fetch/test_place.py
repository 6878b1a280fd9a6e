import re
from pathlib import Path

import pytest

from parsenet.errors import FetchError
from parsenet.fetch.place import Placement
from tests.fakes.archives import read_tree

TREE = {"b/2.txt": b"two", "a/1.txt": b"one", "c.txt": b"three"}


def write(folder):
    for name, data in TREE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture
def placement(tmp_path):
    return Placement(tmp_path / "out" / ".parsenet", "step", tmp_path / "out")


def test_files_come_to_their_place_and_no_trace_stays(placement, tmp_path):
    placement.fill(write)
    placement.move()

    assert read_tree(tmp_path / "out") == TREE
    assert list((tmp_path / "out" / ".parsenet").iterdir()) == []


def test_failed_unpacking_leaves_nothing(placement, tmp_path):
    def fail(folder):
        write(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        placement.fill(fail)

    assert not placement.is_waiting
    assert list((tmp_path / "out" / ".parsenet").iterdir()) == []


def test_half_an_unpacking_is_thrown_away(placement, tmp_path):
    half = tmp_path / "out" / ".parsenet" / "step.unpacked"
    half.mkdir(parents=True)
    (half / "stale.txt").write_bytes(b"")

    placement.fill(write)
    placement.move()

    assert read_tree(tmp_path / "out") == TREE


def test_whole_unpacking_is_not_done_again(placement):
    placement.fill(write)

    placement.fill(lambda folder: pytest.fail("unpacked twice"))

    assert placement.is_waiting


@pytest.mark.parametrize("survivors", [0, 1, 2])
def test_move_that_broke_off_is_completed(placement, tmp_path, monkeypatch, survivors):
    placement.fill(write)
    moved = []

    def replace(path, target):
        if len(moved) == survivors:
            raise KeyboardInterrupt
        moved.append(target)
        path.rename(target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            placement.move()
    placement.fill(lambda folder: pytest.fail("unpacked twice"))
    placement.move()

    assert read_tree(tmp_path / "out") == TREE


def test_files_that_are_there_already_stay(placement, tmp_path):
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "1.txt").write_bytes(b"one")
    (tmp_path / "out" / "a" / "mine.txt").write_bytes(b"mine")

    placement.fill(write)
    placement.move()

    assert read_tree(tmp_path / "out") == TREE | {"a/mine.txt": b"mine"}


@pytest.mark.parametrize("is_folder", [False, True])
def test_other_file_is_not_replaced(placement, tmp_path, is_folder):
    there = tmp_path / "out" / "a" / "1.txt"
    there.parent.mkdir(parents=True)
    there.mkdir() if is_folder else there.write_bytes(b"mine")
    placement.fill(write)

    message = (
        f"'{there}' must be the file of the archive, got another. Move it away, or choose another "
        "folder with `--out`."
    )
    with pytest.raises(FetchError, match=f"^{re.escape(message)}$"):
        placement.move()

    assert there.is_dir() if is_folder else there.read_bytes() == b"mine"
