"""Coalesced reads: a reader may use any read that started after it arrived, and shares it with others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from domain import Head
from errors import DepartmentNotFound, StoreUnavailable
from running import wait_for
from services import snapshots
from services.snapshots import Snapshots


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

    def recent_changes(self, _department_id, _reached, _window):
        return []


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


def test_readers_who_arrive_during_a_read_share_the_next_one(store):
    kept = Snapshots(store, 1_000_000)
    with ThreadPoolExecutor(50) as pool:
        first = pool.submit(kept.current, "d")
        wait_for(lambda: store.started == 1)
        later = [pool.submit(kept.current, "d") for _ in range(49)]
        wait_for(lambda: kept._lines["d"].following is not None)
        store.gate.release()
        assert first.result(5).revision == 0
        wait_for(lambda: store.started == 2)
        assert not any(reader.done() for reader in later)
        store.gate.release()
        assert len({id(reader.result(5)) for reader in later}) == 1
    assert store.started == 2
    assert kept._lines == {}


def test_a_reader_never_uses_a_read_that_began_before_it_came(store):
    kept = Snapshots(store, 1_000_000)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(kept.current, "d")
        wait_for(lambda: store.started == 1)
        store.head = Head(0, "new epoch")  # acknowledged to somebody before the late reader begins
        late = pool.submit(kept.current, "d")
        wait_for(lambda: kept._lines["d"].following is not None)
        for _ in range(2):
            store.gate.release()
        assert early.result(5).epoch == "e"
        assert late.result(5).epoch == "new epoch"


def test_a_read_that_follows_waits_for_those_who_come_but_not_for_ever(store, monkeypatch):
    kept = Snapshots(store, 1_000_000)
    with ThreadPoolExecutor(50) as pool:
        readers = [pool.submit(kept.current, "d")]
        wait_for(lambda: store.started == 1)

        def another_comes(_seconds):
            joined = kept._lines["d"].following.readers
            readers.append(pool.submit(kept.current, "d"))
            wait_for(lambda: kept._lines["d"].following.readers == joined + 1)

        monkeypatch.setattr(snapshots, "time", SimpleNamespace(sleep=another_comes))
        readers.append(pool.submit(kept.current, "d"))
        wait_for(lambda: kept._lines["d"].following is not None)
        for _ in range(2):
            store.gate.release()
        assert len({id(reader.result(5)) for reader in readers[1:]}) == 1
    assert store.started == 2
    assert len(readers) == 2 + snapshots.JOINING_TURNS


@pytest.mark.parametrize("error", [StoreUnavailable(), None])
def test_a_failure_is_told_to_all_who_shared_the_read_and_to_nobody_after(store, error):
    kept = Snapshots(store, 1_000_000)
    store.error = error
    if error is None:
        store.head = None
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(kept.current, "d")
        store.gate.release()
        with pytest.raises(type(error) if error else DepartmentNotFound):
            reader.result(5)
        store.head, store.error = Head(0, "e"), None
        store.gate.release()
        assert pool.submit(kept.current, "d").result(5).revision == 0


def test_who_has_waited_for_a_store_that_does_not_answer_does_not_wait_for_it_again(store):
    kept = Snapshots(store, 1_000_000)
    store.error = StoreUnavailable()
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(kept.current, "d")]
        wait_for(lambda: store.started == 1)
        readers += [pool.submit(kept.current, "d") for _ in range(2)]
        wait_for(lambda: (line := kept._lines["d"]).following is not None and line.following.readers == 2)
        store.gate.release()
        for reader in readers:
            assert isinstance(reader.exception(5), StoreUnavailable)
        assert store.started == 1
        store.error = None
        store.gate.release()
        assert kept.current("d").revision == 0
