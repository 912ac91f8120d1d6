"""Group commit: every write of this process goes through `GroupCommit`, and only through it.

Writes of one partition that arrive while its transaction is in flight share the next transaction. The thread
of one of them, the leader, commits the whole group. The writer with the latest deadline leads, so that the
write of no other is cut short. Knows nothing of what a write means; the conditions of writes are in `store/`.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import overload

from cachetools import LRUCache

from deadlines import REQUEST_S, deadline, remaining_s
from domain import Change, LogEntry, Position, Write, WriteSet, known_changes
from errors import (
    CalendarError,
    ChangeTooLarge,
    DepartmentNotFound,
    EntityTooLarge,
    OutOfTime,
    StoreUnavailable,
)
from models import ATTEMPT_S, DynamoDBDatabase, HeadMoved, Refusal, WritesRefused
from people import AccountsChange, AccountsWrite, AnyChange, AnyWrite, AnyWrites, each_write
from services.keyed_locks import KeyedLocks
from turns import give_turn

log = logging.getLogger(__name__)

GROUP_LIMIT = 98
"""Most writes in one transaction: of its 100 actions head and row take one each, each write one or more."""
RACE_PAUSE_S = 0.02
"""The longest pause after another server has committed first; the actual one is random."""
POSITIONS_KEPT = 1_000
"""Of how many partitions the position is kept after a transaction; for others the next one reads the head."""
WOKEN_ONE_BY_ONE = 8
"""How many writers of a group are woken one by one. The rest are woken at once."""


_TOO_LARGE: Mapping[Refusal, type[CalendarError]] = {
    Refusal.REJECTED: EntityTooLarge,
    Refusal.TOO_MUCH: ChangeTooLarge,
}


class WriteRefused(Exception):
    """A write, or set of writes, failed its own conditions; the others of its group are not affected."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


@dataclass(slots=True, eq=False)
class _PendingWrite:
    """A write, or set of writes, without an outcome so far; its writer may lead the next group."""

    write: AnyWrites
    ends_at: float
    """The deadline of its writer, by `time.monotonic`."""
    wake: threading.Event = field(default_factory=threading.Event)
    """Set when the write is settled, and when its writer becomes the leader."""
    group: list["_PendingWrite"] = field(default_factory=list)
    """What its writer has to commit as the leader; empty while it is none."""
    changes: list[AnyChange] = field(default_factory=list)
    """What has become of its writes: empty, or a change for each."""
    error: Exception | None = None

    @property
    def settled(self) -> bool:
        return bool(self.changes) or self.error is not None

    def wait(self, spare_s: float = 0.0) -> bool:
        """Wait to be woken, until `spare_s` before the deadline; return False if that comes first."""
        return self.wake.wait(max(0.0, self.ends_at - spare_s - time.monotonic()))


@dataclass(slots=True)
class _Queue:
    """The writes of one partition that wait for the next transaction."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: deque[_PendingWrite] = field(default_factory=deque)
    has_leader: bool = False
    """Whether one of the writers is committing a group."""
    position: Position | None = None
    """The partition's position as the last transaction left it; None when the head has to be read first."""

    def appoint_leader(self) -> None:
        """Form the next group and wake its leader. The caller holds the lock."""
        group = [self.waiting.popleft() for _ in range(min(GROUP_LIMIT, len(self.waiting)))]
        self.has_leader = bool(group)
        if group:
            leader = max(group, key=lambda member: member.ends_at)
            leader.group = group
            leader.wake.set()


CommitListener = Callable[[str, Position, Sequence[LogEntry]], None]


