"""Everything the server sends over Socket.IO: answers to one client, and the push of the log to the rooms.

The only module that emits. What is pushed to a room comes from the log alone, in revision order, each
change once, whichever API or server it was made through.
"""

import contextlib
import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from domain import REGISTRY, Change, ChangeType, Position
from errors import CalendarError, DepartmentNotFound, SetupError, StoreUnavailable
from models import DynamoDBDatabase
from realtime import payloads
from services.sync import Sync, SyncService

log = logging.getLogger(__name__)

POLL_S = 2.0
"""How soon changes of other servers are noticed, at the latest."""
HEARTBEAT_S = 30.0
"""How often a room is told its revision, so that a lost last broadcast is noticed."""
BURST = 50
"""Changes that are pushed without a pause: clients need one to read, or their queues overflow."""
BURST_PAUSE_S = 0.01
CROWDED_S = 1.0
"""How long a burst waits, at the longest, for clients with many broadcasts before them."""
FAR_BEHIND = 200
"""Changes that are too many to be pushed between the looks at two other rooms."""


class Transport(Protocol):
    """What is used of a `socketio.Server`."""

    def emit(self, event: str, *args: Any, **kwargs: Any) -> None: ...

    def sleep(self, seconds: float) -> None: ...

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any: ...

    def close_room(self, room: str, namespace: str | None = None) -> None: ...

    def enter_room(self, sid: str, room: str, namespace: str | None = None) -> None: ...

    def leave_room(self, sid: str, room: str, namespace: str | None = None) -> None: ...


@dataclass(slots=True)
class _Cursor:
    """How far a room has been told of changes, and who is in it."""

    members: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    told: Position | None = None
    """Up to where the room has been told of changes; None until the store has said where to begin."""
    failures: int = 0
    """How often the store was asked in vain where to begin."""
    steps: deque[Callable[[], None]] = field(default_factory=deque)
    """What is to be done by whoever holds the lock."""
    catching_up: bool = False
    """Whether a task is on its way to catch up."""
    last_beat: float = field(default_factory=time.monotonic)


@contextlib.contextmanager
def _until_the_next_poll(partition: str) -> Iterator[None]:
    """Leave to the next poll what the store does not answer now."""
    try:
        yield
    except CalendarError as error:
        log.warning("%s: 저장소에 닿지 않아 변경 알림을 미룹니다: %s", partition, error)


def _room(partition: str) -> str | None:
    """The registry's room is everybody."""
    return None if partition == REGISTRY else f"department:{partition}"


