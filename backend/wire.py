"""What the Socket.IO libraries lack under real clients: rubbish on the wire ends its sender and nobody else.

Knows packets and connections, nothing of calendars. Hooks into python-socketio and python-engineio where
they offer no setting; each hook is held by a test of tests/doors, for the day these libraries change.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from engineio.packet import Packet

log = logging.getLogger(__name__)

acknowledged: ContextVar[bool] = ContextVar("acknowledged", default=False)
"""Whether the message being handled asked for an acknowledgement."""


class OneLine(logging.Filter):
    """Log a client's rubbish as one line: a traceback is for errors of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            record.msg = f"{record.getMessage()}: {record.exc_info[1]!r}"
            record.args = ()
            record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def engine_logger() -> logging.Logger:
    """Return the logger for python-engineio, which tells of nothing but broken connections."""
    logger = logging.getLogger("engineio.server")
    logger.setLevel(logging.WARNING)
    if not any(isinstance(present, OneLine) for present in logger.filters):
        logger.addFilter(OneLine())
    return logger


def harden(server: Any) -> None:
    """Guard a `socketio.Server` against malformed packets, and have it tell of acknowledgements."""
    engine = server.eio
    engine.disconnect = _disconnecting(engine)
    engine._async = {**engine._async, "websocket": _checking_frames(engine)}
    engine.on("message", _guarded_messages(engine, server._handle_eio_message))
    server._handle_event_internal = _noting_acknowledgements(server._handle_event_internal)


def hang_up(engine: Any, eio_sid: str) -> None:
    """End a connection without waiting for its client to read what is queued."""
    connection = engine.sockets.get(eio_sid)
    if connection is not None:
        connection.close(wait=False, reason=engine.reason.SERVER_DISCONNECT)
        engine.sockets.pop(eio_sid, None)


def _disconnecting(engine: Any) -> Callable[..., None]:
    """The library's own waits until a polling client has fetched its queue, which it may never do."""

    def disconnect(sid: str | None = None) -> None:
        for eio_sid in [sid] if sid else list(engine.sockets):
            hang_up(engine, eio_sid)

    return disconnect


class _Checked:
    """A WebSocket that ends, as if its client had hung up, at the first frame that is no packet.

    The library decodes outside of its own error handling and would leave the connection half open.
    """

    def __init__(self, websocket: Any, limit: int) -> None:
        self._websocket = websocket
        self._limit = limit

    def wait(self) -> Any:
        data = self._websocket.wait()
        if data is None:
            return None
        try:
            if len(data) > self._limit:
                raise ValueError(f"{len(data)} bytes")
            Packet(encoded_packet=data)
        except Exception as error:  # noqa: BLE001 - whatever a client sent
            log.warning("a client sent a frame that is no packet: %r", error)
            return None
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._websocket, name)


def _checking_frames(engine: Any) -> Callable[..., Any]:
    websocket_server = engine._async["websocket"]
    limit = int(engine.max_http_buffer_size)

    def checking(handler: Callable[[Any], Any], server: Any) -> Any:
        return websocket_server(lambda websocket: handler(_Checked(websocket, limit)), server)

    return checking


def _guarded_messages(engine: Any, handle: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def guarded(eio_sid: str, data: Any) -> None:
        try:
            handle(eio_sid, data)
        except Exception as error:  # noqa: BLE001 - whatever a client sent; our handlers catch their own
            log.warning("a client sent what is no Socket.IO packet: %r", error)
            hang_up(engine, eio_sid)

    return guarded


def _noting_acknowledgements(handle: Callable[..., Any]) -> Callable[..., Any]:
    """No public interface tells a handler whether its message asked for an acknowledgement."""

    def noting(server: Any, sid: str, eio_sid: str, data: Any, namespace: str, number: Any) -> Any:
        token = acknowledged.set(number is not None)
        try:
            return handle(server, sid, eio_sid, data, namespace, number)
        finally:
            acknowledged.reset(token)

    return noting
