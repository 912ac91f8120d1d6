"""One WebSocket for all concurrency models: the protocol of `websockets` over the HTTP server's TCP socket.

Bounds what a client sends: the size of a message, its fragments, and frames per second. Knows nothing of
Engine.IO.
"""

import contextlib
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol

from turns import SHORTEST_S

log = logging.getLogger(__name__)

MESSAGE_BYTES = 16 * 1024
"""Most bytes of one message from a client. Those of our clients have less than 1 KB."""
FRAGMENTS = 64
"""Most frames of one message: proxies may split messages, and empty fragments cost memory, too."""
SLICE_BYTES = 4096
"""Most bytes that are read in one turn. A read does not let other clients run while data is there."""
FRAMES_PER_S = 100
FRAMES_AT_ONCE = 500
"""Frames that a client may send without pause, as when it joins all its departments. Further ones are read at
`FRAMES_PER_S`: the client's own TCP connection holds the rest back.
"""
PONGS = 100
"""Most pongs that wait, of 130 bytes at most, while a client does not read."""
UNSENT_BYTES = 32 * 1024
"""Most bytes that the kernel keeps unsent. More would delay pings on a slow line."""
SENT_TURN_BYTES = 64 * 1024
"""Bytes of a message that are sent before others run: the kernel may take megabytes without a wait."""
CLOSE_CODE = CloseCode.SERVICE_RESTART
"""Says that the client is welcome to connect again."""
GOODBYE_S = 1.0
"""How long the end of a connection waits for a client that does not read."""

library_log = logging.getLogger("websockets.server")
library_log.setLevel(logging.WARNING)


def answer_handshake(environ: Mapping[str, Any]) -> Response:
    """Answer a WSGI request that asks for a WebSocket: with status 101, or with a refusal and its reason."""
    protocol = ServerProtocol(logger=library_log)
    headers = Headers()
    try:
        for name in ("Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"):
            headers[name] = environ.get(f"HTTP_{name.upper().replace('-', '_')}", "").strip()
    except InvalidHeader as error:
        return protocol.reject(HTTPStatus.BAD_REQUEST, str(error))
    request = Request(
        environ.get("PATH_INFO", "/"),
        headers,
        method=environ["REQUEST_METHOD"],
        protocol=environ["SERVER_PROTOCOL"],
    )
    return protocol.accept(request)


class _Refused(Exception):
    """A frame is correct by the protocol, but not accepted here; `code` tells the client why."""

    def __init__(self, code: CloseCode) -> None:
        self.code = code
        super().__init__(code.name)


