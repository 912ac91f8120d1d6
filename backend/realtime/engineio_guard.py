"""What the Socket.IO libraries lack under real clients: rubbish on the wire ends its sender and nobody else.

Knows packets and connections, nothing of calendars. Hooks into python-socketio and python-engineio where
they offer no setting; each hook is held by a test of tests/api, for the day these libraries change.
"""

import contextlib
import functools
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import engineio
import orjson
import socketio

log = logging.getLogger(__name__)

QUEUE_LIMIT = 1_000
"""Packets that may wait for one client."""
ANSWERING_LIMIT = 4
"""Packets that may wait for a client when its next message is handled: answers can be megabytes each."""
MESSAGE_BYTES = 100
"""What a message takes in memory beside its text."""
TURN_S = 0.01
PACKETS_LIMIT = 5_000
"""Packets in one body of a polling client: its messages of one moment. The library drops more than 16."""
UPGRADE_S = 10.0
"""How long a polling client may take to move to a WebSocket that it has opened."""

RESERVED = frozenset({"connect", "connect_error", "disconnect", "*"})
"""Names that no client library sends; the server library would call a handler of ours as if by itself."""

acknowledged: ContextVar[bool] = ContextVar("acknowledged", default=False)
"""Whether the message being handled asked for an acknowledgement."""


class Json:
    """JSON as our packets carry it. What is made already goes as `orjson.Fragment`.

    Read by the library's own reader: halves of surrogate pairs, which browsers can send and orjson refuses,
    are worth an answer.
    """

    loads = staticmethod(engineio.json.loads)

    @staticmethod
    def dumps(data: Any, **_separators: Any) -> str:
        return orjson.dumps(data).decode()


class Packet(socketio.packet.Packet):  # type: ignore[misc] # no types
    """A class of our own: the library would set a `json` of ours for every client in this process, too.

    What we send is never binary: not to look through each packet for bytes is 5 % of a storm of joins.
    """

    json = Json
    uses_binary_events = False


class OneLine(logging.Filter):
    """Log a client's rubbish as one line: a traceback is for errors of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        told = f"Socket.IO 클라이언트의 잘못된 요청: {record.getMessage()}"
        if record.exc_info and record.exc_info[1]:
            told += f": {record.exc_info[1]!r}"
        record.msg, record.args, record.exc_info = told, (), None
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
    engineio.payload.Payload.max_decode_packets = PACKETS_LIMIT
    engine.disconnect = _disconnecting(engine)
    engine.send_packet = _bounded_sending(engine)
    engine._async = {**engine._async, "websocket": _checking_frames(engine)}
    engine.on("message", _guarded_messages(engine, server._handle_eio_message))
    server._handle_event_internal = _noting_acknowledgements(server._handle_event_internal)


def crowded(server: Any) -> bool:
    """Tell whether some client of a `socketio.Server` has half of all that may wait for it before it."""
    connections = list(server.eio.sockets.values())
    return any(connection.queue.qsize() > QUEUE_LIMIT // 2 for connection in connections)


def hang_up(engine: Any, eio_sid: str) -> None:
    """End a connection without waiting for its client to read what is queued."""
    connection = engine.sockets.get(eio_sid)
    if connection is not None:
        connection.close(wait=False, reason=engine.reason.SERVER_DISCONNECT)
        engine.sockets.pop(eio_sid, None)


def _bounded_sending(engine: Any) -> Callable[[str, Any], None]:
    """The library's queue for each client is unbounded: one who stops reading would hold all that is sent."""
    send = engine.send_packet

    def bounded(eio_sid: str, packet: Any) -> None:
        connection = engine.sockets.get(eio_sid)
        if connection is not None and connection.queue.qsize() >= QUEUE_LIMIT:
            log.warning("받은 것을 읽지 않는 클라이언트를 끊습니다. 다시 접속하면 이어서 동기화합니다.")
            _cut_off(engine, eio_sid, connection)
        else:
            send(eio_sid, packet)

    return bounded


def _cut_off(engine: Any, eio_sid: str, connection: Any) -> None:
    """End a connection now, and free what waits for its client."""
    connection.close(wait=False, abort=True, reason=engine.reason.SERVER_DISCONNECT)
    engine.sockets.pop(eio_sid, None)
    try:
        while True:
            connection.queue.get(block=False)
            connection.queue.task_done()
    except engine.get_queue_empty_exception():
        connection.queue.put(None)  # ends its writer
    websocket = getattr(connection, "checked_websocket", None)
    if websocket is not None:
        websocket.sever()


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

    def __init__(self, websocket: Any, connection: Any, limit: int) -> None:
        self._websocket = websocket
        self._connection = connection
        self._limit = limit
        self._probed = not connection.connected  # one that begins as a WebSocket is not probed
        self.send = websocket.send
        if connection.connected:
            connection.server.start_background_task(self._end_unless_upgraded)

    def wait(self) -> Any:
        if self._probed:
            return self._frame()
        # Until the probe is here the client polls, and proxies exist that let no frame through; but the
        # library answers polls with nothing from the moment that the WebSocket is open.
        self._connection.upgrading = False
        probe = self._frame()
        self._connection.upgrading = self._probed = True
        return probe

    def _frame(self) -> Any:
        try:
            data = self._websocket.wait()
        except OSError:  # nothing came for too long
            return None
        if data is None:
            return None
        try:
            if len(data) > self._limit:
                raise ValueError(f"{len(data)} bytes")
            engineio.packet.Packet(encoded_packet=data)
        except Exception as error:  # noqa: BLE001 - whatever a client sent
            log.warning("클라이언트가 패킷이 아닌 프레임을 보냈습니다: %r", error)
            return None
        return data

    def _end_unless_upgraded(self) -> None:
        self._connection.server.sleep(UPGRADE_S)
        if not self._connection.upgraded:
            self.sever()

    def close(self, *reason: Any) -> None:
        with contextlib.suppress(OSError):  # its client may have reset the connection
            self._websocket.close(*reason)

    def sever(self) -> None:
        """Shut the TCP connection under a writer that waits for its client."""
        inner = getattr(self._websocket, "ws", None)  # simple-websocket; eventlet's has its socket itself
        tcp = inner.sock if inner is not None else self._websocket.socket
        with contextlib.suppress(OSError):  # it may be gone already
            tcp.shutdown(socket.SHUT_RDWR)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._websocket, name)


