"""What waits to be sent to one client, bounded in bytes: one large answer, and a megabyte beside it."""

import threading
from typing import Any

import engineio

from realtime.large_answers import LargePacket

SMALL_BYTES = 1_000_000
"""Most bytes of packets that wait for one client, beside one large answer."""
OVERHEAD_BYTES = 100
"""Rough memory of a waiting packet beside its text."""
BATCH_BYTES = 64 * 1024
"""About how much the sender takes at once."""
READ_BYTES = 64 * 1024
"""When no more than this waits for a client, it has read enough to get its next answer."""


class Outbox:
    """The queue of packets for one client, with the methods that python-engineio calls.

    Counts what is queued, and what the sender has taken but not yet sent.
    """

    def __init__(self, packets: Any, empty: type[Exception]) -> None:
        """`packets` is a queue of the concurrency model, `empty` what its `get` raises."""
        self._packets = packets
        self._empty = empty
        self._lock = threading.Lock()
        self._queued = self._taken = 0
        self._large_queued = self._large_taken = 0
        self._sent = threading.Event()

    @property
    def small_bytes(self) -> int:
        """Bytes of all that waits, large answers left out."""
        return self._queued + self._taken

    @property
    def large_answers(self) -> int:
        return self._large_queued + self._large_taken

    @property
    def is_read(self) -> bool:
        """Whether the client has read enough to get its next answer."""
        return self.small_bytes <= READ_BYTES and not self.large_answers

    def has_room_for(self, packet: Any) -> bool:
        """Tell whether a packet may be queued. A client that has left too much unread is to be cut off.

        One packet never fills an empty queue, however large it is: its client might never catch up.
        """
        if isinstance(packet, LargePacket):
            return not self.large_answers
        return self.small_bytes <= SMALL_BYTES

    def wait_until_sent(self, timeout_s: float) -> None:
        """Wait until the sender has sent what it took, or the connection ends."""
        self._sent.wait(timeout_s)
        self._sent.clear()

    def put(self, packet: Any) -> None:
        """Queue a packet, or None to end the sender. Leaves out CLOSE packets.

        After one, clients of python-socketio never connect again. All clients do when the transport ends.
        """
        if packet is not None and packet.packet_type == engineio.packet.CLOSE:
            return
        with self._lock:
            self._queued += _size(packet)
            self._large_queued += isinstance(packet, LargePacket)
        self._packets.put(packet)
        if packet is None:
            self._sent.set()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take a packet. A sender that waits for one has sent those that it took before.

        Without `block`, raises the queue's `Empty` when enough was taken for one batch, too.
        """
        if block:
            with self._lock:
                self._taken = self._large_taken = 0
            self._sent.set()
        elif self._taken > BATCH_BYTES or self._large_taken:
            raise self._empty
        packet = self._packets.get(block=block, timeout=timeout)
        with self._lock:
            size, large = _size(packet), isinstance(packet, LargePacket)
            self._queued -= size
            self._taken += size
            self._large_queued -= large
            self._large_taken += large
        return packet

    def task_done(self) -> None:
        """Do nothing: nobody joins this queue, as connections end without waiting for their clients."""

    def clear(self) -> None:
        """Drop all that waits, and end the sender."""
        try:
            while True:
                self._packets.get(block=False)
        except self._empty:
            with self._lock:
                self._queued = self._large_queued = 0
            self._packets.put(None)


def _size(packet: Any) -> int:
    """Return the size of a packet in bytes; a room shares a packet, so it is counted once."""
    if packet is None:
        return 0
    if not hasattr(packet, "waiting_bytes"):
        packet.waiting_bytes = OVERHEAD_BYTES + (
            len(packet.data.encode()) if isinstance(packet.data, str) else 0
        )
    size: int = packet.waiting_bytes
    return size
