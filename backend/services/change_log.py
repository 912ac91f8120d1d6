"""The way in: every write of this process goes through `ChangeLog.commit`, and only through it.

Writes of one partition that arrive while its transaction is in flight share the next one (group commit).
Knows nothing of what a write means; the conditions and their outcomes come from `models.py`.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from domain import Change, Head, Write
from errors import CalendarError, DepartmentNotFound, StoreUnavailable
from models import DynamoDBDatabase, HeadMoved, WritesRefused
from store.items import Refusal

log = logging.getLogger(__name__)

GROUP_LIMIT = 49
"""Events in one transaction: each takes two of DynamoDB's 100 items, the head one."""
PATIENCE_S = 3.0
"""How long a writer waits for its turn, and goes on when others were faster, before it gets a 503. What the
store is asked by then it answers or refuses within 7 s, so that nobody waits for more than 10.
"""
RACE_PAUSE_S = 0.02
WAKING_TURNS = 8
"""How many writers of a group are woken one by one; their leader answers after that."""


class WriteRefused(Exception):
    """One write failed its own conditions; others in its group are not touched by that."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A write on its way, and its writer, who may be called on to lead the next group."""

    write: Write
    until: float
    wake: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    change: Change | None = None
    error: Exception | None = None

    @property
    def settled(self) -> bool:
        return self.change is not None or self.error is not None


@dataclass(slots=True)
class _Partition:
    lock: threading.Lock = field(default_factory=threading.Lock)
    queue: deque[_Waiting] = field(default_factory=deque)
    led: bool = False
    head: Head | None = None


