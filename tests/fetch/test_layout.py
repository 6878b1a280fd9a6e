import logging

import pytest

from parsenet.fetch.layout import (
    find_empty,
    find_missing,
    note_counts,
    read_ids,
    remove_leftovers,
)


@pytest.mark.parametrize(
    "text",
    [
        "a_1\nb_2\n",
        "a_1\r\n\r\nb_2",
        "/JPEGImages/a_1.jpg /SegmentationClassAug/a_1.png\n/JPEGImages/b_2.jpg x\n",
        "folder\\a_1.jpg\r\nfolder\\b_2.jpg\r\n",
    ],
)
def test_every_kind_of_list_gives_names(tmp_path, text):
    (tmp_path / "train.txt").write_bytes(text.encode())

    assert read_ids(tmp_path / "train.txt") == ["a_1", "b_2"]


def test_missing_list_has_no_names(tmp_path):
    assert read_ids(tmp_path / "train.txt") == []


def test_missing_files_are_counted_and_the_first_is_named(tmp_path):
    (tmp_path / "a.png").touch()

    problem = find_missing(tmp_path, ["a.png", "b.png", "c.png"])

    assert problem == f"2 of 3 files are missing in '{tmp_path}', the first is 'b.png'"


def test_missing_folder_lacks_all(tmp_path):
    problem = find_missing(tmp_path / "no", ["a.png"])

    assert problem == f"1 of 1 files are missing in '{tmp_path / 'no'}', the first is 'a.png'"


def test_complete_folder_lacks_nothing(tmp_path):
    (tmp_path / "a.png").touch()

    assert find_missing(tmp_path, ["a.png"]) is None


def test_empty_list_is_named():
    assert find_empty({"train": ["a"], "val": []}) == "the list of `val` is missing or empty"


def test_count_that_is_not_the_published_one_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        note_counts({"train": 1464, "val": 238}, {"train": 1464, "val": 1449})

    assert caplog.messages == ["`val` has 238, published are 1,449."]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".0123.part").touch()
    (tmp_path / "a.part").touch()

    remove_leftovers(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["a.part"]