class GroupCommit:
    """Commit writes, and call listeners with the committed changes, in revision order for each partition."""

    def __init__(self, db: DynamoDBDatabase, *, positions_kept: int = POSITIONS_KEPT) -> None:
        """`positions_kept` is of how many partitions the position is kept while nobody writes to them."""
        self._db = db
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}
        self._positions: LRUCache[str, Position] = LRUCache(positions_kept)
        """Where the last transactions left the partitions to which nobody writes at the moment."""
        self._edits = KeyedLocks()
        self._listeners: list[CommitListener] = []

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener(partition, reached, changes)` after each transaction.

        `reached` is the position of the last of the changes. A listener must not write.
        """
        self._listeners.append(listener)

    @overload
    def commit(self, partition: str, write: Write) -> Change: ...

    @overload
    def commit(self, partition: str, write: AccountsWrite) -> AccountsChange: ...

    def commit(self, partition: str, write: AnyWrite) -> AnyChange:
        """Commit one write and return its change, within the deadline and within `REQUEST_S`.

        Raises `WriteRefused` when the conditions of this write fail, `EntityTooLarge` when DynamoDB takes no
        item as large as it would be, `DepartmentNotFound` when the partition is gone or marked deleted,
        `StoreUnavailable` when the store is out of reach or other servers kept committing first. After
        `StoreUnavailable` the write may still have been committed.
        """
        [change] = self._commit(partition, write)
        return change

    def commit_together(self, partition: str, writes: Sequence[Write]) -> list[Change]:
        """Commit several writes of different entities in one transaction, or none; return their changes.

        Raises what `commit` does, and `ChangeTooLarge` when they do not fit in one transaction.
        """
        return known_changes(self._commit(partition, WriteSet(tuple(writes))))

    def _commit(self, partition: str, write: AnyWrites) -> list[AnyChange]:
        with deadline(REQUEST_S):
            mine = _PendingWrite(write, time.monotonic() + remaining_s())
            with self._lock:
                queue = self._queues.get(partition)
                if queue is None:
                    queue = self._queues[partition] = _Queue(position=self._positions.pop(partition, None))
                with queue.lock:
                    queue.waiting.append(mine)
                    if not queue.has_leader:
                        queue.appoint_leader()
            if not mine.group:
                self._wait(queue, mine)
            if mine.group:
                self._lead(partition, queue, mine.group)
        if mine.error:
            raise mine.error
        return mine.changes

    def edit(self, entity_id: str, prepare: Callable[[], tuple[str, Write]]) -> Change:
        """Read an entity and commit a write of it, both by `prepare`; return the change.

        `prepare()` reads the entity and returns its partition and the write. It is called again when another
        server has changed the entity meanwhile. The edits of one entity in this process take turns.

        Raises what `commit` and `prepare` raise.
        """

        def prepare_all() -> tuple[str, Sequence[Write]]:
            partition, write = prepare()
            return partition, [write]

        [change] = self.edit_together(entity_id, prepare_all)
        return change

    def edit_together(
        self, entity_id: str, prepare: Callable[[], tuple[str, Sequence[Write]]]
    ) -> list[Change]:
        """Do as `edit` does, with several writes that are committed in one transaction, or none.

        `entity_id` is the one entity that every such edit of these entities names, so that they take turns.
        `prepare()` may commit something before it returns. Raises what `commit_together` and `prepare` raise.
        """
        with deadline(REQUEST_S), self._edits.hold(entity_id):
            while True:
                try:
                    partition, writes = prepare()
                    if len(writes) == 1:
                        return [self.commit(partition, writes[0])]
                    return self.commit_together(partition, writes)
                except WriteRefused as error:
                    if error.refusal is not Refusal.CHANGED:
                        raise
                    pause_unless_late(error)

    @property
    def listeners(self) -> tuple[CommitListener, ...]:
        """The listeners in the order in which they are called."""
        return tuple(self._listeners)

    def count_waiting(self, partition: str) -> int:
        """Return how many writes wait for the next transaction of a partition."""
        with self._lock:
            queue = self._queues.get(partition)
            return len(queue.waiting) if queue else 0

    @property
    def kept_partitions(self) -> int:
        """Of how many partitions anything is kept."""
        with self._lock:
            return len(self._queues) + len(self._positions)

    @property
    def nobody_edits(self) -> bool:
        """Whether no edit runs or waits for its turn."""
        return self._edits.are_unused

    @staticmethod
    def _wait(queue: _Queue, mine: _PendingWrite) -> None:
        """Wait until a write is settled or its writer becomes the leader. Raises `OutOfTime`."""
        if mine.wait(spare_s=ATTEMPT_S):
            return
        with queue.lock:
            if mine in queue.waiting:  # a transaction might end after the deadline: certainly not committed
                queue.waiting.remove(mine)
                raise OutOfTime()
        if not mine.wait():
            raise OutOfTime()

    def _lead(self, partition: str, queue: _Queue, group: list[_PendingWrite]) -> None:
        """Commit one group, then appoint the leader of the next."""
        try:
            self._commit_group(partition, queue, group)
        except Exception as error:  # noqa: BLE001 - handed to each writer, which raises it
            for member in group:
                if not member.settled:
                    member.error = error
        finally:
            with self._lock, queue.lock:
                queue.appoint_leader()
                if not queue.has_leader:
                    del self._queues[partition]
                    if queue.position:
                        self._positions[partition] = queue.position
            for member in group:
                if not member.settled:
                    member.error = StoreUnavailable()  # this thread was killed while it led
            self._wake(group)

    @staticmethod
    def _wake(group: list[_PendingWrite]) -> None:
        """Wake the first writers one by one, so that the next leader sends its transaction between them.

        If all were woken at once, all their clients would be answered first while the store is idle: a fifth
        fewer writes per second.
        """
        try:
            for index, member in enumerate(group):
                member.wake.set()
                if index < WOKEN_ONE_BY_ONE:
                    give_turn()
        finally:
            for member in group:
                member.wake.set()

    def _commit_group(self, partition: str, queue: _Queue, group: list[_PendingWrite]) -> None:
        """Settle each write of a group: in one transaction, and again without those that are refused."""
        if queue.position is None:
            queue.position = self._db.read_head(partition)
        while pending := [member for member in group if not member.settled]:
            position = queue.position
            if position is None:
                raise DepartmentNotFound()
            try:
                changes = self._db.commit(partition, position, [member.write for member in pending])
            except WritesRefused as error:
                for index, refusal in error.refusals.items():
                    too_large = _TOO_LARGE.get(refusal)
                    pending[index].error = too_large() if too_large else WriteRefused(refusal)
            except HeadMoved as error:
                queue.position = error.position
                self._settle_committed(partition, position, pending)
                if any(not member.settled for member in pending):
                    pause_unless_late(error)
            except CalendarError:
                queue.position = None  # the transaction may have been committed: read the head again
                raise
            else:
                queue.position = position.at(position.revision + len(changes))
                left = iter(changes)
                for member in pending:  # the last ones may have been left for the next transaction
                    member.changes = list(islice(left, len(each_write(member.write))))
                self._notify(partition, queue.position, changes)

    def _settle_committed(self, partition: str, begin: Position, pending: list[_PendingWrite]) -> None:
        """Settle the writes that an earlier transaction of ours committed, although its answer was lost.

        `begin` is the position from which this process tried to commit.
        """
        by_id = {write.id: member for member in pending for write in each_write(member.write)}
        changes = self._db.changes_after(partition, begin.revision)
        for change in changes:
            if isinstance(change, AnyChange) and change.write_id in by_id:
                by_id[change.write_id].changes.append(change)
        if changes:
            self._notify(partition, begin.at(changes[-1].revision), changes)

    def _notify(self, partition: str, reached: Position, changes: Sequence[LogEntry]) -> None:
        for listener in self._listeners:
            try:
                listener(partition, reached, changes)
            except Exception:  # the changes are committed: their writers must not get this error
                log.exception("리비전 %d 커밋 뒤의 처리 실패 (부서 %s)", reached.revision, partition)


def pause_unless_late(reason: Exception) -> None:
    """Pause for a random time, so that racing servers do not collide again.

    Raises `OutOfTime` when the deadline has passed.
    """
    if remaining_s() < 0:
        raise OutOfTime() from reason
    time.sleep(random.SystemRandom().uniform(0, RACE_PAUSE_S))
