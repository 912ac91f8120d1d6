"""Wraps the WebSockets of eventlet and simple-websocket: bounds their messages, and ends them cleanly."""

import contextlib
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any

import engineio

log = logging.getLogger(__name__)

UPGRADE_S = 10.0
"""How long a polling client may take to move to a WebSocket that it has opened."""


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


def checking_frames(websocket_server: Callable[..., Any], limit: int) -> Callable[..., Any]:
    """Wrap python-engineio's maker of WebSockets: `limit` is how many bytes a message may have."""

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
