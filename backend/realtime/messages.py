"""The messages of Socket.IO clients: parse, call a service, answer the acknowledgement.

Returns acknowledgements and sends nothing itself: `push.py` does.
"""

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from deadlines import REQUEST_S, deadline
from domain import REGISTRY
from errors import (
    CalendarError,
    DepartmentNotFound,
    SetupError,
    StoreUnavailable,
    UnknownMessage,
    ValidationFailed,
    http_failure,
)
from realtime import payloads
from realtime.engineio_guard import acknowledgement_wanted
from realtime.handshake import PRINCIPAL
from realtime.push import Push
from schemas import LeaveMessage, SyncMessage, parse_id
from services.accounts.access import ANYBODY
from services.sync import Sync, SyncService

log = logging.getLogger(__name__)

Handler = Callable[..., dict[str, Any]]

JOIN_TRIES = 3
"""How often a join is begun anew because the department was deleted and restored during it."""


class Messages:
    """The handlers of all messages."""

    def __init__(self, server: Any, push: Push, sync: SyncService) -> None:
        """Register the handlers on a `socketio.Server`."""
        self._push = push
        self._sync = sync
        # Not through Flask-SocketIO: it would open a request context and a session for each message.
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        for name, handler in (
            ("join_department", self._join_department),
            ("leave_department", self._leave_department),
            ("sync_request", self._sync_request),
        ):
            server.on(name, self._answering(handler))
        server.on("*", self._unknown)

    def _connect(self, sid: str, environ: Mapping[str, Any], _auth: object = None) -> None:
        with deadline(REQUEST_S):
            self._push.connect(sid, environ.get(PRINCIPAL, ANYBODY))

    def _disconnect(self, sid: str, _reason: object = None) -> None:
        self._push.disconnect(sid)

    def _join_department(self, sid: str, *payload: Any) -> dict[str, Any]:
        message = SyncMessage.model_validate(_only(payload))
        department_id = parse_id(message.department_id)
        missed = self._join(sid, department_id, message.sync_token)
        answer = payloads.department_position(department_id, missed.position)
        self._push.joined(sid, answer)
        if message.sync_token:
            self._push.sync_response(sid, missed, in_parts=message.parts)
        return answer

    def _join(self, sid: str, department_id: str, token: str) -> Sync:
        """Put a client into a room; return what it missed since a token, or without one only the position."""
        for _ in range(JOIN_TRIES):
            self._push.join(sid, department_id)
            try:
                if token:
                    missed = self._sync.delta_or_full(department_id, token)
                else:
                    missed = Sync(department_id, self._sync.get_position(department_id))
            except DepartmentNotFound:  # its room may be there still
                self._push.leave(sid, department_id)
                raise
            is_gone = not self._push.is_in(sid, REGISTRY)
            if is_gone or self._push.is_in(sid, department_id):
                return missed
            # Its room was closed during the read, for a deletion that a restoration has followed.
        raise StoreUnavailable()

    def _leave_department(self, sid: str, *payload: Any) -> dict[str, Any]:
        department_id = parse_id(LeaveMessage.model_validate(_only(payload)).department_id)
        self._push.leave(sid, department_id)
        self._push.left(sid, department_id)
        return {"department_id": department_id}

    def _sync_request(self, sid: str, *payload: Any) -> dict[str, Any]:
        message = SyncMessage.model_validate(_only(payload))
        department_id = parse_id(message.department_id)
        self._push.require_reader(sid, department_id)
        missed = self._sync.delta_or_full(department_id, message.sync_token)
        self._push.sync_response(sid, missed, in_parts=message.parts)
        position = payloads.department_position(department_id, missed.position)
        return {"department_id": department_id, "full": missed.full, **position}

    def _unknown(self, name: Any, sid: str, *payload: Any) -> dict[str, Any]:
        def refuse(*_: Any) -> dict[str, Any]:
            shown = str(name)[:100].encode(errors="replace").decode()  # it may hold half a surrogate pair
            raise UnknownMessage(f"서버가 모르는 메시지입니다: {shown}")

        return self._answering(refuse)(sid, *payload)

    def _answering(self, handler: Handler) -> Callable[..., dict[str, Any]]:
        """Wrap a handler so that its answer is in the envelope of REST, failures included."""

        @functools.wraps(handler)
        def answer(sid: str, *payload: Any) -> dict[str, Any]:
            try:
                with deadline(REQUEST_S):
                    return {"success": True, **handler(sid, *payload)}
            except CalendarError as error:
                envelope = error.envelope()
            except SetupError:
                log.exception("운영자가 저장소를 고쳐야 합니다")
                envelope = StoreUnavailable().envelope()
            except Exception:
                log.exception("메시지 처리 중 예상하지 못한 오류")
                envelope = http_failure(500)
            if not acknowledgement_wanted.get():
                self._push.error(sid, envelope)
            return envelope

        return answer


def _only(payload: tuple[Any, ...]) -> Any:
    """Return the one argument of a message. Raises `ValidationFailed` for another number of arguments."""
    if len(payload) != 1:
        raise ValidationFailed.of("body", "model_type", "JSON 객체 하나여야 합니다.")
    return payload[0]
