import asyncio
import threading
import time
from contextlib import ExitStack

import pytest

from parsenet.serve.limits import Limits, Refusal
from parsenet.serve.turns import Turns, check_wanted


async def stays():
    return False


async def leaves():
    return True


def run(scenario, limits=None):
    """Run a coroutine function on new turns."""

    async def main():
        turns = Turns(limits or Limits())
        try:
            return await asyncio.wait_for(scenario(turns), 20)
        finally:
            turns.close()

    return asyncio.run(main())


def test_work_gives_its_result():
    assert run(lambda turns: turns.run(lambda stop: 7, stays)) == 7


def test_error_of_the_work_is_passed_on():
    def fail(stop):
        raise ValueError("seven")

    with pytest.raises(ValueError, match=r"^seven$"):
        run(lambda turns: turns.run(fail, stays))


def test_one_work_is_done_at_a_time():
    active, most = 0, 0

    def work(stop):
        nonlocal active, most
        active += 1
        most = max(most, active)
        time.sleep(0.01)
        active -= 1

    async def scenario(turns):
        await asyncio.gather(*(turns.run(work, stays) for _ in range(5)))

    run(scenario)

    assert most == 1


def test_full_queue_is_told_when_to_come_back():
    async def scenario(turns):
        with ExitStack() as places:
            for _ in range(3):
                places.enter_context(turns.place())
            with pytest.raises(Refusal) as caught:
                places.enter_context(turns.place())
        with turns.place():  # there is room again
            return caught.value

    error = run(scenario, Limits(queue=2))

    assert (error.status, dict(error.headers), str(error)) == (
        503,
        {"Retry-After": "2"},
        "The server must have a free place, got 3 requests before this one. Try again in a moment.",
    )


def test_nobody_works_for_a_client_that_left():
    done = []

    with pytest.raises(Refusal, match=r"^The client must wait for its answer, got a closed"):
        run(lambda turns: turns.run(lambda stop: done.append(1), leaves))

    assert done == []


def test_work_is_told_when_its_client_leaves():
    started = threading.Event()

    async def left_after_the_start():
        return started.is_set()

    def work(stop):
        started.set()
        assert stop.wait(10)
        check_wanted(stop)

    with pytest.raises(Refusal) as caught:
        run(lambda turns: turns.run(work, left_after_the_start))

    assert caught.value.status == 499


def test_work_that_takes_too_long_is_told_to_stop_and_keeps_its_place():
    release = threading.Event()
    seen = []

    def work(stop):
        seen.append(stop.wait(10))
        release.wait(10)

    async def scenario(turns):
        with pytest.raises(Refusal) as caught, turns.place():
            await turns.run(work, stays)
        with pytest.raises(Refusal) as full, turns.place():
            pass
        release.set()
        while True:  # until the thread is done
            try:
                with turns.place():
                    return caught.value, full.value
            except Refusal:
                await asyncio.sleep(0.01)

    late, full = run(scenario, Limits(queue=0, answer_seconds=0.05))

    assert seen == [True]
    assert (late.status, full.status) == (504, 503)
    assert str(late) == (
        "The answer must take at most 0.05 seconds, got no further in that time. Send a smaller "
        "image."
    )


def test_end_of_the_server_stops_what_is_under_way():
    stopped = threading.Event()

    def work(stop):
        if stop.wait(10):
            stopped.set()

    async def scenario(turns):
        waiting = asyncio.ensure_future(turns.run(work, stays))
        await asyncio.sleep(0.05)
        turns.close()
        await waiting

    run(scenario)

    assert stopped.is_set()
