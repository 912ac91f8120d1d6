"""Flask-SocketIO on guarded servers: malformed input ends the connection it came on, and no other.

Knows packets and connections, nothing of calendars. Overrides methods of python-socketio and python-engineio
where they offer no setting. A test of tests/api covers each; `library_versions.py` names the versions.
"""

import functools
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import engineio
import flask_socketio
import orjson
import socketio
from werkzeug.wsgi import get_content_length

from errors import CalendarError
from networks import network_of
from realtime.admission import OpenAdmission
from realtime.inbox import Inbox
from realtime.large_answers import (
    EVENTS_MARK,
    LargeEvents,
    LargePacket,
    LargeText,
    large_events_in,
    polled_payload,
)
from realtime.library_versions import require_supported
from realtime.outbox import SMALL_BYTES, Outbox
from realtime.pings import Pings
from realtime.refusals import METHODS, handshake_refusal, refusal, refusal_of
from realtime.silent_clients import SilentClients
from realtime.websocket import MESSAGE_BYTES
from realtime.websocket_transport import websocket_app

log = logging.getLogger(__name__)

POST_BYTES = 64 * 1024
"""Most bytes of one POST of a polling client; the handshake tells clients."""
PACKETS_LIMIT = 1_000
"""Packets in one POST of a polling client: all its messages of one moment. The library allows 16."""
SHUTDOWN_S = 2.0
"""Over how many seconds the connections end when the server stops, so that not all clients return at once."""
RESERVED = frozenset({"connect", "connect_error", "disconnect", "*"})
"""Names that no client library sends. python-socketio would call its handlers of other events for them."""
BINARY_TYPES = ("5", "6")
"""First characters of Socket.IO packets with binary attachments, which no client of ours sends."""

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
        return orjson.dumps(data, default=_mark).decode()


def _mark(value: object) -> orjson.Fragment:
    if isinstance(value, LargeEvents):
        return orjson.Fragment(EVENTS_MARK.encode())
    raise TypeError(f"{type(value).__name__} in a payload")


