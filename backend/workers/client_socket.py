"""The socket of an HTTP client as gunicorn uses it: nobody is waited for without end, nobody is served alone.

Knows HTTP only as bytes that come and go.
"""

import contextlib
import errno
import math
import socket
import struct
import time
from typing import Any

from turns import give_turn

BODY_S = 10.0
"""Seconds that a body may take in any case."""
BODY_RATE = 20_000
"""Bytes of a body that earn it another second: 1 MiB takes a minute at most, and 50 KB/s is fast enough."""
SMALL_BODY = 16 * 1024
"""Bytes that each client may send as a body, however much the others send."""
BODIES_LIMIT = 48 * 1024 * 1024
"""Bytes of unfinished requests above which the process disconnects who sends more than a small body."""
UNREAD_S = 30.0
"""After how many seconds in which a client takes nothing of its answer it is disconnected."""
UNSENT_BYTES = 256 * 1024
"""How much the kernel keeps of an answer beyond what is on its way. It would take megabytes at once, and
then nothing for as long as a slow client needs for these.
"""
RECEIVED_TURN = 8 * 1024
"""Bytes that are received before the other clients have their turn. In chunks of one byte they take 10 ms."""
SENT_TURN = 64 * 1024
"""Bytes that are sent before the other clients have their turn."""
RESET = struct.pack("ii", 1, 0)
"""For `SO_LINGER`: what is unsent goes at once. The kernel would keep it for a client that does not read."""


class Bodies:
    """How many bytes of unfinished requests a process holds."""

    held = 0


class ClientSocket:
    """Wraps a socket of a patched concurrency model; what is not defined here is the socket's own.

    Neither `recv` nor `send` of eventlet and gevent lets others go on while there is data.
    """

    def __init__(self, plain: Any, bodies: Bodies) -> None:
        self.plain = plain
        """The socket without limits, for who takes it over: a WebSocket."""
        self._bodies = bodies
        self._body_bytes = 0
        self._received = self._sent = 0  # in this turn
        self._body_ends_at = math.inf
        self._body_limit = math.inf
        if plain.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):  # macOS has none
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def begin_body(self, limit: float) -> None:
        """Expect the body of a request from now on, with at most `limit` bytes as it is encoded."""
        self._body_ends_at = time.monotonic() + BODY_S
        self._body_limit = limit

    def end_body(self) -> None:
        """Expect the rest of the body, which nobody keeps, and the next request: gunicorn times both."""
        self._body_ends_at = math.inf
        self._bodies.held -= self._body_bytes
        self._body_bytes = 0

    def hang_up(self) -> None:
        """End the connection, whoever waits for it."""
        with contextlib.suppress(OSError):  # the client may have done so
            self.plain.shutdown(socket.SHUT_RDWR)

    def recv(self, size: int) -> bytes:
        if self._received >= RECEIVED_TURN:
            self._received = 0
            give_turn()
        data = self._next_bytes(size) if self._body_ends_at == math.inf else self._next_of_body(size)
        self._received += len(data)
        return data

    def _next_bytes(self, size: int) -> bytes:
        try:
            return bytes(self.plain.recv(size))
        except OSError as error:
            if error.errno == errno.EBADF:  # what gevent raises in who waits when another hangs up
                return b""
            raise

    def _next_of_body(self, size: int) -> bytes:
        # What is there already is read in any case: the app may have been slow, not the client.
        data: bytes = self._within(max(self._body_ends_at - time.monotonic(), 0.001), self.plain.recv, size)
        self._body_ends_at += len(data) / BODY_RATE
        self._body_bytes += len(data)
        self._bodies.held += len(data)
        if self._body_bytes > self._body_limit:
            self._give_up("the body has too many bytes")
        if self._body_bytes > SMALL_BODY and self._bodies.held > BODIES_LIMIT:
            self._give_up("the bodies of all clients have too many bytes")
        return data

    def send(self, data: Any) -> int:
        if self._sent >= SENT_TURN:
            self._sent = 0
            give_turn()
        sent: int = self._within(UNREAD_S, self.plain.send, data[:SENT_TURN])
        self._sent += sent
        return sent

    def sendall(self, data: Any) -> None:
        """Send all data. Each step has its own time limit: that of gevent's `sendall` is for the whole."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest) :]

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file by `sendall`."""
        file.seek(offset)
        sent = 0
        while data := file.read(SENT_TURN if count is None else min(SENT_TURN, count - sent)):
            self.sendall(data)
            sent += len(data)
        return sent

    def _within(self, seconds: float, call: Any, argument: Any) -> Any:
        self.plain.settimeout(seconds)
        try:
            return call(argument)
        except TimeoutError:
            self._give_up("the client is too slow")
        finally:
            self.plain.settimeout(None)

    def _give_up(self, reason: str) -> None:
        """Raise what gunicorn takes for a client that has hung up."""
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        raise ConnectionResetError(errno.ECONNRESET, reason)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)