class WebSocket:
    """The server's side of one WebSocket, after its handshake. One thread receives, one sends."""

    def __init__(self, tcp: Any, sleep: Callable[[float], object], idle_s: float) -> None:
        """`tcp` is a socket of the concurrency model, given up when nothing comes or goes for `idle_s`."""
        self._tcp = tcp
        self._sleep = sleep
        self._protocol = Protocol(Side.SERVER, max_size=MESSAGE_BYTES, logger=library_log)
        self._lock = threading.Lock()
        """Held while the protocol is used."""
        self._writing = threading.Lock()
        """Held while something is written to the socket."""
        self._unwritten: deque[bytes] = deque()
        self._received: deque[str] = deque()
        self._fragments: list[bytes] = []
        self._allowed = float(FRAMES_AT_ONCE)
        self._allowed_at = time.monotonic()
        tcp.settimeout(idle_s)
        with contextlib.suppress(OSError, AttributeError):  # a Unix socket; a system without the option
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def wait(self) -> str | None:
        """Return the next message; None when the connection has ended or the client has broken a rule."""
        while not self._received:
            if self._protocol.state is not State.OPEN:
                return None
            self._read()
        return self._received.popleft()

    def send(self, message: str | Iterable[bytes]) -> None:
        """Send a message: a text, or the pieces of one in UTF-8, each of which is sent as a fragment.

        Returns when the kernel has taken it. Raises `OSError` when the connection has ended or its client
        does not read.
        """
        if isinstance(message, str):
            self._send_fragment(message.encode(), first=True, last=True)
            return
        first, in_turn = True, 0
        for fragment in message:
            self._send_fragment(fragment, first=first, last=False)
            first = False
            in_turn += len(fragment)
            if in_turn >= SENT_TURN_BYTES:
                in_turn = 0
                self._sleep(SHORTEST_S)
        self._send_fragment(b"", first=first, last=True)

    def close(self) -> None:
        """Say goodbye, unless the client does not read, and end the connection."""
        with self._lock:
            if self._protocol.state is State.OPEN and not self._protocol.expect_continuation_frame:
                self._protocol.send_close(CLOSE_CODE)
                self._collect()
        with contextlib.suppress(OSError):  # its client may have reset the connection
            self._tcp.settimeout(GOODBYE_S)
            self._write_collected(wait=False)
        self.sever()

    def sever(self) -> None:
        """End the TCP connection, even while a thread waits for its client."""
        with contextlib.suppress(OSError):  # it may be gone already
            self._tcp.shutdown(socket.SHUT_RDWR)

    # Receiving

    def _read(self) -> None:
        try:
            data = self._tcp.recv(SLICE_BYTES)
        except OSError:  # reset, or nothing came for too long
            data = b""
        with self._lock:
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            frames = [event for event in self._protocol.events_received() if isinstance(event, Frame)]
            broken = self._protocol.parser_exc
            try:
                for frame in frames:
                    self._take(frame)
            except _Refused as refused:
                broken = refused
                self._protocol.fail(refused.code)
            if broken and not isinstance(broken, EOFError):  # which says that the client is gone
                log.warning("서버가 받지 않는 WebSocket 메시지를 클라이언트가 보냈습니다: %s", broken)
            self._collect()
        with contextlib.suppress(OSError):  # then there is nothing to read any more, either
            self._write_collected(wait=False)
        if len(self._unwritten) > PONGS:
            log.warning("받은 것을 읽지 않으면서 ping을 계속 보내는 클라이언트를 끊습니다.")
            self.sever()
        self._pace(len(frames))

    def _take(self, frame: Frame) -> None:
        """Take a frame that the protocol has accepted; it answers pings itself."""
        if frame.opcode is Opcode.BINARY:
            raise _Refused(CloseCode.UNSUPPORTED_DATA)
        if frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return
        self._fragments.append(bytes(frame.data))
        if len(self._fragments) > FRAGMENTS:
            raise _Refused(CloseCode.MESSAGE_TOO_BIG)
        if frame.fin:
            try:
                self._received.append(b"".join(self._fragments).decode())
            except UnicodeDecodeError as error:
                raise _Refused(CloseCode.INVALID_DATA) from error
            self._fragments.clear()

    def _pace(self, frames: int) -> None:
        """Let others run, and pause a client that sends more frames than it may."""
        now = time.monotonic()
        earned = (now - self._allowed_at) * FRAMES_PER_S
        self._allowed = min(self._allowed + earned, FRAMES_AT_ONCE) - max(frames, 1)
        self._allowed_at = now
        self._sleep(max(SHORTEST_S, -self._allowed / FRAMES_PER_S))

    # Sending

    def _send_fragment(self, data: bytes, *, first: bool, last: bool) -> None:
        with self._lock:
            if self._protocol.state is not State.OPEN:
                raise ConnectionAbortedError
            if first:
                self._protocol.send_text(data, fin=last)
            else:
                self._protocol.send_continuation(data, fin=last)
            self._collect()
        self._write_collected(wait=True)

    def _collect(self) -> None:
        self._unwritten.extend(self._protocol.data_to_send())

    def _write_collected(self, *, wait: bool) -> None:
        """Write what the protocol wants to send. If another thread writes, let it go on, or `wait` for it."""
        while self._unwritten and self._writing.acquire(blocking=wait):
            try:
                while self._unwritten:
                    self._write(self._unwritten.popleft())
            except OSError:
                self._unwritten.clear()
                self.sever()
                raise
            finally:
                self._writing.release()

    def _write(self, data: bytes) -> None:
        if not data:  # the protocol's sign that nothing follows
            self._tcp.shutdown(socket.SHUT_WR)
        rest = memoryview(data)
        while rest:  # not `sendall`: in some models its time limit is for all data, here it is for each step
            rest = rest[self._tcp.send(rest) :]
