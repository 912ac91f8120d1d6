"""Group commit: every write of this process goes through `GroupCommit.commit`, and only through it.

Writes of one partition that arrive while its transaction is in flight share the next one. One of their
writers leads: it commits the group for all. Knows nothing of what a write means; its conditions are in
`store/`.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain import Change, Position, Write
from errors import CalendarError, DepartmentNotFound, StoreUnavailable
from models import DynamoDBDatabase, HeadMoved, Refusal, WritesRefused
from services.turns import Turns

log = logging.getLogger(__name__)

GROUP_LIMIT = 49
"""Events in one transaction: each takes two of DynamoDB's 100 items, the head one."""
PATIENCE_S = 3.0
"""How long a writer waits for its turn and tries again after lost races, before it gets a 503. A request that
is in flight by then ends within 7 s, so that no writer waits for more than 10.
"""
RACE_PAUSE_S = 0.02
WAKING_TURNS = 8
"""How many writers of a group are woken one by one, before the rest is woken at once."""


class WriteRefused(Exception):
    """One write failed its own conditions; others in its group are not touched by that."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


@dataclass(slots=True, eq=False)
class _PendingWrite:
    """A write that waits for its outcome; its writer may be called on to lead the next group."""

    write: Write
    until: float
    """When its writer's patience ends, by `time.monotonic`."""
    wake: threading.Event = field(default_factory=threading.Event)
    """Set when the write is settled, and when its writer is to lead."""
    leads: bool = False
    change: Change | None = None
    error: Exception | None = None

    @property
    def settled(self) -> bool:
        return self.change is not None or self.error is not None


