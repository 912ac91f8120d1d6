"""Flask-SocketIO on guarded servers: malformed input ends the connection it came on, and no other.

Knows packets and connections, nothing of calendars. Overrides methods of python-socketio and python-engineio
where they offer no setting. A test of tests/api covers each; `library_versions.py` names the versions.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import engineio
import flask_socketio
import orjson
import socketio

from realtime.inbox import Inbox
from realtime.library_versions import require_supported
from realtime.refusals import METHODS, handshake_refusal, refusal
from realtime.websocket_adapters import checking_frames

log = logging.getLogger(__name__)

QUEUE_LIMIT = 1_000
"""Packets that may wait to be sent to one client."""
PACKETS_LIMIT = 5_000
"""Packets in one POST of a polling client: all its messages of one moment. The library allows 16."""
RESERVED = frozenset({"connect", "connect_error", "disconnect", "*"})
"""Names that no client library sends. python-socketio would call its handlers of other events for them."""

acknowledgement_wanted: ContextVar[bool] = ContextVar("acknowledgement_wanted", default=False)
"""Whether the message being handled asked for an acknowledgement. python-socketio does not tell handlers."""


class Json:
    """JSON in packets. orjson writes it: payloads may hold an `orjson.Fragment`, text that is JSON already.

    The library's own parser reads it: browsers can send halves of surrogate pairs. orjson refuses these,
    which would end the connection; the library accepts them, and validation answers with an error.
    """

    loads = staticmethod(engineio.json.loads)

    @staticmethod
    def dumps(data: Any, **_separators: Any) -> str:
        return orjson.dumps(data).decode()


class Packet(socketio.packet.Packet):  # type: ignore[misc] # no types
    """A packet that uses `Json`. The option `json` of python-socketio would set it for the whole process.

    The server sends no binary data. Packets are not searched for it, which saves 5 % of a storm of joins.
    """

    json = Json
    uses_binary_events = False


class OneLineWarning(logging.Filter):
    """Turns each record into a warning of one line: malformed input of a client deserves no traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = f"Socket.IO 클라이언트의 잘못된 요청: {record.getMessage()}"
        if record.exc_info and record.exc_info[1]:
            line += f": {record.exc_info[1]!r}"
        record.msg, record.args, record.exc_info = line, (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def engine_logger() -> logging.Logger:
    """Return python-engineio's logger, without its information about each packet."""
    logger = logging.getLogger("engineio.server")
    logger.setLevel(logging.WARNING)
    if not any(isinstance(present, OneLineWarning) for present in logger.filters):
        logger.addFilter(OneLineWarning())
    return logger


class GuardedEngine(engineio.Server):  # type: ignore[misc] # no types
    """The Engine.IO server, with limits on what a client may send and on what may wait for it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        engineio.payload.Payload.max_decode_packets = PACKETS_LIMIT  # documented; holds for the whole process
        library: dict[str, Any] = self._async  # shared by all engines of the process
        limit = int(self.max_http_buffer_size)
        self._async: Any = {**library, "websocket": checking_frames(library["websocket"], limit)}

    def handle_request(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer a request for Socket.IO. Refuse a malformed WebSocket handshake."""
        # Turns permessage-deflate off for all WebSockets: it costs a third of the CPU of every fan-out.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        if refused := handshake_refusal(environ):
            start_response(refused["status"], refused["headers"])
            answer = [refused["response"]]
        else:
            answer = super().handle_request(environ, start_response)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else answer

    def send_packet(self, sid: str, pkt: Any) -> None:
        """Queue a packet for a client. Disconnect a client whose queue is full, because it does not read.

        The library's queue has no limit: it would keep all that is sent to a client that does not read.
        """
        connection = self.sockets.get(sid)
        if connection is not None and connection.queue.qsize() >= QUEUE_LIMIT:
            log.warning("받은 것을 읽지 않는 클라이언트를 끊습니다. 다시 접속하면 이어서 동기화합니다.")
            self._cut_off(sid, connection)
        else:
            super().send_packet(sid, pkt)

    def disconnect(self, sid: str | None = None) -> None:
        """End one connection or all, without waiting for a client.

        The library waits until a polling client has fetched its queue, and a client may never do that.
        """
        for eio_sid in [sid] if sid else list(self.sockets):
            self.hang_up(eio_sid)

    def hang_up(self, sid: str) -> None:
        """End a connection without waiting for its client to read what is queued."""
        connection = self.sockets.get(sid)
        if connection is not None:
            connection.close(wait=False, reason=self.reason.SERVER_DISCONNECT)
            self.sockets.pop(sid, None)

    def _bad_request(self, message: str | None = None) -> dict[str, Any]:
        return refusal(HTTPStatus.BAD_REQUEST, message or "Bad Request")

    def _unauthorized(self, message: str | None = None) -> dict[str, Any]:
        return refusal(HTTPStatus.UNAUTHORIZED, message or "Unauthorized")

    def _method_not_found(self) -> dict[str, Any]:
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Found", ("Allow", METHODS))

    def _cut_off(self, sid: str, connection: Any) -> None:
        """End a connection now, and drop the packets that wait for its client."""
        connection.close(wait=False, abort=True, reason=self.reason.SERVER_DISCONNECT)
        self.sockets.pop(sid, None)
        try:
            while True:
                connection.queue.get(block=False)
                connection.queue.task_done()
        except self.get_queue_empty_exception():
            connection.queue.put(None)  # ends its writer
        websocket = getattr(connection, "checked_websocket", None)
        if websocket is not None:
            websocket.sever()


class GuardedServer(socketio.Server):  # type: ignore[misc] # no types
    """The Socket.IO server. Handles each client's messages in order, no faster than it reads the answers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.eio.on("message", self._receive)

    def is_crowded(self) -> bool:
        """Tell whether the queue of some client is more than half full."""
        connections = list(self.eio.sockets.values())
        return any(connection.queue.qsize() > QUEUE_LIMIT // 2 for connection in connections)

    def _engineio_server_class(self) -> type[GuardedEngine]:
        return GuardedEngine

    def _receive(self, eio_sid: str, data: Any) -> None:
        connection = self.eio.sockets.get(eio_sid)
        if connection is None:
            return
        if not hasattr(connection, "inbox"):
            connection.inbox = Inbox(self.eio, eio_sid, self._handle_eio_message)
        connection.inbox.receive(data, may_wait=connection.upgraded)

    def _handle_event_internal(
        self, server: Any, sid: str, eio_sid: str, data: Any, namespace: str, ack_id: int | None
    ) -> None:
        if data[0] in RESERVED:
            raise ValueError(f"a message named {data[0]}")
        token = acknowledgement_wanted.set(ack_id is not None)
        try:
            super()._handle_event_internal(server, sid, eio_sid, data, namespace, ack_id)
        finally:
            acknowledgement_wanted.reset(token)


class GuardedSocketIO(flask_socketio.SocketIO):  # type: ignore[misc] # no types
    """Flask-SocketIO whose `server` is a `GuardedServer`. Takes the options of Flask-SocketIO."""

    def init_app(self, app: Any, **options: Any) -> None:
        require_supported()
        super().init_app(app, serializer=Packet, engineio_logger=engine_logger(), **options)
        # Flask-SocketIO has no option for the class of its server; the server it made has served nothing yet.
        self.server = self.sockio_mw.engineio_app = GuardedServer(**self.server_options)
