"""Coalesced reads: a reader may use any read that started after it arrived, and shares it with others."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain import Head
from errors import DepartmentNotFound, StoreUnavailable
from running import wait_for
from snapshots import Snapshots


class SlowStore:
    """A store of one empty department whose head reads wait until they are let through."""

    def __init__(self) -> None:
        self.started = 0
        self.gate = threading.Semaphore(0)
        self.head: Head | None = Head(0, "e")
        self.error: Exception | None = None

    def read_head(self, _partition):
        self.started += 1
        head, error = self.head, self.error
        self.gate.acquire()
        if error:
            raise error
        return head

    def indexed_events(self, _department_id, _first, _last):
        return iter(())

    def recent_changes(self, _department_id, _window):
        return []


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


def test_readers_who_arrive_during_a_read_share_the_next_one(store):
    snapshots = Snapshots(store, 1_000_000)
    with ThreadPoolExecutor(50) as pool:
        first = pool.submit(snapshots.current, "d")
        wait_for(lambda: store.started == 1)
        later = [pool.submit(snapshots.current, "d") for _ in range(49)]
        wait_for(lambda: snapshots._lines["d"].following is not None)
        store.gate.release()
        assert first.result(5).revision == 0
        wait_for(lambda: store.started == 2)
        assert not any(reader.done() for reader in later)
        store.gate.release()
        assert len({id(reader.result(5)) for reader in later}) == 1
    assert store.started == 2
    assert snapshots._lines == {}


def test_a_reader_never_uses_a_read_that_began_before_it_came(store):
    snapshots = Snapshots(store, 1_000_000)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(snapshots.current, "d")
        wait_for(lambda: store.started == 1)
        store.head = Head(0, "new epoch")  # acknowledged to somebody before the late reader begins
        late = pool.submit(snapshots.current, "d")
        wait_for(lambda: snapshots._lines["d"].following is not None)
        for _ in range(2):
            store.gate.release()
        assert early.result(5).epoch == "e"
        assert late.result(5).epoch == "new epoch"


@pytest.mark.parametrize("error", [StoreUnavailable(), None])
def test_a_failure_is_told_to_all_who_shared_the_read_and_to_nobody_after(store, error):
    snapshots = Snapshots(store, 1_000_000)
    store.error = error
    if error is None:
        store.head = None
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(snapshots.current, "d")
        store.gate.release()
        with pytest.raises(type(error) if error else DepartmentNotFound):
            reader.result(5)
        store.head, store.error = Head(0, "e"), None
        store.gate.release()
        assert pool.submit(snapshots.current, "d").result(5).revision == 0