@dataclass(slots=True)
class _Queue:
    """The writes of one partition that wait for the next transaction."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: deque[_PendingWrite] = field(default_factory=deque)
    led: bool = False
    """Whether one of the writers is committing a group."""
    seen: Position | None = None
    """Where the partition was last seen to stand."""


Committed = Callable[[str, Position, Sequence[Change]], None]


class GroupCommit:
    """Commit writes, and tell listeners of what was committed, in revision order for each partition."""

    def __init__(self, db: DynamoDBDatabase, patience_s: float = PATIENCE_S) -> None:
        """`patience_s` is how long one writer waits for its turn and goes on after lost races."""
        self._db = db
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}
        self._turns = Turns()
        self.listeners: list[Committed] = []

    def on_commit(self, listener: Committed) -> None:
        """Call `listener(partition, reached, changes)` after each transaction; it must not write itself.

        `reached` is the position of the last of the changes.
        """
        self.listeners.append(listener)

    def commit(self, partition: str, write: Write, until: float | None = None) -> Change:
        """Commit one write and return its change.

        `until` is when the writer's patience ends, by `time.monotonic`.

        Raises `WriteRefused` when its own conditions fail, `DepartmentNotFound` when the partition is gone
        or marked deleted, `StoreUnavailable` when the store or the race for the head stays out of reach;
        only in that last case may the write have happened all the same.
        """
        now = time.monotonic()
        until = until or now + self._patience_s
        if now > until:
            raise StoreUnavailable()
        with self._lock:
            queue = self._queues.setdefault(partition, _Queue())
        mine = _PendingWrite(write, until)
        with queue.lock:
            queue.waiting.append(mine)
            mine.leads, queue.led = not queue.led, True
        if not mine.leads:
            self._wait(queue, mine)
        if not mine.settled:
            self._lead(partition, queue, until)
        if mine.error:
            raise mine.error
        assert mine.change is not None  # noqa: S101 - settled without error
        return mine.change

    def edit(self, entity_id: str, prepare: Callable[[], tuple[str, Write]]) -> Change:
        """Commit the write that `prepare` makes of an entity as it stands, and return its change.

        `prepare()` returns the partition and the write; it is called again when a writer on another server
        was faster. The edits of one entity in this process take turns.

        Raises what `commit` and `prepare` raise.
        """
        until = time.monotonic() + self._patience_s
        with self._turns.turn(entity_id, until):
            while True:
                partition, write = prepare()
                try:
                    return self.commit(partition, write, until)
                except WriteRefused as error:
                    if error.refusal is not Refusal.CHANGED:
                        raise
                    _pause_unless_late(until, error)

    def waiting(self, partition: str) -> int:
        """Return how many writes wait for the transaction after the one that is in flight."""
        with self._lock:
            queue = self._queues.get(partition)
            return len(queue.waiting) if queue else 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody edits or waits to."""
        return self._turns.is_idle

    @staticmethod
    def _wait(queue: _Queue, mine: _PendingWrite) -> None:
        """Wait until a write is settled or its writer is to lead.

        Raises `StoreUnavailable` when patience ends before the write is in a transaction.
        """
        if mine.wake.wait(max(0.0, mine.until - time.monotonic())):
            return
        with queue.lock:
            if mine in queue.waiting and not mine.wake.is_set():
                queue.waiting.remove(mine)
                raise StoreUnavailable()
        mine.wake.wait()

    def _lead(self, partition: str, queue: _Queue, until: float) -> None:
        """Commit one group, then hand the lead to the writer that waits the longest."""
        with queue.lock:
            group = [queue.waiting.popleft() for _ in range(min(GROUP_LIMIT, len(queue.waiting)))]
        try:
            self._settle(partition, queue, group, until)
        except Exception as error:  # noqa: BLE001 - handed to each writer, who raises it
            for waiting in group:
                if not waiting.settled:
                    waiting.error = error
        finally:
            with self._lock, queue.lock:
                successor = queue.waiting[0] if queue.waiting else None
                queue.led = successor is not None
                if successor:
                    successor.wake.set()
                elif queue.seen is None:
                    self._queues.pop(partition, None)  # unknown ids must not pile up
            for waiting in group:
                if not waiting.settled:
                    waiting.error = StoreUnavailable()  # this leader was killed on its way
            self._wake(group)

    @staticmethod
    def _wake(group: list[_PendingWrite]) -> None:
        """Wake the first writers one by one, so that the next group gets on its way between their answers.

        Woken all at once they would be answered first, and the store would be idle meanwhile: a fifth fewer
        writes per second.
        """
        try:
            for turn, waiting in enumerate(group):
                waiting.wake.set()
                if turn < WAKING_TURNS:
                    time.sleep(0)
        finally:
            for waiting in group:
                waiting.wake.set()

    def _settle(self, partition: str, queue: _Queue, group: list[_PendingWrite], until: float) -> None:
        """Give each write of the group its outcome, in as few transactions as its conditions allow."""
        if queue.seen is None:
            queue.seen = self._db.read_head(partition)
        while pending := [waiting for waiting in group if not waiting.settled]:
            seen = queue.seen
            if seen is None:
                raise DepartmentNotFound()
            try:
                changes = self._db.commit(partition, seen, [waiting.write for waiting in pending])
            except WritesRefused as error:
                for index, refusal in error.refusals.items():
                    pending[index].error = WriteRefused(refusal)
            except HeadMoved as error:
                queue.seen = error.position
                self._settle_committed(partition, seen, pending)
                if any(not waiting.settled for waiting in pending):
                    _pause_unless_late(until, error)
            except CalendarError:
                queue.seen = None  # the commit may have happened: look again
                raise
            else:
                queue.seen = seen.at(seen.revision + len(changes))
                for waiting, change in zip(pending, changes, strict=False):
                    waiting.change = change
                self._tell(partition, queue.seen, changes)

    def _settle_committed(self, partition: str, lost: Position, pending: list[_PendingWrite]) -> None:
        """Settle the writes that a transaction of ours committed though its answer never arrived."""
        mine = {waiting.write.id: waiting for waiting in pending}
        changes = self._db.changes_after(partition, lost.revision)
        for change in changes:
            if change.write_id in mine:
                mine[change.write_id].change = change
        if changes:
            self._tell(partition, lost.at(changes[-1].revision), changes)

    def _tell(self, partition: str, reached: Position, changes: Sequence[Change]) -> None:
        for listener in self.listeners:
            try:
                listener(partition, reached, changes)
            except Exception:  # the write stands: its writer must not be told that it failed
                log.exception("리비전 %d 커밋 뒤의 처리 실패 (부서 %s)", reached.revision, partition)


def _pause_unless_late(until: float, reason: Exception) -> None:
    """Pause at random, so that racing writers do not meet again.

    Raises `StoreUnavailable` when patience has ended.
    """
    if time.monotonic() > until:
        raise StoreUnavailable() from reason
    time.sleep(random.uniform(0, RACE_PAUSE_S))  # noqa: S311 - jitter
