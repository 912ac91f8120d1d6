"""The messages of one client: handled in order, and no faster than the client reads its answers."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

UNREAD_LIMIT = 4
"""Packets that may wait for a client when its next message is handled: each can be megabytes."""
MESSAGE_BYTES = 100
"""Rough memory of a queued message beside its text."""
CHECK_S = 0.01
"""How often a waiting reader checks whether the client has read."""


class Inbox:
    """The queue of one client's messages.

    The reader of a WebSocket may wait until the client has read its answers. A POST of a polling client may
    not wait: the client may fetch its answers only after the POST has returned, or after its upgrade to
    WebSocket. So the messages of POSTs are queued here. The ping timeout ends a client that never reads.
    """

    def __init__(self, engine: Any, eio_sid: str, handle: Callable[[str, Any], None]) -> None:
        self._engine = engine
        self._eio_sid = eio_sid
        self._handle = handle
        self._limit = int(engine.max_http_buffer_size)
        self._lock = threading.Lock()
        self._queue: deque[Any] = deque()
        self._queued_bytes = 0
        self._draining = False

    def receive(self, data: Any, *, may_wait: bool) -> None:
        """Handle a message after the earlier ones, when the client has read. If not `may_wait`, queue it."""
        while self._draining or not self._has_read():
            if not may_wait:
                self._enqueue(data)
                return
            self._engine.sleep(CHECK_S)
        self._handle_one(data)

    def _enqueue(self, data: Any) -> None:
        with self._lock:
            self._queue.append(data)
            self._queued_bytes += len(data) + MESSAGE_BYTES
            too_much = self._queued_bytes > self._limit
            first, self._draining = not self._draining, True
        if first:
            self._engine.start_background_task(self._drain)
        if too_much:
            log.warning("읽는 것보다 많이 보내는 클라이언트를 끊습니다.")
            self._engine.hang_up(self._eio_sid)

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._draining = False
                    return
                data = self._queue.popleft()
                self._queued_bytes -= len(data) + MESSAGE_BYTES
            while not self._has_read():
                self._engine.sleep(CHECK_S)
            self._handle_one(data)

    def _has_read(self) -> bool:
        """Tell whether the client has read enough. True for a client that is gone, so that waiting ends."""
        connection = self._engine.sockets.get(self._eio_sid)
        return connection is None or connection.queue.qsize() <= UNREAD_LIMIT

    def _handle_one(self, data: Any) -> None:
        if self._eio_sid not in self._engine.sockets:
            return
        try:
            self._handle(self._eio_sid, data)
        except Exception as error:  # noqa: BLE001 - the library on malformed input; our handlers catch their own
            log.warning("클라이언트가 Socket.IO 패킷이 아닌 것을 보냈습니다: %r", error)
            self._engine.hang_up(self._eio_sid)
