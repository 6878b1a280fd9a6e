import re

import pytest

from parsenet.errors import FetchError
from parsenet.fetch.record import Record, count_files


def test_archive_of_the_last_time_is_accepted(tmp_path):
    Record(tmp_path / "r.json").note_archive("a.zip", "11", "here", "nothing")

    Record(tmp_path / "r.json").require_same("a.zip", "11")


def test_first_archive_is_accepted(tmp_path):
    Record(tmp_path / "r.json").require_same("a.zip", "11")


def test_changed_archive_is_refused(tmp_path):
    Record(tmp_path / "r.json").note_archive("a.zip", "11", "here", "nothing")

    message = (
        "'a.zip' must have the SHA-256 of the last time, 11, got 22. Its source has changed it, or "
        "it is damaged; pass `--sha256 a.zip=22` to accept it."
    )
    with pytest.raises(FetchError, match=f"^{re.escape(message)}$"):
        Record(tmp_path / "r.json").require_same("a.zip", "22")


def test_lost_file_is_noticed(tmp_path):
    (tmp_path / "deep" / "down").mkdir(parents=True)
    for name in ("a.txt", "down/b.txt"):
        (tmp_path / "deep" / name).touch()
    Record(tmp_path / "r.json").note_folder("deep", count_files(tmp_path / "deep"))

    before = Record(tmp_path / "r.json").find_loss(tmp_path)
    (tmp_path / "deep" / "down" / "b.txt").unlink()
    after = Record(tmp_path / "r.json").find_loss(tmp_path)

    assert (before, after) == (None, "'deep' holds 1 of its 2 files")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"archives": 3, "folders": {}}'])
def test_damaged_record_counts_as_none(tmp_path, text):
    (tmp_path / "r.json").write_text(text)

    assert Record(tmp_path / "r.json").find_loss(tmp_path) is None
