"""Everything the server sends over Socket.IO: names, payloads, rooms, and the push from the log.

The only module that emits. What is pushed to a room comes from the log alone, in revision order, each
change once, whichever door or server it came through.
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

import orjson

from domain import REGISTRY, Change, ChangeType, Head, SyncToken
from errors import CalendarError, DepartmentNotFound, SetupError, StoreUnavailable
from models import DynamoDBDatabase
from services.snapshots import Place, Snapshot, Snapshots

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
    """What is used of Flask-SocketIO."""

    def emit(self, event: str, *args: Any, **kwargs: Any) -> None: ...

    def sleep(self, seconds: float) -> None: ...

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any: ...

    def close_room(self, room: str, namespace: str | None = None) -> None: ...


class Rooms(Protocol):
    """How a client enters and leaves a room."""

    def enter_room(self, sid: str, room: str, namespace: str | None = None) -> None: ...

    def leave_room(self, sid: str, room: str, namespace: str | None = None) -> None: ...


@dataclass(slots=True)
class _Cursor:
    """How far a room has been told, and who is in it."""

    members: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    place: Head | None = None
    failures: int = 0
    """How often the store was asked in vain for the place."""
    steps: deque[Callable[[], None]] = field(default_factory=deque)
    """What is to be done by whoever holds the lock."""
    catching_up: bool = False
    """Whether a task is on its way to catch up."""
    last_beat: float = field(default_factory=time.monotonic)


@contextlib.contextmanager
def _until_the_next_look(partition: str) -> Iterator[None]:
    """Leave to the next poll what the store does not answer now."""
    try:
        yield
    except CalendarError as error:
        log.warning("%s: 저장소에 닿지 않아 변경 알림을 미룹니다: %s", partition, error)


def _room(partition: str) -> str | None:
    """The registry's room is everybody."""
    return None if partition == REGISTRY else f"department:{partition}"


