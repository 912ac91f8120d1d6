"""Coalesced reads: a caller may use any read that started after it arrived, and shares it with others."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from deadlines import deadline
from errors import DepartmentNotFound, OutOfTime, StoreUnavailable
from running import wait_for
from services.coalesced_reads import JOINING_TURNS, CoalescedReads


class SlowStore:
    """A store whose reads wait at `gate`, then return the `state` of the moment they began."""

    def __init__(self) -> None:
        self.started = 0
        self.gate = threading.Semaphore(0)
        self.state = "first"
        self.error: Exception | None = None

    def read(self, _key):
        self.started += 1
        state, error = self.state, self.error
        self.gate.acquire()
        if error:
            raise error
        return [state]


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


def test_callers_who_arrive_during_a_read_share_the_next_one(store):
    reads = CoalescedReads(store.read)
    with ThreadPoolExecutor(50) as pool:
        first = pool.submit(reads, "d")
        wait_for(lambda: store.started == 1)
        later = [pool.submit(reads, "d") for _ in range(49)]
        wait_for(lambda: reads.count_waiting("d") == 49)
        store.gate.release()
        assert first.result(5) == ["first"]
        wait_for(lambda: store.started == 2)
        assert not any(caller.done() for caller in later)
        store.gate.release()
        assert len({id(caller.result(5)) for caller in later}) == 1
    assert store.started == 2
    assert reads.is_idle


def test_a_caller_never_uses_a_read_that_began_before_it_came(store):
    reads = CoalescedReads(store.read)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(reads, "d")
        wait_for(lambda: store.started == 1)
        store.state = "acknowledged to somebody before the late caller begins"
        late = pool.submit(reads, "d")
        wait_for(lambda: reads.count_waiting("d") == 1)
        for _ in range(2):
            store.gate.release()
        assert early.result(5) == ["first"]
        assert late.result(5) == [store.state]


def test_reads_of_different_keys_do_not_wait_for_each_other(store):
    reads = CoalescedReads(store.read)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(reads, "one"), pool.submit(reads, "other")
        wait_for(lambda: store.started == 2)
        store.gate.release(2)
        assert one.result(5) == other.result(5)


def test_the_next_read_waits_for_more_callers_for_a_limited_number_of_turns(store):
    def another_comes():
        joined = reads.count_waiting("d")
        callers.append(pool.submit(reads, "d"))
        wait_for(lambda: reads.count_waiting("d") == joined + 1)

    reads = CoalescedReads(store.read, give_turn=another_comes)
    with ThreadPoolExecutor(50) as pool:
        callers = [pool.submit(reads, "d")]
        wait_for(lambda: store.started == 1)
        callers.append(pool.submit(reads, "d"))
        wait_for(lambda: reads.count_waiting("d") == 1)
        for _ in range(2):
            store.gate.release()
        assert len({id(caller.result(5)) for caller in callers[1:]}) == 1
    assert store.started == 2
    assert len(callers) == 2 + JOINING_TURNS


@pytest.mark.parametrize("error", [StoreUnavailable(), DepartmentNotFound()])
def test_a_failure_reaches_all_callers_of_its_read_and_no_later_caller(store, error):
    reads = CoalescedReads(store.read)
    store.error = error
    with ThreadPoolExecutor(1) as pool:
        caller = pool.submit(reads, "d")
        store.gate.release()
        with pytest.raises(type(error)):
            caller.result(5)
        store.error = None
        store.gate.release()
        assert pool.submit(reads, "d").result(5) == ["first"]


def test_callers_that_waited_during_a_read_without_an_answer_fail_with_it_and_read_no_more(store):
    reads = CoalescedReads(store.read)
    store.error = StoreUnavailable()
    with ThreadPoolExecutor(3) as pool:
        callers = [pool.submit(reads, "d")]
        wait_for(lambda: store.started == 1)
        callers += [pool.submit(reads, "d") for _ in range(2)]
        wait_for(lambda: reads.count_waiting("d") == 2)
        store.gate.release()
        for caller in callers:
            assert isinstance(caller.exception(5), StoreUnavailable)
        assert store.started == 1
        store.error = None
        store.gate.release()
        assert reads("d") == ["first"]


def in_a_hurry(reads: CoalescedReads, key: str) -> object:
    with deadline(0.1):
        return reads(key)


def test_a_caller_whose_deadline_comes_leaves_its_read_to_those_who_share_it(store):
    reads = CoalescedReads(store.read)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(reads, "d")
        wait_for(lambda: store.started == 1)
        hurried = pool.submit(in_a_hurry, reads, "d")
        wait_for(lambda: reads.count_waiting("d") == 1)
        patient = pool.submit(reads, "d")
        assert isinstance(hurried.exception(5), OutOfTime)
        wait_for(lambda: reads.count_waiting("d") == 1)
        store.gate.release(2)
        assert first.result(5) == patient.result(5) == ["first"]
    assert store.started == 2
    assert reads.is_idle


def test_a_caller_that_shares_a_read_stops_waiting_at_its_deadline(store):
    reads = CoalescedReads(store.read)
    with ThreadPoolExecutor(3) as pool:
        callers = [pool.submit(reads, "d")]
        wait_for(lambda: store.started == 1)
        callers.append(pool.submit(reads, "d"))
        wait_for(lambda: reads.count_waiting("d") == 1)
        assert isinstance(pool.submit(in_a_hurry, reads, "d").exception(5), OutOfTime)
        assert not any(caller.done() for caller in callers)
        store.gate.release(2)
        assert [caller.result(5) for caller in callers] == [["first"], ["first"]]


def test_a_read_that_its_own_deadline_cut_short_is_repeated_by_those_who_share_it(store):
    reads = CoalescedReads(store.read)
    store.error = OutOfTime()
    with ThreadPoolExecutor(3) as pool:
        callers = [pool.submit(reads, "d")]
        wait_for(lambda: store.started == 1)
        for waiting in (1, 2):
            callers.append(pool.submit(reads, "d"))
            wait_for(lambda count=waiting: reads.count_waiting("d") == count)
        store.gate.release()
        wait_for(lambda: store.started == 2)
        store.error = None
        store.gate.release(2)
        outcomes = [caller.exception(5) or caller.result() for caller in callers]
    assert [type(outcome) for outcome in outcomes[:2]] == [OutOfTime, OutOfTime]
    assert outcomes[2] == ["first"]
    assert reads.is_idle