class Push:
    """The broadcasts of one process."""

    def __init__(
        self,
        transport: Transport,
        db: DynamoDBDatabase,
        sync: SyncService,
        crowded: Callable[[], bool] = lambda: False,
        *,
        polls: bool = True,
    ) -> None:
        """`crowded()` tells whether so much waits for a client that a burst should pause for it.

        Without `polls` somebody else calls `poll_once`.
        """
        self._transport = transport
        self._db = db
        self._sync = sync
        self._crowded = crowded
        self._lock = threading.Lock()
        self._cursors: dict[str, _Cursor] = {}
        self._polls = polls
        self._polling = False

    # Clients come and go

    def connect(self, sid: str) -> None:
        """Greet a client and tell it of departments from now on, or from when the store is back."""
        try:
            self._enter(sid, REGISTRY)
        except (StoreUnavailable, SetupError) as error:
            log.warning("저장소에 닿지 않는 동안 클라이언트가 접속했습니다: %s", error)
        self._transport.emit("connected", {"message": "서버에 연결되었습니다."}, to=sid)

    def join(self, sid: str, department_id: str) -> None:
        """Put a client into a department's room. Raises `DepartmentNotFound`.

        What it is told of the department's state must be read after this, so that nothing falls between.
        """
        self._transport.enter_room(sid, f"department:{department_id}", namespace="/")
        try:
            self._enter(sid, department_id)
        except Exception:
            self.leave(sid, department_id)
            raise

    def leave(self, sid: str, department_id: str) -> None:
        self._transport.leave_room(sid, f"department:{department_id}", namespace="/")
        self._exit(sid, department_id)

    def disconnect(self, sid: str) -> None:
        with self._lock:
            entered = [partition for partition, c in self._cursors.items() if sid in c.members]
        for partition in entered:
            self._exit(sid, partition)

    def _enter(self, sid: str, partition: str) -> None:
        with self._lock:
            cursor = self._cursors.setdefault(partition, _Cursor())
            cursor.members.add(sid)
            start_poll = self._polls and not self._polling
            self._polling = self._polling or start_poll
        if start_poll:
            self._transport.start_background_task(self._poll)
        failures = cursor.failures
        if cursor.told is not None:
            return
        try:
            with cursor.lock:
                self._begin(partition, cursor, failures)
        finally:
            self._do_steps(partition, cursor)

    def _begin(self, partition: str, cursor: _Cursor, failures: int) -> None:
        """Begin to tell a room of changes from now on.

        A caller who waited while another one tried in vain, so that `failures` is no longer true, does not
        ask the store again. The caller holds the cursor's lock.
        """
        if cursor.told is not None:
            return
        if cursor.failures != failures:
            raise StoreUnavailable()
        try:
            cursor.told = self._get_position(partition)
        except StoreUnavailable:
            cursor.failures += 1
            raise

    def _exit(self, sid: str, partition: str) -> None:
        with self._lock:
            cursor = self._cursors.get(partition)
            if cursor is None:
                return
            cursor.members.discard(sid)
            if not cursor.members:
                del self._cursors[partition]

    # To one client

    def joined(self, sid: str, answer: Mapping[str, Any]) -> None:
        self._transport.emit("joined_department", answer, to=sid)

    def left(self, sid: str, department_id: str) -> None:
        self._transport.emit("left_department", {"department_id": department_id}, to=sid)

    def sync_response(self, sid: str, sync: Sync) -> None:
        self._transport.emit("sync_response", payloads.sync_response(sync), to=sid)

    def error(self, sid: str, envelope: Mapping[str, Any]) -> None:
        self._transport.emit("error", envelope, to=sid)

    # The push

    def on_commit(self, partition: str, reached: Position, changes: Sequence[Change]) -> None:
        """Push a commit of this process at once, when it follows on what the room has been told."""
        cursor = self._cursors.get(partition)
        if cursor is None:
            return

        def push() -> None:
            told = cursor.told
            if told is None:
                return
            # The registry's first commit gives it its epoch.
            follows = told.epoch in (reached.epoch, "") and changes[0].revision <= told.revision + 1
            if follows:
                self._push(partition, cursor, reached.epoch, changes)
            else:
                self._catch_up_soon(partition, cursor)

        self._in_turn(partition, cursor, push)

    def on_hint(self, partition: str, revision: int) -> None:
        """Push at once what another server says it has committed, if anybody here listens."""
        cursor = self._cursors.get(partition)
        if cursor is None:
            return

        def look() -> None:
            if cursor.told and cursor.told.revision < revision:
                self._catch_up(partition, cursor)

        self._in_turn(partition, cursor, look)

    def catch_up(self, partition: str) -> None:
        """Push at once what the log holds by now, if anybody here listens."""
        if cursor := self._cursors.get(partition):
            self._in_turn(partition, cursor, functools.partial(self._catch_up, partition, cursor))

    def _in_turn(self, partition: str, cursor: _Cursor, step: Callable[[], None]) -> None:
        """Take a step of a room's push: now, or leave it to whoever is in the middle of one."""
        cursor.steps.append(step)
        self._do_steps(partition, cursor)

    @staticmethod
    def _do_steps(partition: str, cursor: _Cursor) -> None:
        while cursor.steps and cursor.lock.acquire(blocking=False):
            try:
                while cursor.steps:
                    with _until_the_next_poll(partition):
                        cursor.steps.popleft()()
            except Exception:  # one room's trouble must not end the push of all
                log.exception("부서 %s의 변경 알림 실패", partition)
            finally:
                cursor.lock.release()

    def _catch_up_soon(self, partition: str, cursor: _Cursor) -> None:
        """Catch up in a task of its own: nobody's answer should wait for what others have written."""

        def catch_up() -> None:
            cursor.catching_up = False
            self._catch_up(partition, cursor)

        if not cursor.catching_up:
            cursor.catching_up = True
            self._transport.start_background_task(self._in_turn, partition, cursor, catch_up)

    def _poll(self) -> None:
        """Notice what other servers and tools committed, for as long as anybody listens."""
        self._transport.sleep(POLL_S)
        while self.poll_once():
            self._transport.sleep(POLL_S)

    def poll_once(self) -> bool:
        """Push what other servers committed by now, and the heartbeats; False when nobody listens."""
        with self._lock:
            if not self._cursors:
                self._polling = False
                return False
            watched = dict(self._cursors)
        heads: Mapping[str, Position | None] = {}
        try:
            with _until_the_next_poll("모든 부서"):
                heads = self._db.recent_heads(list(watched))
        except Exception:  # the next poll may do better
            log.exception("다른 서버의 변경을 찾지 못했습니다")
        for partition, cursor in watched.items():
            look = functools.partial(self._look, partition, cursor, heads)
            self._in_turn(partition, cursor, look)
            self._in_turn(partition, cursor, functools.partial(self._beat, partition, cursor))
        return True

    def _look(self, partition: str, cursor: _Cursor, heads: Mapping[str, Position | None]) -> None:
        """Catch up if a partition's log has moved on from what the room has been told.

        `heads` are positions of a moment ago; of a partition that is not among them nothing is known.
        """
        told = cursor.told
        if told is None:
            if partition == REGISTRY:
                cursor.told = self._get_position(partition)
            return
        seen = heads.get(partition, told)
        if seen and seen.revision > told.revision + FAR_BEHIND:
            self._catch_up_soon(partition, cursor)
        elif seen is None or seen.epoch != told.epoch or seen.revision > told.revision:
            self._catch_up(partition, cursor)

    def _catch_up(self, partition: str, cursor: _Cursor) -> None:
        """Push what the log holds after the cursor. The caller holds the cursor's lock."""
        told = cursor.told
        if told is None:
            return
        head = self._db.read_head(partition)
        if head is None:
            cursor.told = None
            return
        if head == told:
            return
        changes: list[Change] = []
        if told.epoch in (head.epoch, ""):
            changes = self._db.changes_after(partition, told.revision)
        if told.revision + len(changes) >= head.revision and changes:
            self._push(partition, cursor, head.epoch, changes)
        elif partition == REGISTRY:
            cursor.told = head
        else:
            sync = self._sync.full(partition)
            self._transport.emit("sync_response", payloads.sync_response(sync), to=_room(partition))
            cursor.told = sync.position

    def _push(self, partition: str, cursor: _Cursor, epoch: str, changes: Sequence[Change]) -> None:
        assert cursor.told is not None  # noqa: S101 - checked by the callers
        told = cursor.told.revision
        for number, change in enumerate(changes, 1):
            if change.revision > told:
                self._transport.emit(change.type.value, change.subject(), to=_room(partition))
            if change.type is ChangeType.DEPARTMENT_DELETED:
                self._close(change.entity.id)
            if number % BURST == 0:
                self._pause()
        cursor.told = Position(epoch, max(told, changes[-1].revision))

    def _pause(self) -> None:
        until = time.monotonic() + CROWDED_S
        self._transport.sleep(BURST_PAUSE_S)
        while self._crowded() and time.monotonic() < until:
            self._transport.sleep(BURST_PAUSE_S)

    def _beat(self, partition: str, cursor: _Cursor) -> None:
        now = time.monotonic()
        if partition == REGISTRY or cursor.told is None or now - cursor.last_beat < HEARTBEAT_S:
            return
        cursor.last_beat = now
        beat = {"department_id": partition, "revision": cursor.told.revision}
        self._transport.emit("department_heartbeat", beat, to=_room(partition))

    def _close(self, department_id: str) -> None:
        """Empty the room of a department that is gone."""
        room = _room(department_id)
        assert room is not None  # noqa: S101 - not the registry
        self._transport.close_room(room, namespace="/")
        with self._lock:
            self._cursors.pop(department_id, None)

    def _get_position(self, partition: str) -> Position:
        position = self._db.read_head(partition)
        if position is None:
            raise DepartmentNotFound()
        return position