class Broadcasts:
    """The push of one process."""

    def __init__(
        self,
        transport: Transport,
        db: DynamoDBDatabase,
        snapshots: Snapshots,
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        """`crowded()` tells whether so much waits for a client that a burst should pause for it."""
        self._transport = transport
        self._db = db
        self._snapshots = snapshots
        self._crowded = crowded
        self._lock = threading.Lock()
        self._cursors: dict[str, _Cursor] = {}
        self._polling = False

    # Clients come and go

    def connect(self, sid: str) -> None:
        """Greet a client and tell it of departments from now on, or from when the store is back."""
        try:
            self._enter(sid, REGISTRY)
        except (StoreUnavailable, SetupError) as error:
            log.warning("저장소에 닿지 않는 동안 클라이언트가 접속했습니다: %s", error)
        self._transport.emit("connected", {"message": "서버에 연결되었습니다."}, to=sid)

    def join(self, rooms: Rooms, sid: str, department_id: str) -> None:
        """Put a client into a department's room. Raises `DepartmentNotFound`.

        What it is told of the department's state must be read after this, so that nothing falls between.
        """
        rooms.enter_room(sid, f"department:{department_id}", namespace="/")
        try:
            self._enter(sid, department_id)
        except Exception:
            self.leave(rooms, sid, department_id)
            raise

    def leave(self, rooms: Rooms, sid: str, department_id: str) -> None:
        rooms.leave_room(sid, f"department:{department_id}", namespace="/")
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
            start_poll, self._polling = not self._polling, True
        if start_poll:
            self._transport.start_background_task(self._poll)
        failures = cursor.failures
        if cursor.place is not None:
            return
        try:
            with cursor.lock:
                self._find_place(partition, cursor, failures)
        finally:
            self._do_steps(partition, cursor)

    def _find_place(self, partition: str, cursor: _Cursor, failures: int) -> None:
        """Begin to tell a room from now on, unless that is done, or was tried in vain since `failures`."""
        if cursor.place is not None:
            return
        if cursor.failures != failures:  # who waited for that need not ask again
            raise StoreUnavailable()
        try:
            cursor.place = self._live_head(partition)
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

    def sync_response(self, sid: str, answer: Mapping[str, Any]) -> None:
        self._transport.emit("sync_response", answer, to=sid)

    def error(self, sid: str, envelope: Mapping[str, Any]) -> None:
        self._transport.emit("error", envelope, to=sid)

    # The push

    def on_commit(self, partition: str, head: Head, changes: Sequence[Change]) -> None:
        """Push a commit of this process at once, when it follows on what the room has been told."""
        cursor = self._cursors.get(partition)
        if cursor is None:
            return

        def push() -> None:
            place = cursor.place
            if place is None:
                return
            # The registry's first commit gives it its epoch.
            follows = place.epoch in (head.epoch, "") and changes[0].revision <= place.revision + 1
            if follows:
                self._push(partition, cursor, Head(head.revision, head.epoch), changes)
            else:
                self._catch_up_soon(partition, cursor)

        self._in_turn(partition, cursor, push)

    def on_hint(self, partition: str, revision: int) -> None:
        """Push at once what another server says it has committed, if anybody here listens."""
        cursor = self._cursors.get(partition)
        if cursor is None:
            return

        def look() -> None:
            if cursor.place and cursor.place.revision < revision:
                self._catch_up(partition, cursor)

        self._in_turn(partition, cursor, look)

    def _in_turn(self, partition: str, cursor: _Cursor, step: Callable[[], None]) -> None:
        """Take a step of a room's push: now, or leave it to whoever is in the middle of one."""
        cursor.steps.append(step)
        self._do_steps(partition, cursor)

    @staticmethod
    def _do_steps(partition: str, cursor: _Cursor) -> None:
        while cursor.steps and cursor.lock.acquire(blocking=False):
            try:
                while cursor.steps:
                    with _until_the_next_look(partition):
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
        while True:
            self._transport.sleep(POLL_S)
            with self._lock:
                if not self._cursors:
                    self._polling = False
                    return
                watched = dict(self._cursors)
            heads: Mapping[str, Head] = {}
            try:
                with _until_the_next_look("모든 부서"):
                    heads = self._db.recent_heads(list(watched))
            except Exception:  # the next look may do better
                log.exception("다른 서버의 변경을 찾지 못했습니다")
            for partition, cursor in watched.items():
                look = functools.partial(self._look, partition, cursor, heads.get(partition))
                self._in_turn(partition, cursor, look)
                self._in_turn(partition, cursor, functools.partial(self._beat, partition, cursor))

    def _look(self, partition: str, cursor: _Cursor, seen: Head | None) -> None:
        """Catch up if a head that was seen a moment ago is not what the room has been told of."""
        place = cursor.place
        if place is None:
            if partition == REGISTRY:
                cursor.place = self._live_head(partition)
        elif seen and seen.revision > place.revision + FAR_BEHIND:
            self._catch_up_soon(partition, cursor)
        elif seen and (seen.deleted or seen.epoch != place.epoch or seen.revision > place.revision):
            self._catch_up(partition, cursor)

    def _catch_up(self, partition: str, cursor: _Cursor) -> None:
        """Push what the log holds after the cursor. The caller holds the cursor's lock."""
        place = cursor.place
        if place is None:
            return
        head = self._db.read_head(partition)
        if head is None or head.deleted:
            cursor.place = None
            return
        if head == place:
            return
        changes: list[Change] = []
        if place.epoch in (head.epoch, ""):
            changes = self._db.changes_after(partition, place.revision)
        if place.revision + len(changes) >= head.revision and changes:
            self._push(partition, cursor, Head(changes[-1].revision, head.epoch), changes)
        elif partition == REGISTRY:
            cursor.place = head
        else:
            snapshot = self._snapshots.whole(self._snapshots.current(partition))
            self._transport.emit("sync_response", full_sync(snapshot), to=_room(partition))
            cursor.place = Head(snapshot.revision, snapshot.epoch)

    def _push(self, partition: str, cursor: _Cursor, reached: Head, changes: Sequence[Change]) -> None:
        assert cursor.place is not None  # noqa: S101 - checked by the callers
        told = cursor.place.revision
        for number, change in enumerate(changes, 1):
            if change.revision > told:
                self._transport.emit(change.type.value, change.subject(), to=_room(partition))
            if change.type is ChangeType.DEPARTMENT_DELETED:
                self._close(change.entity.id)
            if number % BURST == 0:
                self._pause()
        cursor.place = Head(max(told, changes[-1].revision), reached.epoch)

    def _pause(self) -> None:
        until = time.monotonic() + CROWDED_S
        self._transport.sleep(BURST_PAUSE_S)
        while self._crowded() and time.monotonic() < until:
            self._transport.sleep(BURST_PAUSE_S)

    def _beat(self, partition: str, cursor: _Cursor) -> None:
        now = time.monotonic()
        if partition == REGISTRY or cursor.place is None or now - cursor.last_beat < HEARTBEAT_S:
            return
        cursor.last_beat = now
        beat = {"department_id": partition, "revision": cursor.place.revision}
        self._transport.emit("department_heartbeat", beat, to=_room(partition))

    def _close(self, department_id: str) -> None:
        """Empty the room of a department that is gone."""
        room = _room(department_id)
        assert room is not None  # noqa: S101 - not the registry
        self._transport.close_room(room, namespace="/")
        with self._lock:
            self._cursors.pop(department_id, None)

    def _live_head(self, partition: str) -> Head:
        head = self._db.read_head(partition)
        if head is None or head.deleted:
            raise DepartmentNotFound()
        return head


def place_in(place: Place) -> dict[str, Any]:
    """Say which revision a client holds after it has been told a department's state."""
    return {
        "department_id": place.department_id,
        "revision": place.revision,
        "sync_token": place.sync_token,
    }


def full_sync(snapshot: Snapshot) -> dict[str, Any]:
    """Build the `sync_response` that replaces whatever a client holds."""
    return {
        "department_id": snapshot.department_id,
        "full": True,
        "events": orjson.Fragment(snapshot.json),
        "revision": snapshot.revision,
        "sync_token": snapshot.sync_token,
    }


def delta_sync(department_id: str, changes: Sequence[Change], token: SyncToken) -> dict[str, Any]:
    """Build the `sync_response` that brings a client from its token to this one."""
    return {
        "department_id": department_id,
        "full": False,
        "changes": [change.public() for change in changes],
        "revision": token.revision,
        "sync_token": str(token),
    }
