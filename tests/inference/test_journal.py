import json
import re
import threading

import pytest

from parsenet.errors import ConfigError
from parsenet.inference.journal import JOURNAL_NAME, Journal, read_entry


def entry(name, **more):
    return {"name": name, "file": f"in/{name}.jpg"} | more


def test_entries_come_back_in_natural_order(tmp_path):
    journal = Journal(tmp_path, {})
    for name in ("b10", "b9", "a"):
        journal.add(entry(name))

    assert [x["name"] for x in Journal(tmp_path, {}).entries()] == ["a", "b9", "b10"]


def test_entries_can_be_read_while_it_is_written(tmp_path):
    journal = Journal(tmp_path, {"model": "m"})
    journal.add(entry("a", areas={"0": 4}))
    journal.add(entry("b", areas={"1": 4}))

    assert [x["areas"] for x in journal.entries()] == [{"0": 4}, {"1": 4}]


def test_later_entry_takes_the_place_of_an_earlier(tmp_path):
    journal = Journal(tmp_path, {})
    journal.add(entry("a", areas={"0": 1}))
    journal.add(entry("a", areas={"0": 2}, rle=[]))

    again = Journal(tmp_path, {})

    assert [x["areas"] for x in again.entries()] == [{"0": 2}]
    assert again.known["a"].keys == {"name", "file", "areas", "rle"}


def test_torn_last_line_is_dropped(tmp_path):
    journal = Journal(tmp_path, {})
    journal.add(entry("a"))
    with (tmp_path / JOURNAL_NAME).open("a") as file:
        file.write('{"name": "b", "fi')

    again = Journal(tmp_path, {})
    again.add(entry("c"))

    assert list(Journal(tmp_path, {}).known) == ["a", "c"]


def test_file_of_something_else_is_begun_anew(tmp_path):
    (tmp_path / JOURNAL_NAME).write_bytes(b"\xff\xfe\n[1]\n")

    assert Journal(tmp_path, {}).known == {}


def test_other_settings_are_refused(tmp_path):
    Journal(tmp_path, {"model": "a", "flip": False})
    message = (
        f"`out` must be empty or made with the same settings, got '{tmp_path}' made with "
        "flip False instead of True; model a instead of b. Choose another `--out`, or "
        "`--overwrite`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Journal(tmp_path, {"model": "b", "flip": True})


def test_other_settings_begin_anew_when_asked(tmp_path):
    Journal(tmp_path, {"model": "a"}).add(entry("a"))

    assert Journal(tmp_path, {"model": "b"}, overwrite=True).known == {}


def test_parts_of_processes_are_taken_over_and_removed(tmp_path):
    Journal(tmp_path, {}).add(entry("a"))
    for part in ("part0", "part1"):
        Journal(tmp_path, {}, part=part).add(entry(part))

    whole = Journal(tmp_path, {})

    assert sorted(whole.known) == ["a", "part0", "part1"]
    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL_NAME]


def test_part_knows_what_was_done_before(tmp_path):
    Journal(tmp_path, {}).add(entry("a"))

    assert list(Journal(tmp_path, {}, part="part0").known) == ["a"]


def test_threads_may_add_at_the_same_time(tmp_path):
    journal = Journal(tmp_path, {})
    threads = [
        threading.Thread(target=lambda k=k: [journal.add(entry(f"{k}_{i}")) for i in range(50)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = (tmp_path / JOURNAL_NAME).read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 201


def test_name_that_is_no_unicode_is_kept(tmp_path):
    Journal(tmp_path, {}).add(entry("\udcff"))

    assert list(Journal(tmp_path, {}).known) == ["\udcff"]


def test_single_entry_is_looked_up(tmp_path):
    Journal(tmp_path, {}).add(entry("a", areas={}))

    assert read_entry(tmp_path, "a") == entry("a", areas={})
    assert read_entry(tmp_path, "b") is None
