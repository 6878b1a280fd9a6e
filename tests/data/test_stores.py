"""What both stores promise, and what each promises alone."""

import logging
import multiprocessing
import os
import pickle
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from parsenet.data.cache import Stamp
from parsenet.data.disk_store import DiskStore
from parsenet.data.memory_store import MemoryStore
from parsenet.errors import ConfigError

MIB = 2**20


def make_image(number, size=(20, 30)):
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def stamp_of(number):
    return Stamp(f"images/{number}.jpg", 1000 + number, 5)


@pytest.fixture(params=["memory", "disk"])
def make_store(request, tmp_path):
    def make(limit=MIB):
        return MemoryStore(limit) if request.param == "memory" else DiskStore(tmp_path / "c", limit)

    return make


def kept(store, numbers):
    return [number for number in numbers if store.get(stamp_of(number)) is not None]


def test_image_comes_back_as_it_was(make_store):
    store = make_store()
    for number, size in enumerate([(20, 30), (1, 1), (7, 200)]):
        store.put(stamp_of(number), make_image(number, size))

    for number, size in enumerate([(20, 30), (1, 1), (7, 200)]):
        np.testing.assert_array_equal(store.get(stamp_of(number)), make_image(number, size))


def test_unknown_image_is_none(make_store):
    assert make_store().get(stamp_of(0)) is None


def test_other_state_of_a_file_is_none(make_store):
    store = make_store()
    store.put(Stamp("a", 10, 5), make_image(0))

    assert store.get(Stamp("a", 10, 6)) is None
    assert store.get(Stamp("a", 11, 5)) is None


def test_new_state_of_a_file_is_kept(make_store):
    store = make_store()
    store.put(Stamp("a", 10, 5), make_image(0))
    store.put(Stamp("a", 10, 6), make_image(1))

    np.testing.assert_array_equal(store.get(Stamp("a", 10, 6)), make_image(1))


def test_images_cannot_be_written_to(make_store):
    store = make_store()
    store.put(stamp_of(0), make_image(0))

    with pytest.raises(ValueError, match="read-only"):
        store.get(stamp_of(0))[:] = 0


def test_limit_is_kept_and_what_is_in_stays(make_store):
    store = make_store(40_000)
    for number in range(100):
        store.put(stamp_of(number), make_image(number))

    there = kept(store, range(100))

    assert there == list(range(len(there)))
    assert 10 < len(there) < 23  # 1,800 bytes each, and what the tables take
    assert store.num_bytes() <= 40_000


def test_the_same_image_is_kept_once(make_store):
    store = make_store()
    store.put(stamp_of(0), make_image(0))
    before = store.num_bytes()

    store.put(stamp_of(0), make_image(0))

    assert store.num_bytes() == before


def fill(store, numbers):
    for number in numbers:
        store.put(stamp_of(number), make_image(number))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_processes_share_a_store(make_store, start):
    store = make_store()
    context = multiprocessing.get_context(start)
    # The second starts in the middle of the first's images.
    processes = [
        context.Process(target=fill, args=(store, range(begin, begin + 20))) for begin in (0, 10)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)

    assert [process.exitcode for process in processes] == [0, 0]
    for number in range(30):
        np.testing.assert_array_equal(store.get(stamp_of(number)), make_image(number))


def fill_for_ever(store):
    number = 0
    while True:
        store.put(stamp_of(number), make_image(number, (100, 100)))
        number += 1


def test_killed_process_leaves_only_whole_images(make_store):
    store = make_store(8 * MIB)
    process = multiprocessing.get_context("fork").Process(target=fill_for_ever, args=(store,))
    process.start()
    while len(kept(store, range(3))) < 3:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)

    for number in kept(store, range(1000)):
        np.testing.assert_array_equal(store.get(stamp_of(number)), make_image(number, (100, 100)))
    store.put(Stamp("after", 1, 1), make_image(0))  # the lock is free
    assert store.num_bytes() <= 8 * MIB


def test_copy_of_a_memory_store_is_the_same_store():
    store = MemoryStore(MIB)
    copy = pickle.loads(pickle.dumps(store))

    copy.put(stamp_of(0), make_image(0))

    np.testing.assert_array_equal(store.get(stamp_of(0)), make_image(0))


def test_memory_store_gives_its_memory_back():
    def num_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    store = MemoryStore(MIB)
    before = num_files()
    del store

    assert num_files() < before


def test_image_outlives_its_memory_store():
    store = MemoryStore(MIB)
    store.put(stamp_of(0), make_image(0))
    image = store.get(stamp_of(0))

    del store

    np.testing.assert_array_equal(image, make_image(0))


def test_disk_store_outlives_the_run(tmp_path):
    DiskStore(tmp_path, MIB).put(stamp_of(0), make_image(0))

    np.testing.assert_array_equal(DiskStore(tmp_path, MIB).get(stamp_of(0)), make_image(0))


def test_disk_store_counts_what_is_there(tmp_path):
    store = DiskStore(tmp_path, MIB)
    fill(store, range(5))
    (tmp_path / "bytes").unlink()

    again = DiskStore(tmp_path, MIB)

    sizes = [path.stat().st_size for path in tmp_path.glob("*/*.pixels")]
    assert len(sizes) == 5
    assert again.num_bytes() == sum(sizes)
    assert again.describe() == f"Cache of images: 0.00 of 0.00 GiB in '{tmp_path}'."


def test_lower_limit_removes_the_oldest(tmp_path):
    store = DiskStore(tmp_path, MIB)
    fill(store, range(5))
    for age, number in enumerate([3, 0, 4, 1, 2]):
        os.utime(store._file_of(stamp_of(number)), (age, age))

    smaller = DiskStore(tmp_path, 4000)

    assert kept(smaller, range(5)) == [1, 2]
    assert smaller.num_bytes() <= 4000


def test_damaged_file_is_ignored_and_replaced(tmp_path):
    store = DiskStore(tmp_path, MIB)
    fill(store, [0])
    path = store._file_of(stamp_of(0))
    whole = path.read_bytes()
    for damaged in (b"", whole[:10], whole[:-1], whole + b"1", b"x" + whole[1:]):
        path.write_bytes(damaged)
        assert store.get(stamp_of(0)) is None

    fill(store, [0])

    np.testing.assert_array_equal(store.get(stamp_of(0)), make_image(0))


def test_old_leftovers_are_removed(tmp_path):
    (tmp_path / "ab").mkdir()
    old, new = tmp_path / "ab" / ".1.part", tmp_path / "ab" / ".2.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))

    DiskStore(tmp_path, MIB)

    assert (old.exists(), new.exists()) == (False, True)


def test_full_disk_ends_the_filling_and_not_the_training(tmp_path, monkeypatch, caplog):
    store = DiskStore(tmp_path, MIB)

    def refuse(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("parsenet.data.disk_store.write_bytes_atomically", refuse)

    with caplog.at_level(logging.WARNING):
        fill(store, range(3))

    assert [record.message for record in caplog.records] == [
        f"The cache in '{tmp_path}' is no longer filled: [Errno 28] No space left on device."
    ]


def test_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "cache"
    message = (
        f"`cache_dir` must be a folder that can be written to, got '{folder}' ([Errno 20] Not a "
        f"directory: '{folder}'). Name another with `data.cache_dir`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        DiskStore(folder, MIB)
