"""The messages of Socket.IO clients: parse, call a service, answer the acknowledgement.

Sends nothing itself; what goes out besides the acknowledgement goes through `broadcasts.py`.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

from flask import request
from flask_socketio import SocketIO

import wire
from broadcasts import Broadcasts, delta_sync, full_sync, place_in
from domain import SyncToken
from errors import (
    CalendarError,
    SetupError,
    StoreUnavailable,
    SyncTokenExpired,
    UnknownMessage,
    ValidationFailed,
    failure_envelope,
)
from event_service import EventService
from schemas import CHANGES_MAX, LeaveMessage, SyncMessage, parse_id

log = logging.getLogger(__name__)

Handler = Callable[..., dict[str, Any]]


class Messages:
    """The handlers of every message, registered on a Socket.IO server."""

    def __init__(self, socketio: SocketIO, broadcasts: Broadcasts, events: EventService) -> None:
        self._rooms = socketio.server
        self._broadcasts = broadcasts
        self._events = events
        wire.harden(socketio.server)
        socketio.on_event("connect", self._connect)
        socketio.on_event("disconnect", self._disconnect)
        for name, handler in (
            ("join_department", self._join_department),
            ("leave_department", self._leave_department),
            ("sync_request", self._sync_request),
            ("*", self._unknown),
        ):
            socketio.on_event(name, self._answering(handler))

    def _connect(self, _auth: object = None) -> None:
        self._broadcasts.connect(_sid())

    def _disconnect(self, _reason: object = None) -> None:
        self._broadcasts.disconnect(_sid())

    def _join_department(self, *payload: Any) -> dict[str, Any]:
        message = SyncMessage.model_validate(_only(payload))
        department_id = parse_id(message.department_id)
        self._broadcasts.join(self._rooms, _sid(), department_id)
        if message.sync_token:
            missed = self._sync(department_id, message.sync_token)
            place = {name: missed[name] for name in ("department_id", "revision", "sync_token")}
            self._broadcasts.joined(_sid(), place)
            self._broadcasts.sync_response(_sid(), missed)
        else:
            place = place_in(self._events.department(department_id))
            self._broadcasts.joined(_sid(), place)
        return place

    def _leave_department(self, *payload: Any) -> dict[str, Any]:
        department_id = parse_id(LeaveMessage.model_validate(_only(payload)).department_id)
        self._broadcasts.leave(self._rooms, _sid(), department_id)
        self._broadcasts.left(_sid(), department_id)
        return {"department_id": department_id}

    def _sync_request(self, *payload: Any) -> dict[str, Any]:
        message = SyncMessage.model_validate(_only(payload))
        answer = self._sync(parse_id(message.department_id), message.sync_token)
        self._broadcasts.sync_response(_sid(), answer)
        return {name: answer[name] for name in ("department_id", "full", "revision", "sync_token")}

    def _unknown(self, name: Any, *_payload: Any) -> dict[str, Any]:
        raise UnknownMessage(f"서버가 모르는 메시지입니다: {str(name)[:100]}")

    def _sync(self, department_id: str, token: str) -> dict[str, Any]:
        """Return what was missed since a token; everything when it is empty, expired or too far back."""
        if token:
            try:
                delta = self._events.changes_since(department_id, token, CHANGES_MAX)
            except SyncTokenExpired:
                log.info("%s: a token has expired, the client gets everything", department_id)
            else:
                reached = SyncToken.parse(delta.sync_token)
                if reached and not delta.has_more:
                    return delta_sync(department_id, delta.changes, reached)
        return full_sync(self._events.whole(self._events.department(department_id)))

    def _answering(self, handler: Handler) -> Callable[..., dict[str, Any]]:
        """Wrap a handler so that it answers every message with the envelope of REST."""

        @functools.wraps(handler)
        def answer(*payload: Any) -> dict[str, Any]:
            try:
                return {"success": True, **handler(*payload)}
            except CalendarError as error:
                envelope = error.envelope()
            except SetupError:
                log.exception("the store needs the operator")
                envelope = StoreUnavailable().envelope()
            except Exception:
                log.exception("message handler failed")
                envelope = failure_envelope("internal_error", "서버 오류가 발생했습니다.")
            if not wire.acknowledged.get():
                self._broadcasts.error(_sid(), envelope)
            return envelope

        return answer


def _only(payload: tuple[Any, ...]) -> Any:
    """Return the one argument that each message takes."""
    if len(payload) != 1:
        raise ValidationFailed(
            [{"field": "body", "rule": "model_type", "message": "JSON 객체 하나여야 합니다."}]
        )
    return payload[0]


def _sid() -> str:
    sid: str = request.sid  # type: ignore[attr-defined] # Flask-SocketIO adds it
    return sid
