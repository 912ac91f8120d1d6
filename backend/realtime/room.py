"""One room: the clients that follow a log, and the push of that log to them.

What is pushed comes from the log alone: each change once, in revision order, whichever API or server made
it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from concurrency import Tasks
from domain import REGISTRY, Change, ChangeType, LogEntry, Position, known_changes
from errors import CalendarError, DepartmentNotFound, StoreUnavailable
from models import DynamoDBDatabase
from realtime import payloads
from services.sync import SyncService

log = logging.getLogger(__name__)

HEARTBEAT_S = 30.0
"""How often a room is sent its revision, so that clients notice when the last broadcast was lost."""
BURST = 50
BURST_CHARACTERS = 50_000
"""Changes, and characters of their texts, that are pushed without a pause. Without pauses clients cannot
read, and too much waits for them.
"""
BURST_PAUSE_S = 0.01
CROWDED_S = 1.0
"""How long a burst waits at most for clients whose queues are long."""
FAR_BEHIND = 200
"""A room that lacks more changes than this catches up in a task of its own; the poll goes on meanwhile."""


@contextmanager
def left_to_next_poll(partition: str) -> Iterator[None]:
    """Log that the store cannot be reached, and go on: the next poll tries again."""
    try:
        yield
    except CalendarError as error:
        log.warning("%s: 저장소에 닿지 않아 변경 알림을 미룹니다: %s", partition, error)


class Room:
    """The room of one partition: of a department, or of the registry, whose room every client is in.

    Steps of the push run one at a time. A step that is requested while another runs is queued, and the task
    that runs the other one runs it next.
    """

    def __init__(
        self,
        partition: str,
        db: DynamoDBDatabase,
        sync: SyncService,
        tasks: Tasks,
        send: Callable[[str, Any], None],
        close_room: Callable[[str], None],
        is_crowded: Callable[[Collection[str]], bool],
        *,
        heartbeat_s: float = HEARTBEAT_S,
        crowded_s: float = CROWDED_S,
    ) -> None:
        """`send(name, payload)` broadcasts to the room; `close_room(department_id)` empties another one.

        `is_crowded(sids)` tells whether so much waits for one of these clients that a burst should pause.
        """
        self.members: set[str] = set()
        """Who is in it. When the last one has gone the room is over and sends nothing: whoever comes then is
        in a new one, which has the same name for the transport.
        """
        self._partition = partition
        self._db = db
        self._sync = sync
        self._tasks = tasks
        self._send = send
        self._close_room = close_room
        self._is_crowded = is_crowded
        self._heartbeat_s = heartbeat_s
        self._crowded_s = crowded_s
        self._lock = threading.Lock()
        self._pushed: Position | None = None
        """Up to where changes have been pushed, at first the head; None until the head has been read."""
        self._failed_starts = 0
        """How often the head could not be read to begin with."""
        self._steps: deque[Callable[[], None]] = deque()
        self._catching_up = False
        self._last_heartbeat = time.monotonic()
        self._burst = self._burst_characters = 0
        """What was pushed since the last pause: changes, and characters of their texts."""

    def start(self) -> None:
        """Begin to push the changes that follow the present head, unless the push has begun.

        Raises `DepartmentNotFound`, `StoreUnavailable`. A caller that waited for another caller's failed
        read does not read again.
        """
        failed_before = self._failed_starts
        if self._pushed is not None:
            return
        try:
            with self._lock:
                if self._pushed is not None:
                    return
                if self._failed_starts != failed_before:
                    raise StoreUnavailable()
                self._begin()
        finally:
            self._run_steps()

    def on_commit(self, reached: Position, changes: Sequence[LogEntry]) -> None:
        """Push a commit of this process, or catch up if changes are missing before it."""

        def push() -> None:
            pushed = self._pushed
            if pushed is None:
                return
            # The registry's first commit gives it its epoch.
            follows = pushed.epoch in (reached.epoch, "") and changes[0].revision <= pushed.revision + 1
            if follows:
                self._push(pushed, reached.epoch, changes)
            else:
                self._catch_up_soon()

        self._steps.append(push)
        characters = self._burst_characters + sum(map(_characters, known_changes(changes)))
        if self._burst + len(changes) >= BURST or characters > BURST_CHARACTERS:
            self._tasks.start_background_task(self._run_steps)  # it pauses; a writer waits for its answer
        else:
            self._run_steps()

    def on_hint(self, revision: int) -> None:
        """Catch up when a server has committed a revision that was not pushed here."""

        def catch_up() -> None:
            if self._pushed and self._pushed.revision < revision:
                self._catch_up()

        self._enqueue(catch_up)

    def on_poll(self, heads: Mapping[str, Position | None]) -> None:
        """Catch up if the log has moved on, and send a heartbeat if one is due.

        `heads` are positions by partition, read a moment ago: None for one that is gone. A partition that
        could not be read is missing.
        """
        self._enqueue(lambda: self._catch_up_if_behind(heads))
        self._enqueue(self._send_heartbeat)

    # Steps: the caller of each holds the lock

    def _begin(self) -> None:
        try:
            position = self._db.read_head(self._partition)
        except StoreUnavailable:
            self._failed_starts += 1
            raise
        if position is None:
            raise DepartmentNotFound()
        self._pushed = position

    def _catch_up_if_behind(self, heads: Mapping[str, Position | None]) -> None:
        """Catch up if the head of this partition is not where the push is."""
        pushed = self._pushed
        if pushed is None:
            if self._partition == REGISTRY:
                self._begin()
            return
        head = heads.get(self._partition, pushed)
        if head and head.revision > pushed.revision + FAR_BEHIND:
            self._catch_up_soon()
        elif head is None or head.epoch != pushed.epoch or head.revision > pushed.revision:
            self._catch_up()

    def _catch_up(self) -> None:
        """Push the changes after the last pushed one; all events when the log does not reach back to it."""
        pushed = self._pushed
        if pushed is None:
            return
        head = self._db.read_head(self._partition)
        if head is None or head == pushed:  # the registry tells of a deletion; a restoration has a new epoch
            return
        changes: list[LogEntry] = []
        if pushed.epoch in (head.epoch, ""):
            changes = self._db.changes_after(self._partition, pushed.revision)
        if pushed.revision + len(changes) >= head.revision and changes:
            self._push(pushed, head.epoch, changes)
        elif self._partition == REGISTRY:
            self._pushed = head
        else:
            sync = self._sync.full(self._partition)
            if self.members:
                self._send("sync_response", payloads.sync_response(sync))
            self._pushed = sync.position

    def _push(self, pushed: Position, epoch: str, changes: Sequence[LogEntry]) -> None:
        for change in known_changes(changes):
            if not self.members:
                return
            if change.revision <= pushed.revision:
                continue
            if change.type is ChangeType.DEPARTMENT_DELETED:
                # First, as the department may be there again: whoever joins it after the broadcast stays in.
                self._close_room(change.entity.id)
            self._send(change.type.value, change.broadcast())
            self._burst += 1
            self._burst_characters += _characters(change)
            if self._burst >= BURST or self._burst_characters > BURST_CHARACTERS:
                self._pause()
        self._pushed = Position(epoch, max(pushed.revision, changes[-1].revision))

    def _pause(self) -> None:
        ends_at = time.monotonic() + self._crowded_s
        self._tasks.sleep(BURST_PAUSE_S)
        while self._is_crowded(list(self.members)) and time.monotonic() < ends_at:
            self._tasks.sleep(BURST_PAUSE_S)
        self._burst = self._burst_characters = 0

    def _send_heartbeat(self) -> None:
        """Send a heartbeat if one is due."""
        now = time.monotonic()
        if self._partition == REGISTRY or self._pushed is None:
            return
        if now - self._last_heartbeat >= self._heartbeat_s:
            self._last_heartbeat = now
            payload = {"department_id": self._partition, "revision": self._pushed.revision}
            self._send("department_heartbeat", payload)

    # Running steps

    def _catch_up_soon(self) -> None:
        """Catch up in a background task: the caller (a commit, the poll) must not wait for it."""

        def catch_up() -> None:
            self._catching_up = False
            self._catch_up()

        if not self._catching_up:
            self._catching_up = True
            self._tasks.start_background_task(self._enqueue, catch_up)

    def _enqueue(self, step: Callable[[], None]) -> None:
        """Run a step now, or leave it to the task that is running one."""
        self._steps.append(step)
        self._run_steps()

    def _run_steps(self) -> None:
        while self._steps and self._lock.acquire(blocking=False):
            try:
                while self._steps:
                    step = self._steps.popleft()
                    if not self.members:
                        continue
                    with left_to_next_poll(self._partition):
                        step()
            except Exception:  # a failure in one room must not end the push to the others
                log.exception("부서 %s의 변경 알림 실패", self._partition)
            finally:
                self._lock.release()


def _characters(change: Change) -> int:
    return len(change.entity.description)
