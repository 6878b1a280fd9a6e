import os
import re
import signal

import pytest

from parsenet.errors import FetchError, LabelError
from parsenet.fetch.convert import run_all


def touch(path):
    path.with_name(f"{path.name}-{os.getpid()}").touch()


def refuse_seven(path):
    if path.name == "7":
        raise LabelError("seven")


def kill_worker(path):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("num_tasks", [0, 1, 63])
def test_few_tasks_stay_in_this_process(tmp_path, num_tasks):
    run_all(touch, [tmp_path / str(i) for i in range(num_tasks)], 2, "touching")

    made = {f"{i}-{os.getpid()}" for i in range(num_tasks)}
    assert {path.name for path in tmp_path.iterdir()} == made


def test_error_ends_the_work(tmp_path):
    with pytest.raises(LabelError, match=r"^seven$"):
        run_all(refuse_seven, [tmp_path / str(i) for i in range(9)], 1, "refusing")


@pytest.mark.slow
def test_many_tasks_are_spread_and_each_is_done_once(tmp_path):
    run_all(touch, [tmp_path / str(i) for i in range(300)], 2, "touching")

    names, processes = zip(*(path.name.split("-") for path in tmp_path.iterdir()), strict=True)
    assert sorted(names, key=int) == [str(i) for i in range(300)]
    assert str(os.getpid()) not in processes


@pytest.mark.slow
def test_error_of_a_worker_reaches_the_user(tmp_path):
    with pytest.raises(LabelError, match=r"^seven$"):
        run_all(refuse_seven, [tmp_path / str(i) for i in range(100)], 2, "refusing")


@pytest.mark.slow
def test_killed_worker_is_told(tmp_path):
    message = (
        "Every process must live to its end, got one that was killed; memory may have run out. Run "
        "the same command again with `--workers 1`: it goes on from here."
    )

    with pytest.raises(FetchError, match=f"^{re.escape(message)}$"):
        run_all(kill_worker, [tmp_path / str(i) for i in range(100)], 2, "dying")