@dataclass(slots=True)
class _Turns:
    """Those who edit one entity, one after another."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    takers: int = 0


Committed = Callable[[str, Head, Sequence[Change]], None]


class ChangeLog:
    """Commit writes, and tell listeners of what was committed, in revision order for each partition."""

    def __init__(self, db: DynamoDBDatabase) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._partitions: dict[str, _Partition] = {}
        self._turns: dict[str, _Turns] = {}
        self._listeners: list[Committed] = []

    def on_commit(self, listener: Committed) -> None:
        """Call `listener(partition, head, changes)` after each transaction; it must not write itself."""
        self._listeners.append(listener)

    def commit(self, partition: str, write: Write, until: float | None = None) -> Change:
        """Commit one write and return its change. `until` is when the writer's patience ends.

        Raises `WriteRefused` when its own conditions fail, `DepartmentNotFound` when the partition is gone
        or marked deleted, `StoreUnavailable` when the store or the race for the head stays out of reach;
        only in that last case may the write have happened all the same.
        """
        now = time.monotonic()
        until = until or now + PATIENCE_S
        if now > until:
            raise StoreUnavailable()
        with self._lock:
            place = self._partitions.setdefault(partition, _Partition())
        mine = _Waiting(write, until)
        with place.lock:
            place.queue.append(mine)
            mine.leads, place.led = not place.led, True
        if not mine.leads:
            self._wait(place, mine)
        if not mine.settled:
            self._lead(partition, place, until)
        if mine.error:
            raise mine.error
        assert mine.change is not None  # noqa: S101 - settled without error
        return mine.change

    def edit(self, entity_id: str, prepare: Callable[[], tuple[str, Write]]) -> Change:
        """Commit the write that `prepare` makes of an entity as it stands, and its partition; it is made
        again while writers on other servers are faster. The edits of one entity in this process take turns.

        Raises what `commit` and `prepare` raise.
        """
        until = time.monotonic() + PATIENCE_S
        with self._turn(entity_id, until):
            while True:
                partition, write = prepare()
                try:
                    return self.commit(partition, write, until)
                except WriteRefused as error:
                    if error.refusal is not Refusal.CHANGED:
                        raise
                    _pause_unless_late(until, error)

    @contextmanager
    def _turn(self, entity_id: str, until: float) -> Iterator[None]:
        with self._lock:
            turns = self._turns.setdefault(entity_id, _Turns())
            turns.takers += 1
        try:
            if not turns.lock.acquire(timeout=max(0.0, until - time.monotonic())):
                raise StoreUnavailable()
            try:
                yield
            finally:
                turns.lock.release()
        finally:
            with self._lock:
                turns.takers -= 1
                if not turns.takers:
                    del self._turns[entity_id]

    @staticmethod
    def _wait(place: _Partition, mine: _Waiting) -> None:
        """Wait until a write is settled or its writer is to lead. Raises `StoreUnavailable` when its patience
        ends before it is on its way.
        """
        if mine.wake.wait(max(0.0, mine.until - time.monotonic())):
            return
        with place.lock:
            if mine in place.queue and not mine.wake.is_set():
                place.queue.remove(mine)
                raise StoreUnavailable()
        mine.wake.wait()

    def _lead(self, partition: str, place: _Partition, until: float) -> None:
        """Commit one group, then hand the lead to the next writer who waits."""
        with place.lock:
            group = [place.queue.popleft() for _ in range(min(GROUP_LIMIT, len(place.queue)))]
        try:
            self._settle(partition, place, group, until)
        except Exception as error:  # noqa: BLE001 - handed to each writer, who raises it
            for waiting in group:
                if not waiting.settled:
                    waiting.error = error
        finally:
            with self._lock, place.lock:
                heir = place.queue[0] if place.queue else None
                place.led = heir is not None
                if heir:
                    heir.wake.set()
                elif place.head is None:
                    self._partitions.pop(partition, None)  # unknown ids must not pile up
            for waiting in group:
                if not waiting.settled:
                    waiting.error = StoreUnavailable()  # this leader was killed on its way
            self._wake(group)

    @staticmethod
    def _wake(group: list[_Waiting]) -> None:
        """Wake the first writers one by one, so that among their answers the next group gets on its way:
        all of them at once would be answered first, the store idle meanwhile (a third of the writes per
        second).
        """
        try:
            for turn, waiting in enumerate(group):
                waiting.wake.set()
                if turn < WAKING_TURNS:
                    time.sleep(0)
        finally:
            for waiting in group:
                waiting.wake.set()

    def _settle(self, partition: str, place: _Partition, group: list[_Waiting], until: float) -> None:
        """Give each write of the group its outcome, in as few transactions as its conditions allow."""
        if place.head is None:
            place.head = self._db.read_head(partition)
        while pending := [waiting for waiting in group if not waiting.settled]:
            head = place.head
            if head is None or head.deleted:
                place.head = None
                raise DepartmentNotFound()
            try:
                changes = self._db.commit(partition, head, [waiting.write for waiting in pending])
            except WritesRefused as error:
                for position, refusal in error.refusals.items():
                    pending[position].error = WriteRefused(refusal)
            except HeadMoved as error:
                place.head = error.head
                if error.head:
                    self._recognise(partition, head, pending)
                if any(not waiting.settled for waiting in pending):
                    _pause_unless_late(until, error)
            except CalendarError:
                place.head = None  # the commit may have happened: look again
                raise
            else:
                place.head = Head(head.revision + len(changes), head.epoch)
                for waiting, change in zip(pending, changes, strict=False):
                    waiting.change = change
                self._tell(partition, place.head, changes)

    def _recognise(self, partition: str, lost: Head, pending: list[_Waiting]) -> None:
        """Settle what was committed after all, by a transaction of ours whose answer never arrived."""
        mine = {waiting.write.id: waiting for waiting in pending}
        changes = self._db.changes_after(partition, lost.revision)
        for change in changes:
            if change.write_id in mine:
                mine[change.write_id].change = change
        if changes:
            self._tell(partition, Head(changes[-1].revision, lost.epoch), changes)

    def _tell(self, partition: str, head: Head, changes: Sequence[Change]) -> None:
        for listener in self._listeners:
            try:
                listener(partition, head, changes)
            except Exception:  # the write stands: its writer must not be told that it failed
                log.exception("리비전 %d 커밋 뒤의 처리 실패 (부서 %s)", head.revision, partition)


def _pause_unless_late(until: float, reason: Exception) -> None:
    """Let those who were faster go ahead. Raises `StoreUnavailable` when patience has ended."""
    if time.monotonic() > until:
        raise StoreUnavailable() from reason
    time.sleep(random.uniform(0, RACE_PAUSE_S))  # noqa: S311 - jitter
