"""Answers that hold a department's events: their JSON is sent in pieces, which all clients share."""

from collections.abc import Iterable, Iterator
from typing import Any

import engineio

EVENTS_MARK = "\0"
"""Stands for the events in the JSON around them, which cannot hold it: JSON escapes control characters."""
SLICE_BYTES = 16 * 1024
"""Most bytes of a shared piece that are copied to be sent: all that an unread answer takes for itself."""


class LargeEvents:
    """A JSON array in a payload, given as its pieces: JSON values separated by commas."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces


class LargeText:
    """The text of a packet with a `LargeEvents` in it."""

    def __init__(self, text: str, events: LargeEvents) -> None:
        """`text` has the mark where the array belongs."""
        before, after = text.split(EVENTS_MARK)
        self._before, self._after = before.encode(), after.encode()
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        """Yield the text in UTF-8, in slices, which may end within a character."""
        lead = self._before + b"["
        for piece in filter(None, self._events.pieces):
            yield lead
            for begin in range(0, len(piece), SLICE_BYTES):
                yield piece[begin : begin + SLICE_BYTES]
            lead = b","
        yield (b"" if lead == b"," else lead) + b"]" + self._after


class LargePacket(engineio.packet.Packet):  # type: ignore[misc] # no types
    """An Engine.IO message whose data is a `LargeText`."""

    def encode(self, b64: bool = False) -> Iterator[bytes]:
        """Yield the packet in UTF-8, in pieces."""
        yield b"4"
        yield from self.data


def large_events_in(arguments: Any) -> LargeEvents | None:
    """Return the large events in the data of a Socket.IO packet: `[name, payload]`."""
    if isinstance(arguments, list) and len(arguments) == 2 and isinstance(arguments[1], dict):
        events = arguments[1].get("events")
        return events if isinstance(events, LargeEvents) else None
    return None


def polled_payload(packets: list[Any]) -> Iterator[bytes]:
    """Yield the body of an answer to a polling client, in pieces."""
    separator = b""
    for packet in packets:
        yield separator
        if isinstance(packet, LargePacket):
            yield from packet.encode()
        else:
            yield packet.encode(b64=True).encode()
        separator = b"\x1e"
