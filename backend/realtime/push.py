"""Sends everything that goes out over Socket.IO: to one client, and the push of the logs to the rooms.

The only module that emits; `room.py` decides what is pushed to a room.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from concurrency import Tasks
from domain import REGISTRY, LogEntry, Position
from errors import SetupError, StoreUnavailable
from models import DynamoDBDatabase
from people import ACCOUNTS, Role
from realtime import payloads
from realtime.room import CROWDED_S, HEARTBEAT_S, Room, left_to_next_poll
from services.accounts.access import ANYBODY, Access, Principal, RightsChange
from services.accounts.view import AccountsView
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

    def disconnect(self, sid: str, namespace: str | None = None) -> None: ...


def room_name(department_id: str) -> str:
    return f"department:{department_id}"


class Push:
    """The rooms of one process, and what is sent to its clients."""

    def __init__(
        self,
        transport: Transport,
        db: DynamoDBDatabase,
        sync: SyncService,
        access: Access,
        is_crowded: Callable[[Collection[str]], bool] = lambda _sids: False,
        *,
        view: AccountsView | None = None,
        poll_s: float | None = POLL_S,
        heartbeat_s: float = HEARTBEAT_S,
        crowded_s: float = CROWDED_S,
    ) -> None:
        """`view` is None on a server without accounts; the poll keeps it current.

        `is_crowded(sids)` tells whether so much waits for one of these clients that a burst should pause.

        With `poll_s` None there is no background task that polls; the caller calls `poll_once`.
        """
        self._transport = transport
        self._db = db
        self._access = access
        self._view = view
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
        self._principals: dict[str, Principal] = {}
        """Who the clients are."""

    # Clients come and go

    def connect(self, sid: str, principal: Principal = ANYBODY) -> None:
        """Greet a client and put it into the room of the registry.

        While the store is out of reach, the push of the registry begins when a poll reaches it again.
        """
        self._principals[sid] = principal
        try:
            self._enter(sid, REGISTRY)
        except (StoreUnavailable, SetupError) as error:
            log.warning("저장소에 닿지 않는 동안 클라이언트가 접속했습니다: %s", error)
        greeting = {"message": "서버에 연결되었습니다.", "features": FEATURES}
        self._transport.emit("connected", greeting, to=sid)

    def join(self, sid: str, department_id: str) -> None:
        """Put a client into a department's room. Raises `DepartmentNotFound`, `StoreUnavailable`.

        A department that the client's account may not see is not found.

        The caller must read the state for the client after this call: that state holds every earlier change,
        and every later one is pushed.
        """
        self.require_reader(sid, department_id)
        try:
            self._enter(sid, department_id)
        except Exception:
            self.leave(sid, department_id)
            raise

    def require_reader(self, sid: str, department_id: str) -> None:
        """Raise `DepartmentNotFound` if a client may not see a department."""
        self._access.require(self._principals.get(sid, ANYBODY), department_id, Role.READER)

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
        self._principals.pop(sid, None)
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
        if self._view:
            self._view.on_hint(partition, revision)
        if room := self._rooms.get(partition):
            room.on_hint(revision)

    def _broadcast(self, partition: str, name: str, payload: Any) -> None:
        if partition != REGISTRY:
            self._transport.emit(name, payload, to=room_name(partition))
        else:
            self._tell_readers(name, payload)

    def _tell_readers(self, name: str, department: Mapping[str, Any]) -> None:
        """Tell of a department those who may see it."""
        if self._view is None:
            self._transport.emit(name, department, to=None)  # every client
            return
        told = {**department, **self._access.visibility(department["id"])}
        for sid, principal in list(self._principals.items()):
            if self._access.known_role(principal, department["id"]) is not None:
                self._transport.emit(name, told, to=sid)

    def _close(self, department_id: str) -> None:
        """Take all members out of the room of a deleted department."""
        with self._lock:
            self._transport.close_room(room_name(department_id), namespace="/")
            if room := self._rooms.pop(department_id, None):
                room.members.clear()

    # Rights

    def on_rights(self, changes: Sequence[RightsChange]) -> None:
        """End what accounts may no longer do, and tell their clients what they may do now."""
        for sid, principal in list(self._principals.items()):
            for change in changes:
                if change.account_id in ("", principal.account_id):
                    role = self._access.known_role(principal, change.department_id)
                    told = {"department_id": change.department_id, "role": role.label if role else ""}
                    self._transport.emit("access_changed", told, to=sid)
        self._end_what_is_over()

    def _end_what_is_over(self) -> None:
        """Disconnect whose session or token is over; take clients out of rooms that they may not see."""
        for sid, principal in list(self._principals.items()):
            if not self._access.is_valid(principal):
                self._transport.disconnect(sid, namespace="/")
        with self._lock:
            members = [(partition, sid) for partition, room in self._rooms.items() for sid in room.members]
        for partition, sid in members:
            principal = self._principals.get(sid, ANYBODY)
            if partition != REGISTRY and self._access.known_role(principal, partition) is None:
                self.leave(sid, partition)

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
        began = time.monotonic()
        heads: Mapping[str, Position | None] = {}
        try:
            with left_to_next_poll("모든 부서"):
                heads = self._db.recent_heads([*watched, ACCOUNTS] if self._view else list(watched))
            if self._view:
                with left_to_next_poll("계정"):
                    self._view.on_poll(heads.get(ACCOUNTS), began)
        except Exception:  # the next poll may succeed
            log.exception("다른 서버의 변경을 찾지 못했습니다")
        if self._view:
            self._end_what_is_over()
        for room in watched.values():
            room.on_poll(heads)
        return True
