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
    loads = BackgroundLoads[str](OneAtATime())
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(loads.wait, key, load.of(key)) for key in ("a", "a", "b", "a")]
        wait_for(lambda: len(load.begun) == 2)
        load.may_end.set()
        results = [caller.result(20) for caller in waiting]
    assert sorted(load.begun) == ["a", "b"]
    assert results[0] == results[1] == results[3]
    assert loads.wait("a", load.of("a")) == "a 3"


def test_two_loads_run_at_a_time_and_the_others_wait_for_them():
    load = SlowLoad()
    loads = BackgroundLoads[str](OneAtATime())
    for key in "abcd":
        with deadline(0.01), pytest.raises(StoreUnavailable):
            loads.wait(key, load.of(key))
    wait_for(lambda: len(load.begun) == 2)
    assert sorted(load.begun) == ["a", "b"]
    load.may_end.set()
    assert [loads.wait(key, load.of(key))[0] for key in "cd"] == ["c", "d"]


def test_a_load_outlives_the_deadline_of_its_caller():
    load = SlowLoad()
    loads = BackgroundLoads[str](OneAtATime())
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

    loads = BackgroundLoads[str](OneAtATime())
    with pytest.raises(DepartmentNotFound):
        loads.wait("a", load)
    assert loads.wait("a", load) == "loaded"


def test_one_caller_at_a_time_holds_a_lock_and_others_wait_until_their_deadline():
    locks = OneAtATime()
    with locks.hold("a"), deadline(0.01), pytest.raises(StoreUnavailable), locks.hold("a"):
        raise AssertionError("two at a time")
    with locks.hold("a"):
        pass


def test_work_for_one_key_leaves_room_for_another_but_not_for_a_third():
    locks = OneAtATime()
    with deadline(5), locks.hold("a"), locks.hold("b"), deadline(0.01):  # noqa: SIM117 - too long for one line
        with pytest.raises(StoreUnavailable), locks.hold("c"):
            raise AssertionError("three at a time")
    with locks.hold("c"):
        pass


def test_locks_are_given_in_the_order_of_the_calls():
    locks, order = OneAtATime(), []

    def call(key: str, name: str) -> None:
        with locks.hold(key):
            order.append(name)

    callers = []
    with deadline(5), locks.hold("a"), locks.hold("b"):
        for count, (key, name) in enumerate((("a", "first"), ("a", "second"), ("a", "third")), 1):
            callers.append(threading.Thread(target=call, args=(key, name)))
            callers[-1].start()
            wait_for(lambda count=count: locks.waiting == count)
    with locks.hold("a"):
        order.append("whoever has just held it")
    for caller in callers:
        caller.join(20)
    assert order == ["first", "second", "third", "whoever has just held it"]
