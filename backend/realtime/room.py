"""One room: the clients who follow a log, and the push of that log to them.

What is pushed comes from the log alone, in revision order, each change once, through whichever API or server
it was made.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from domain import REGISTRY, Change, Position
from errors import CalendarError, DepartmentNotFound, StoreUnavailable
from models import DynamoDBDatabase
from realtime import payloads
from services.sync import SyncService

log = logging.getLogger(__name__)

HEARTBEAT_S = 30.0
"""How often a room is told its revision, so that a lost last broadcast is noticed."""
BURST = 50
"""Changes that are pushed without a pause: clients need one to read, or their queues overflow."""
BURST_PAUSE_S = 0.01
CROWDED_S = 1.0
"""How long a burst waits, at the longest, for clients with many broadcasts before them."""
FAR_BEHIND = 200
"""From so many changes on, a poll leaves the catching up of a room to a task, and sees to the next room."""


class Tasks(Protocol):
    """What is used of a `socketio.Server` besides sending."""

    def sleep(self, seconds: float) -> None: ...

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any: ...


class Room:
    """The room of one partition: of a department, or of the registry, in which every client is.

    Steps of the push run one at a time: a step that is asked for meanwhile is left to the task that runs.
    """

    def __init__(
        self,
        partition: str,
        db: DynamoDBDatabase,
        sync: SyncService,
        tasks: Tasks,
        send: Callable[[str, Any], None],
        is_crowded: Callable[[], bool],
        *,
        heartbeat_s: float = HEARTBEAT_S,
        crowded_s: float = CROWDED_S,
    ) -> None:
        """`send(name, payload)` broadcasts to the room.

        `is_crowded()` tells whether so much waits for some client that a burst should pause.
        """
        self.members: set[str] = set()
        self._partition = partition
        self._db = db
        self._sync = sync
        self._tasks = tasks
        self._send = send
        self._is_crowded = is_crowded
        self._heartbeat_s = heartbeat_s
        self._crowded_s = crowded_s
        self._lock = threading.Lock()
        self._told: Position | None = None
        """Up to where the room has been told of changes; None until the store has said where to begin."""
        self._failures = 0
        """How often the store could not say where to begin."""
        self._steps: deque[Callable[[], None]] = deque()
        self._catching_up = False
        self._last_heartbeat = time.monotonic()

    def follow(self) -> None:
        """Begin to tell the room of changes, from now on, unless it is told already.

        Raises `DepartmentNotFound`, `StoreUnavailable`. Callers that waited for one that asked the store in
        vain do not ask it again.
        """
        failures = self._failures
        if self._told is not None:
            return
        try:
            with self._lock:
                if self._told is not None:
                    return
                if self._failures != failures:
                    raise StoreUnavailable()
                self._begin()
        finally:
            self._run_steps()

    def on_commit(self, reached: Position, changes: Sequence[Change]) -> None:
        """Push a commit of this process at once, when it follows on what the room has been told."""

        def push() -> None:
            told = self._told
            if told is None:
                return
            # The registry's first commit gives it its epoch.
            follows = told.epoch in (reached.epoch, "") and changes[0].revision <= told.revision + 1
            if follows:
                self._push(told, reached.epoch, changes)
            else:
                self._catch_up_soon()

        self._in_turn(push)

    def on_hint(self, revision: int) -> None:
        """Catch up at once when another server says that it has committed a revision."""

        def look() -> None:
            if self._told and self._told.revision < revision:
                self._catch_up()

        self._in_turn(look)

    def on_poll(self, heads: Mapping[str, Position | None]) -> None:
        """Catch up if the log has moved on, and send a heartbeat if one is due.

        `heads` are positions of a moment ago; nothing is known of a partition that is not among them.
        """
        self._in_turn(lambda: self._look(heads))
        self._in_turn(self._beat)

    def catch_up(self) -> None:
        """Push what the log holds by now."""
        self._in_turn(self._catch_up)

    # Steps: the caller of each holds the lock

    def _begin(self) -> None:
        try:
            position = self._db.read_head(self._partition)
        except StoreUnavailable:
            self._failures += 1
            raise
        if position is None:
            raise DepartmentNotFound()
        self._told = position

    def _look(self, heads: Mapping[str, Position | None]) -> None:
        told = self._told
        if told is None:
            if self._partition == REGISTRY:
                self._begin()
            return
        seen = heads.get(self._partition, told)
        if seen and seen.revision > told.revision + FAR_BEHIND:
            self._catch_up_soon()
        elif seen is None or seen.epoch != told.epoch or seen.revision > told.revision:
            self._catch_up()

    def _catch_up(self) -> None:
        """Push what the log holds after what the room has been told; everything when it is too far behind."""
        told = self._told
        if told is None:
            return
        head = self._db.read_head(self._partition)
        if head is None:
            self._told = None
            return
        if head == told:
            return
        changes: list[Change] = []
        if told.epoch in (head.epoch, ""):
            changes = self._db.changes_after(self._partition, told.revision)
        if told.revision + len(changes) >= head.revision and changes:
            self._push(told, head.epoch, changes)
        elif self._partition == REGISTRY:
            self._told = head
        else:
            sync = self._sync.full(self._partition)
            self._send("sync_response", payloads.sync_response(sync))
            self._told = sync.position

    def _push(self, told: Position, epoch: str, changes: Sequence[Change]) -> None:
        for number, change in enumerate(changes, 1):
            if change.revision > told.revision:
                self._send(change.type.value, change.subject())
            if number % BURST == 0:
                self._pause()
        self._told = Position(epoch, max(told.revision, changes[-1].revision))

    def _pause(self) -> None:
        until = time.monotonic() + self._crowded_s
        self._tasks.sleep(BURST_PAUSE_S)
        while self._is_crowded() and time.monotonic() < until:
            self._tasks.sleep(BURST_PAUSE_S)

    def _beat(self) -> None:
        now = time.monotonic()
        if self._partition == REGISTRY or self._told is None:
            return
        if now - self._last_heartbeat >= self._heartbeat_s:
            self._last_heartbeat = now
            beat = {"department_id": self._partition, "revision": self._told.revision}
            self._send("department_heartbeat", beat)

    # Turns

    def _catch_up_soon(self) -> None:
        """Catch up in a task of its own: the answer to a commit must not wait for the changes of others."""

        def catch_up() -> None:
            self._catching_up = False
            self._catch_up()

        if not self._catching_up:
            self._catching_up = True
            self._tasks.start_background_task(self._in_turn, catch_up)

    def _in_turn(self, step: Callable[[], None]) -> None:
        """Take a step now, or leave it to the task that is in the middle of one."""
        self._steps.append(step)
        self._run_steps()

    def _run_steps(self) -> None:
        while self._steps and self._lock.acquire(blocking=False):
            try:
                while self._steps:
                    self._run(self._steps.popleft())
            except Exception:  # one room's trouble must not end the push of all
                log.exception("부서 %s의 변경 알림 실패", self._partition)
            finally:
                self._lock.release()

    def _run(self, step: Callable[[], None]) -> None:
        try:
            step()
        except CalendarError as error:  # the next poll tries again
            log.warning("%s: 저장소에 닿지 않아 변경 알림을 미룹니다: %s", self._partition, error)