class Packet(socketio.packet.Packet):  # type: ignore[misc] # no types
    """A packet that uses `Json`. The option `json` of python-socketio would set it for the whole process.

    The server sends no binary data. Packets are not searched for it, which saves 5 % of a storm of joins.
    """

    json = Json
    uses_binary_events = False

    def encode(self) -> str | LargeText:
        text: str = super().encode()
        events = large_events_in(self.data)
        return text if events is None else LargeText(text, events)


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
        super().__init__(max_http_buffer_size=POST_BYTES, **options)
        engineio.payload.Payload.max_decode_packets = PACKETS_LIMIT  # documented; holds for the whole process
        library: dict[str, Any] = self._async  # shared by all engines of the process
        self._async: Any = {**library, "websocket": websocket_app}
        self.admit: Callable[[dict[str, Any]], None] = lambda _environ: None
        """Called before anything is kept of a new client; raises `CalendarError` to refuse it."""

    def create_queue(self, *args: Any, **kwargs: Any) -> Outbox:
        """Return the queue of what is sent to one client."""
        return Outbox(super().create_queue(*args, **kwargs), self.get_queue_empty_exception())

    def handle_request(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request for Socket.IO. Refuse a malformed WebSocket handshake, JSONP, and a long POST."""
        query = parse_qs(environ.get("QUERY_STRING", ""))
        refused = handshake_refusal(environ)
        if refused is None and "j" in query:
            refused = refusal(HTTPStatus.BAD_REQUEST, "JSONP is not supported")
        if refused is None and (get_content_length(environ) or 0) > POST_BYTES:
            log.warning("클라이언트가 %d바이트보다 긴 POST를 보냈습니다.", POST_BYTES)
            refused = refusal(HTTPStatus.BAD_REQUEST, f"Messages of more than {POST_BYTES} bytes in one POST")
            self.hang_up(query.get("sid", [""])[0])
        if refused is None and "sid" not in query and environ["REQUEST_METHOD"] == "GET":
            try:
                self.admit(environ)
            except CalendarError as error:
                refused = refusal_of(error)
        if refused:
            start_response(refused["status"], refused["headers"])
            answer = [refused["response"]]
        else:
            answer = super().handle_request(environ, start_response)
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return answer[0] if len(answer) == 1 and isinstance(answer[0], Iterator) else answer

    def send_packet(self, sid: str, pkt: Any) -> None:
        """Queue a packet for a client. Disconnect a client that leaves too much unread.

        The library's queue has no limit: it would keep all that is sent to a client that does not read.
        """
        connection = self.sockets.get(sid)
        if connection is not None and not connection.queue.has_room_for(pkt):
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

    def hang_up_all(self) -> None:
        """End all connections, in random order, spread over `SHUTDOWN_S`."""
        remaining = list(self.sockets)
        random.shuffle(remaining)
        started = time.monotonic()
        for number, sid in enumerate(remaining):
            self.sleep(max(0.0, started + SHUTDOWN_S * number / len(remaining) - time.monotonic()))
            self.hang_up(sid)
        self.disconnect()  # those who came meanwhile

    def hang_up(self, sid: str) -> None:
        """End a connection without waiting for its client to read what is queued."""
        connection = self.sockets.get(sid)
        if connection is not None:
            connection.close(wait=False, reason=self.reason.SERVER_DISCONNECT)
            self.sockets.pop(sid, None)

    def _ok(self, packets: Any = None, headers: Any = None, jsonp_index: int | None = None) -> dict[str, Any]:
        large = any(isinstance(packet, LargePacket) for packet in packets or ())
        answer: dict[str, Any] = super()._ok([] if large else packets, headers, jsonp_index)
        if large:
            answer["response"] = polled_payload(packets)
        return answer

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
        connection.queue.clear()
        if websocket := getattr(connection, "websocket", None):
            websocket.sever()


class GuardedServer(socketio.Server):  # type: ignore[misc] # no types
    """The Socket.IO server. Handles each client's messages in order, no faster than it reads the answers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.eio.on("message", self._receive)
        self.admission = OpenAdmission()
        self.eio.admit = lambda environ: self.admission.admit(environ)
        self.authenticate: Callable[[str, dict[str, Any], object], None] = lambda _sid, _environ, _auth: None
        """Called before a client is connected; raises python-socketio's `ConnectionRefusedError`."""
        self._silent = SilentClients(self.eio)
        self._pings = Pings(self.eio)

    def is_crowded(self, sids: Iterable[str]) -> bool:
        """Tell whether one of these clients has left unread a quarter of what it may."""
        eio_sids = [self.manager.eio_sid_from_sid(sid, "/") for sid in sids]
        connections = [self.eio.sockets.get(eio_sid) for eio_sid in eio_sids]
        return any(found.queue.small_bytes > SMALL_BYTES // 4 for found in connections if found)

    def continue_answer(self, sid: str, steps: Iterator[object]) -> None:
        """Send the rest of an answer: a step each time that the client has read what was sent before."""
        connection = self.eio.sockets.get(self.manager.eio_sid_from_sid(sid, "/"))
        if connection is not None:
            connection.inbox.continue_answer(steps)

    def _engineio_server_class(self) -> type[GuardedEngine]:
        return GuardedEngine

    def _send_eio_packet(self, eio_sid: str, eio_pkt: Any) -> None:
        if isinstance(eio_pkt.data, LargeText):
            eio_pkt = LargePacket(engineio.packet.MESSAGE, eio_pkt.data)
        super()._send_eio_packet(eio_sid, eio_pkt)

    def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> Any:
        is_stranger = self.admission.opened(eio_sid, environ)
        network = network_of(environ.get("REMOTE_ADDR", ""))
        self._silent.watch(eio_sid, network, is_stranger=is_stranger)
        if connection := self.eio.sockets.get(eio_sid):  # Flask-SocketIO's test client has none
            connection.last_ping = None  # who never sends CONNECT needs no ping: it is ended before
            connection.schedule_ping = functools.partial(self._pings.schedule, eio_sid)
        return super()._handle_eio_connect(eio_sid, environ)

    def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        try:
            self.authenticate(eio_sid, self.environ[eio_sid], data)
        except socketio.exceptions.ConnectionRefusedError as error:
            # Here, as with `always_connect` the library has let the client in before its handler refuses.
            refused = Packet(socketio.packet.CONNECT_ERROR, data=error.error_args, namespace=namespace or "/")
            self._send_packet(eio_sid, refused)
            return
        super()._handle_connect(eio_sid, namespace, data)
        connection = self.eio.sockets.get(eio_sid)
        if connection and self.manager.sid_from_eio_sid(eio_sid, "/") and self._silent.forget(eio_sid):
            connection.last_ping = time.time()
            self._pings.schedule(eio_sid)

    def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        self._silent.forget(eio_sid)
        self.admission.closed(eio_sid)
        super()._handle_eio_disconnect(eio_sid, reason)

    def _receive(self, eio_sid: str, data: Any) -> None:
        connection = self.eio.sockets.get(eio_sid)
        if connection is None:
            return
        if not isinstance(data, str) or len(data) > MESSAGE_BYTES or data.startswith(BINARY_TYPES):
            log.warning("클라이언트가 이진 데이터나 너무 긴 메시지를 보냈습니다.")
            self.eio.hang_up(eio_sid)
            return
        if not hasattr(connection, "inbox"):
            connection.inbox = Inbox(self.eio, eio_sid, self._handle_eio_message)
        connection.inbox.receive(data)

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
