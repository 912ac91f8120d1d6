"""Loads in the background, and turns: who waits for what, and for how long."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from deadlines import deadline, remaining_s
from errors import DepartmentNotFound, StoreUnavailable
from running import wait_for
from services.background_loads import BackgroundLoads
from services.one_at_a_time import OneAtATime


class SlowLoad:
    """A load that ends when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.remaining: list[float] = []
        self.may_end = threading.Event()

    def of(self, key: str) -> Callable[[], str]:
        return lambda: self._run(key)

    def _run(self, key: str) -> str:
        self.begun.append(key)
        self.remaining.append(remaining_s())
        assert self.may_end.wait(20)
        return f"{key} {len(self.begun)}"


def test_callers_at_the_same_time_share_one_load():
    load = SlowLoad()
    loads = BackgroundLoads[str]()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(loads.wait, key, load.of(key)) for key in ("a", "a", "b", "a")]
        wait_for(lambda: len(load.begun) == 2)
        load.may_end.set()
        results = [caller.result(20) for caller in waiting]
    assert sorted(load.begun) == ["a", "b"]
    assert results[0] == results[1] == results[3]
    assert loads.wait("a", load.of("a")) == "a 3"


def test_a_load_outlives_the_deadline_of_its_caller():
    load = SlowLoad()
    loads = BackgroundLoads[str]()
    with deadline(0.01), pytest.raises(StoreUnavailable) as refusal:
        loads.wait("a", load.of("a"))
    assert refusal.value.retry_after
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(loads.wait, "a", load.of("a"))
        load.may_end.set()
        assert again.result(20) == "a 1"
    assert load.remaining == [float("inf")]


def test_a_failed_load_tells_those_who_wait_and_the_next_caller_starts_a_new_one():
    outcomes = [DepartmentNotFound(), None]

    def load() -> str:
        if error := outcomes.pop(0):
            raise error
        return "loaded"

    loads = BackgroundLoads[str]()
    with pytest.raises(DepartmentNotFound):
        loads.wait("a", load)
    assert loads.wait("a", load) == "loaded"


def test_one_caller_at_a_time_holds_the_lock_and_others_wait_until_their_deadline():
    lock = OneAtATime()
    with lock.hold(), deadline(0.01), pytest.raises(StoreUnavailable), lock.hold():
        raise AssertionError("two at a time")
    with lock.hold():
        pass
