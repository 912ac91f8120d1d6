"""What attackers send: HTTP requests and WebSocket frames as bytes, over plain sockets."""

import contextlib
import http.client
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, PING = 0, 1, 2, 9
SMALL_FRAMES = 700_000
LARGE_FRAMES = 4_000_000
"""Bytes per second: rates at which one client held up all others."""
RETRY_S = 0.1
CHUNK = 65_536


@dataclass
class Target:
    """A server under attack, with the ids of the departments that attacks need, by their kind."""

    url: str
    seconds: float
    departments: dict[str, str]
    ends_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends_at = time.monotonic() + self.seconds

    @property
    def remaining_s(self) -> float:
        return max(0.0, self.ends_at - time.monotonic())

    def hold(self) -> None:
        """Keep what has been opened until the attack ends."""
        time.sleep(self.remaining_s)

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        tcp = socket.socket()
        if receive_buffer:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        tcp.settimeout(10)
        address = urlsplit(self.url)
        try:
            tcp.connect((address.hostname, address.port))
        except OSError:
            tcp.close()
            raise
        return tcp

    def websocket(self, *, joins: bool = True, receive_buffer: int | None = None) -> socket.socket:
        """Open a WebSocket; `joins`: the Socket.IO connection in it, too."""
        tcp = self.connect(receive_buffer)
        tcp.sendall(
            request(
                "GET",
                "/socket.io/?EIO=4&transport=websocket",
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            )
        )
        answer = tcp.recv(CHUNK)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(answer[:80])
        if joins:
            tcp.sendall(frame("40"))
            while b'42["connected"' not in answer:
                received = tcp.recv(CHUNK)
                if not received:
                    raise ConnectionError("closed before `connected`")
                answer += received
        return tcp

    def persist(self, attack: Callable[[], None]) -> None:
        """Begin an attack again and again, as soon as the server has ended its connection."""
        while self.remaining_s:
            with contextlib.suppress(OSError):
                attack()
            time.sleep(min(RETRY_S, self.remaining_s))

    def flood(
        self, tcp: socket.socket, parts: Iterable[bytes], bytes_per_s: int, *, reads: bool = True
    ) -> None:
        """Send parts without pause, no faster than a rate, until the attack ends. Drops what is answered.

        Raises `ConnectionError` when the server ends the connection.
        """
        tcp.setblocking(False)
        begun, sent, waiting = time.monotonic(), 0, memoryview(b"")
        source = iter(parts)
        while self.remaining_s:
            ahead_s = sent / bytes_per_s - (time.monotonic() - begun)
            writes = ahead_s <= 0
            readable, writable, _ = select.select(
                [tcp] if reads else [], [tcp] if writes else [], [], min(max(ahead_s, 0.0), 0.05) or 0.05
            )
            if readable:
                drop(tcp)
            if writable:
                waiting = waiting or memoryview(next(source))
                with contextlib.suppress(BlockingIOError):
                    taken = tcp.send(waiting[:CHUNK])
                    sent, waiting = sent + taken, waiting[taken:]


def drop(tcp: socket.socket) -> None:
    """Read and forget what has arrived. Raises `ConnectionError` at the end of the connection."""
    with contextlib.suppress(BlockingIOError):
        if not tcp.recv(1_000_000):
            raise ConnectionError("closed by the server")


def request(method: str, path: str, *headers: tuple[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def frame(payload: str | bytes, kind: int = TEXT, *, final: bool = True) -> bytes:
    """Return a masked WebSocket frame."""
    data = payload.encode() if isinstance(payload, str) else payload
    key = os.urandom(4)
    length = len(data)
    if length < 126:
        head = bytes([0x80 | length])
    elif length < 65_536:
        head = bytes([0xFE]) + length.to_bytes(2)
    else:
        head = bytes([0xFF]) + length.to_bytes(8)
    mask = (key * (length // 4 + 1))[:length]
    masked = (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(length) if length else b""
    return bytes([0x80 * final | kind]) + head + key + masked


def again_and_again(*frames: bytes) -> Iterator[bytes]:
    """Repeat small frames for ever, joined to parts of some kilobytes."""
    whole = b"".join(frames)
    part = whole * max(1, 4_000 // len(whole))
    while True:
        yield part


def in_threads(count: int, client: Callable[[], None]) -> None:
    """Run several clients at once, until all have ended."""
    threads = [threading.Thread(target=client, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def raise_file_limit() -> None:
    """Let this process open as many connections as it may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def close_all(held: Iterable[socket.socket]) -> None:
    for tcp in held:
        tcp.close()


def answer_to(tcp: socket.socket) -> bytes:
    """Read one answer of HTTP to its end; return its body."""
    answer = http.client.HTTPResponse(tcp)
    try:
        answer.begin()
        return answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError("closed by the server") from error
    finally:
        answer.close()