class _EndsQuietly:
    """The log of eventlet's WebSocket, which it tells of nothing but that a socket was closed before."""

    def write(self, text: str) -> None:
        log.debug("%s", text)


class _WholeSends:
    """A socket whose `send` sends all: simple-websocket does not look at how much was taken, and gevent's
    sockets take a part when the buffer is full, which would garble the stream of a slow client.
    """

    def __init__(self, tcp: Any) -> None:
        self._tcp = tcp

    def send(self, data: bytes) -> None:
        self._tcp.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tcp, name)


@functools.cache
def _bounded_message(kind: Any, limit: int) -> Any:
    """Bound eventlet's messages as a whole: it bounds each frame, and keeps fragments without end."""

    class Bounded(kind):  # type: ignore[misc] # a class of eventlet's, which has no types
        size = 0

        def push(self, data: bytes, final: bool = False) -> None:
            self.size += len(data)
            if self.size > limit:
                raise ValueError(f"over {limit} bytes")  # eventlet ends the connection
            super().push(data, final)

    return Bounded


def _checking_frames(engine: Any) -> Callable[..., Any]:
    websocket_server = engine._async["websocket"]
    limit = int(engine.max_http_buffer_size)

    def checking(handler: Any, server: Any) -> Any:
        def serve(websocket: Any) -> Any:
            connection = handler.__self__
            if inner := getattr(websocket, "ws", None):  # simple-websocket
                inner.sock = _WholeSends(inner.sock)
                inner.max_message_size = limit
            else:
                websocket.Message = _bounded_message(websocket.Message, limit)
                websocket.log = _EndsQuietly()
            connection.checked_websocket = _Checked(websocket, connection, limit)
            return handler(connection.checked_websocket)

        return websocket_server(serve, server)

    return checking


class _Inbox:
    """Has one client's messages handled in order, and no faster than the client reads what it is answered.

    On a WebSocket the reader waits. A polling client may fetch its answers only after its POST has returned,
    or after its upgrade to WebSocket, so what it posts waits here instead. One who never reads goes with its
    ping timeout.
    """

    def __init__(self, engine: Any, eio_sid: str, handle: Callable[[str, Any], None], limit: int) -> None:
        self._engine = engine
        self._eio_sid = eio_sid
        self._handle = handle
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: deque[Any] = deque()
        self._kept_bytes = 0
        self._handling = False  # what is kept

    def take(self, data: Any, *, read_by_us: bool) -> None:
        """Handle a message, now or in its turn. Our own reader of a WebSocket can wait for that."""
        while self._handling or not self._has_read():
            if not read_by_us:
                self._keep(data)
                return
            self._engine.sleep(TURN_S)
        self._handle_one(data)

    def _keep(self, data: Any) -> None:
        with self._lock:
            self._kept.append(data)
            self._kept_bytes += len(data) + MESSAGE_BYTES
            too_much = self._kept_bytes > self._limit
            first, self._handling = not self._handling, True
        if first:
            self._engine.start_background_task(self._handle_kept)
        if too_much:
            log.warning("읽는 것보다 많이 보내는 클라이언트를 끊습니다.")
            hang_up(self._engine, self._eio_sid)

    def _handle_kept(self) -> None:
        while True:
            with self._lock:
                if not self._kept:
                    self._handling = False
                    return
                data = self._kept.popleft()
                self._kept_bytes -= len(data) + MESSAGE_BYTES
            while not self._has_read():
                self._engine.sleep(TURN_S)
            self._handle_one(data)

    def _has_read(self) -> bool:
        """Whether few answers wait for the client, or it is gone, which ends all waiting."""
        connection = self._engine.sockets.get(self._eio_sid)
        return connection is None or connection.queue.qsize() <= ANSWERING_LIMIT

    def _handle_one(self, data: Any) -> None:
        if self._eio_sid not in self._engine.sockets:
            return
        try:
            self._handle(self._eio_sid, data)
        except Exception as error:  # noqa: BLE001 - whatever a client sent; our handlers catch their own
            log.warning("클라이언트가 Socket.IO 패킷이 아닌 것을 보냈습니다: %r", error)
            hang_up(self._engine, self._eio_sid)


def _guarded_messages(engine: Any, handle: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    limit = int(engine.max_http_buffer_size)

    def guarded(eio_sid: str, data: Any) -> None:
        connection = engine.sockets.get(eio_sid)
        if connection is None:
            return
        if not hasattr(connection, "inbox"):
            connection.inbox = _Inbox(engine, eio_sid, handle, limit)
        connection.inbox.take(data, read_by_us=connection.upgraded)

    return guarded


def _noting_acknowledgements(handle: Callable[..., Any]) -> Callable[..., Any]:
    """No public interface tells a handler whether its message asked for an acknowledgement."""

    def noting(server: Any, sid: str, eio_sid: str, data: Any, namespace: str, number: Any) -> Any:
        if data[0] in RESERVED:
            raise ValueError(f"a message named {data[0]}")
        token = acknowledged.set(number is not None)
        try:
            return handle(server, sid, eio_sid, data, namespace, number)
        finally:
            acknowledged.reset(token)

    return noting
