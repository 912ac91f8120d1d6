"""Sends everything that goes out over Socket.IO: to one client, and the push of the logs to the rooms.

The only module that emits; `room.py` decides what is pushed to a room.
"""

import functools
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from domain import REGISTRY, LogEntry, Position
from errors import SetupError, StoreUnavailable
from models import DynamoDBDatabase
from realtime import payloads
from realtime.concurrency import Tasks
from realtime.room import CROWDED_S, HEARTBEAT_S, Room, left_to_next_poll
from services.sync import Sync, SyncService

log = logging.getLogger(__name__)

FEATURES = ["parts"]
"""What a client may ask for beyond the first version of the protocol."""
POLL_S = 2.0
"""How often the heads are read, to find the changes of other servers."""


class Transport(Tasks, Protocol):
    """The methods of a `socketio.Server` that the push calls."""

    def emit(self, event: str, *args: Any, **kwargs: Any) -> None: ...

    def continue_answer(self, sid: str, steps: Iterator[object]) -> None: ...

    def close_room(self, room: str, namespace: str | None = None) -> None: ...

    def enter_room(self, sid: str, room: str, namespace: str | None = None) -> None: ...

    def leave_room(self, sid: str, room: str, namespace: str | None = None) -> None: ...


def room_name(department_id: str) -> str:
    return f"department:{department_id}"


class Push:
    """The rooms of one process, and what is sent to its clients."""

    def __init__(
        self,
        transport: Transport,
        db: DynamoDBDatabase,
        sync: SyncService,
        is_crowded: Callable[[Collection[str]], bool] = lambda _sids: False,
        *,
        poll_s: float | None = POLL_S,
        heartbeat_s: float = HEARTBEAT_S,
        crowded_s: float = CROWDED_S,
    ) -> None:
        """`is_crowded(sids)` tells whether so much waits for one of these clients that a burst should pause.

        With `poll_s` None there is no background task that polls; the caller calls `poll_once`.
        """
        self._transport = transport
        self._db = db
        self._create_room = functools.partial(
            Room,
            db=db,
            sync=sync,
            tasks=transport,
            close_room=self._close,
            is_crowded=is_crowded,
            heartbeat_s=heartbeat_s,
            crowded_s=crowded_s,
        )
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._rooms: dict[str, Room] = {}
        """The rooms with members, by partition."""
        self._polling = False

    # Clients come and go

    def connect(self, sid: str) -> None:
        """Greet a client and put it into the room of the registry.

        While the store is out of reach, the push of the registry begins when a poll reaches it again.
        """
        try:
            self._enter(sid, REGISTRY)
        except (StoreUnavailable, SetupError) as error:
            log.warning("저장소에 닿지 않는 동안 클라이언트가 접속했습니다: %s", error)
        greeting = {"message": "서버에 연결되었습니다.", "features": FEATURES}
        self._transport.emit("connected", greeting, to=sid)

    def join(self, sid: str, department_id: str) -> None:
        """Put a client into a department's room. Raises `DepartmentNotFound`, `StoreUnavailable`.

        The caller must read the state for the client after this call: that state holds every earlier change,
        and every later one is pushed.
        """
        try:
            self._enter(sid, department_id)
        except Exception:
            self.leave(sid, department_id)
            raise

    def leave(self, sid: str, department_id: str) -> None:
        """Take a client out of a department's room; nothing happens if it is not in it."""
        self._transport.leave_room(sid, room_name(department_id), namespace="/")
        self._exit(sid, department_id)

    def is_in(self, sid: str, partition: str) -> bool:
        """Tell whether a client is in a department's room, or in the registry's: every connected one is."""
        room = self._rooms.get(partition)
        return room is not None and sid in room.members

    def disconnect(self, sid: str) -> None:
        """Forget a client that is gone."""
        with self._lock:
            entered = [partition for partition, room in self._rooms.items() if sid in room.members]
        for partition in entered:
            self._exit(sid, partition)

    def _enter(self, sid: str, partition: str) -> None:
        with self._lock:
            room = self._rooms.get(partition)
            if room is None:
                send = functools.partial(self._broadcast, partition)
                room = self._rooms[partition] = self._create_room(partition, send=send)
            room.members.add(sid)
            if partition != REGISTRY:
                self._transport.enter_room(sid, room_name(partition), namespace="/")
            starts_polling = self._poll_s is not None and not self._polling
            self._polling = self._polling or starts_polling
        if starts_polling:
            self._transport.start_background_task(self._poll)
        room.start()

    def _exit(self, sid: str, partition: str) -> None:
        with self._lock:
            room = self._rooms.get(partition)
            if room is None:
                return
            room.members.discard(sid)
            if not room.members:
                del self._rooms[partition]

    # To one client

    def joined(self, sid: str, answer: Mapping[str, Any]) -> None:
        self._transport.emit("joined_department", answer, to=sid)

    def left(self, sid: str, department_id: str) -> None:
        self._transport.emit("left_department", {"department_id": department_id}, to=sid)

    def sync_response(self, sid: str, sync: Sync, *, in_parts: bool) -> None:
        """Send a client what it missed; a large answer in parts, if wanted, no faster than it reads."""
        parts = payloads.sync_response_parts(sync) if in_parts else iter([payloads.sync_response(sync)])
        first = next(parts)
        self._transport.emit("sync_response", first, to=sid)
        if "part" in first:
            self._transport.continue_answer(sid, self._send_each(sid, parts))

    def _send_each(self, sid: str, parts: Iterator[Mapping[str, Any]]) -> Iterator[None]:
        for part in parts:
            self._transport.emit("sync_response", part, to=sid)
            yield

    def error(self, sid: str, envelope: Mapping[str, Any]) -> None:
        self._transport.emit("error", envelope, to=sid)

    # To rooms

    def on_commit(self, partition: str, reached: Position, changes: Sequence[LogEntry]) -> None:
        """Push a commit of this process, if its room has members."""
        if room := self._rooms.get(partition):
            room.on_commit(reached, changes)

    def on_hint(self, partition: str, revision: int) -> None:
        """Catch up after a hint that a server has committed a revision, if the room has members."""
        if room := self._rooms.get(partition):
            room.on_hint(revision)

    def _broadcast(self, partition: str, name: str, payload: Any) -> None:
        room = None if partition == REGISTRY else room_name(partition)  # None: every client
        self._transport.emit(name, payload, to=room)

    def _close(self, department_id: str) -> None:
        """Take all members out of the room of a deleted department."""
        with self._lock:
            self._transport.close_room(room_name(department_id), namespace="/")
            if room := self._rooms.pop(department_id, None):
                room.members.clear()

    # The poll

    def _poll(self) -> None:
        """Find what other servers and tools committed, until no room has members."""
        assert self._poll_s is not None  # noqa: S101 - else it is not started
        self._transport.sleep(self._poll_s)
        while self.poll_once():
            self._transport.sleep(self._poll_s)

    def poll_once(self) -> bool:
        """Push what other servers have committed, and due heartbeats. Return False if there are no rooms."""
        with self._lock:
            if not self._rooms:
                self._polling = False
                return False
            watched = dict(self._rooms)
        heads: Mapping[str, Position | None] = {}
        try:
            with left_to_next_poll("모든 부서"):
                heads = self._db.recent_heads(list(watched))
        except Exception:  # the next poll may succeed
            log.exception("다른 서버의 변경을 찾지 못했습니다")
        for room in watched.values():
            room.on_poll(heads)
        return True
