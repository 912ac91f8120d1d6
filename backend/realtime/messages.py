"""The messages of Socket.IO clients: parse, call a service, answer the acknowledgement.

Sends nothing itself; what goes out besides the acknowledgement goes through `broadcasts.py`.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

from flask_socketio import SocketIO

from domain import SyncToken
from errors import (
    CalendarError,
    SetupError,
    StoreUnavailable,
    SyncTokenExpired,
    UnknownMessage,
    ValidationFailed,
    http_failure,
)
from realtime import engineio_guard
from realtime.push import Broadcasts, delta_sync, full_sync, place_in
from schemas import CHANGES_MAX, LeaveMessage, SyncMessage, parse_id
from services.events import EventService

log = logging.getLogger(__name__)

Handler = Callable[..., dict[str, Any]]


class Messages:
    """The handlers of every message, registered on a Socket.IO server."""

    def __init__(self, socketio: SocketIO, broadcasts: Broadcasts, events: EventService) -> None:
        self._rooms = server = socketio.server
        self._broadcasts = broadcasts
        self._events = events
        engineio_guard.harden(server)
        # Past Flask-SocketIO, which would open a request context and a session for each message.
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        for name, handler in (
            ("join_department", self._join_department),
            ("leave_department", self._leave_department),
            ("sync_request", self._sync_request),
        ):
            server.on(name, self._answering(handler))
        server.on("*", self._unknown)

    def _connect(self, sid: str, _environ: object, _auth: object = None) -> None:
        self._broadcasts.connect(sid)

    def _disconnect(self, sid: str, _reason: object = None) -> None:
        self._broadcasts.disconnect(sid)

    def _join_department(self, sid: str, *payload: Any) -> dict[str, Any]:
        message = SyncMessage.model_validate(_only(payload))
        department_id = parse_id(message.department_id)
        self._broadcasts.join(self._rooms, sid, department_id)
        if message.sync_token:
            missed = self._sync(department_id, message.sync_token)
            place = {name: missed[name] for name in ("department_id", "revision", "sync_token")}
            self._broadcasts.joined(sid, place)
            self._broadcasts.sync_response(sid, missed)
        else:
            place = place_in(self._events.department(department_id))
            self._broadcasts.joined(sid, place)
        return place

    def _leave_department(self, sid: str, *payload: Any) -> dict[str, Any]:
        department_id = parse_id(LeaveMessage.model_validate(_only(payload)).department_id)
        self._broadcasts.leave(self._rooms, sid, department_id)
        self._broadcasts.left(sid, department_id)
        return {"department_id": department_id}

    def _sync_request(self, sid: str, *payload: Any) -> dict[str, Any]:
        message = SyncMessage.model_validate(_only(payload))
        answer = self._sync(parse_id(message.department_id), message.sync_token)
        self._broadcasts.sync_response(sid, answer)
        return {name: answer[name] for name in ("department_id", "full", "revision", "sync_token")}

    def _unknown(self, name: Any, sid: str, *payload: Any) -> dict[str, Any]:
        def refuse(*_: Any) -> dict[str, Any]:
            shown = str(name)[:100].encode(errors="replace").decode()  # it may hold half a surrogate pair
            raise UnknownMessage(f"서버가 모르는 메시지입니다: {shown}")

        return self._answering(refuse)(sid, *payload)

    def _sync(self, department_id: str, token: str) -> dict[str, Any]:
        """Return what was missed since a token; everything when it is empty, expired or too far back."""
        if token:
            try:
                delta = self._events.changes_since(department_id, token, CHANGES_MAX)
            except SyncTokenExpired:
                log.info("부서 %s: 동기화 토큰이 만료되어 클라이언트에 전체를 보냅니다", department_id)
            else:
                reached = SyncToken.parse(delta.sync_token)
                if reached and not delta.has_more:
                    return delta_sync(department_id, delta.changes, reached)
        return full_sync(self._events.whole(self._events.department(department_id)))

    def _answering(self, handler: Handler) -> Callable[..., dict[str, Any]]:
        """Wrap a handler so that it answers every message with the envelope of REST."""

        @functools.wraps(handler)
        def answer(sid: str, *payload: Any) -> dict[str, Any]:
            try:
                return {"success": True, **handler(sid, *payload)}
            except CalendarError as error:
                envelope = error.envelope()
            except SetupError:
                log.exception("운영자가 저장소를 고쳐야 합니다")
                envelope = StoreUnavailable().envelope()
            except Exception:
                log.exception("메시지 처리 중 예상하지 못한 오류")
                envelope = http_failure(500)
            if not engineio_guard.acknowledged.get():
                self._broadcasts.error(sid, envelope)
            return envelope

        return answer


def _only(payload: tuple[Any, ...]) -> Any:
    """Return the one argument that each message takes."""
    if len(payload) != 1:
        raise ValidationFailed(
            [{"field": "body", "rule": "model_type", "message": "JSON 객체 하나여야 합니다."}]
        )
    return payload[0]
