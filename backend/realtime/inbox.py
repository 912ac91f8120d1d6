"""The messages of one client: handled in order, and no faster than the client reads its answers."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

log = logging.getLogger(__name__)

QUEUE_BYTES = 256 * 1024
"""Most memory of the messages of one client that wait to be handled."""
OVERHEAD_BYTES = 100
"""Rough memory of a queued message beside its text."""
CHECK_S = 1.0
"""How often it is checked whether a client that does not read is still there."""


class Inbox:
    """The queue of one client's messages.

    A message is handled at once when no other waits and the client has read its answers. Otherwise it is
    queued: the reader of a connection goes on, so that the answers to pings arrive. A client may fetch its
    answers only after its POST has returned, or after its upgrade to WebSocket.
    """

    def __init__(self, engine: Any, eio_sid: str, handle: Callable[[str, Any], None]) -> None:
        self._engine = engine
        self._eio_sid = eio_sid
        self._handle = handle
        self._lock = threading.Lock()
        self._queue: deque[str] = deque()
        self._queued_bytes = 0
        self._busy = False
        """Whether a message is being handled, or a task will see to those that wait."""
        self._rest: Iterator[object] | None = None
        """Sends the next part of the answer to the last message with each step."""

    def receive(self, data: str) -> None:
        """Handle a message after the earlier ones, when the client has read their answers.

        Ends the connection of a client that has too many messages in the queue.
        """
        with self._lock:
            waits, starts = self._busy or not self._has_read(), not self._busy
            if waits:
                self._queue.append(data)
                self._queued_bytes += len(data) + OVERHEAD_BYTES
            too_much = self._queued_bytes > QUEUE_BYTES
            self._busy = True
        if too_much:
            log.warning("읽는 것보다 많이 보내는 클라이언트를 끊습니다.")
            self._engine.hang_up(self._eio_sid)
        if not waits:
            try:
                self._handle_one(data)
            finally:
                self._go_on()
        elif starts:
            self._engine.start_background_task(self._drain)

    def continue_answer(self, steps: Iterator[object]) -> None:
        """Take one step each time the client has read what was sent before; handle no message meanwhile."""
        with self._lock:
            self._rest = steps
            starts, self._busy = not self._busy, True
        if starts:
            self._engine.start_background_task(self._drain)

    @property
    def is_busy(self) -> bool:
        """Whether a message is being handled or waits, or the rest of an answer."""
        return self._busy

    def _go_on(self) -> None:
        """Leave what has come meanwhile to a task."""
        with self._lock:
            self._busy = bool(self._queue) or self._rest is not None
        if self._busy:
            self._engine.start_background_task(self._drain)

    def _drain(self) -> None:
        while True:
            self._wait_until_read()
            if self._send_rest():
                continue
            with self._lock:
                if not self._queue:
                    self._busy = False
                    return
                data = self._queue.popleft()
                self._queued_bytes -= len(data) + OVERHEAD_BYTES
            self._handle_one(data)

    def _send_rest(self) -> bool:
        """Send the next part of an unfinished answer; return False if there is none."""
        if self._rest is None or not self._is_connected():
            self._rest = None
            return False
        try:
            next(self._rest)
        except StopIteration:
            self._rest = None
        except Exception as error:  # noqa: BLE001 - the store failed; the client asks again when it is back
            log.warning("응답의 나머지를 보내지 못해 클라이언트를 끊습니다: %r", error)
            self._engine.hang_up(self._eio_sid)
        return True

    def _is_connected(self) -> bool:
        return self._eio_sid in self._engine.sockets

    def _has_read(self) -> bool:
        """Tell whether the client has read enough; or is gone, so that nobody waits for it."""
        connection = self._engine.sockets.get(self._eio_sid)
        return connection is None or connection.queue.is_read

    def _wait_until_read(self) -> None:
        while connection := self._engine.sockets.get(self._eio_sid):
            if connection.queue.is_read:
                return
            connection.queue.wait_until_sent(CHECK_S)

    def _handle_one(self, data: str) -> None:
        if not self._is_connected():
            return
        try:
            self._handle(self._eio_sid, data)
        except Exception as error:  # noqa: BLE001 - the library on malformed input; our handlers catch their own
            log.warning("클라이언트가 Socket.IO 패킷이 아닌 것을 보냈습니다: %r", error)
            self._engine.hang_up(self._eio_sid)
