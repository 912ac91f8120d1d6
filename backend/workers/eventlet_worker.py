"""gunicorn's eventlet worker, whose accept loop goes on whatever happens.

Patches the standard library when imported, as gunicorn's own does.
"""

import errno
import time
from typing import Any

from gunicorn.workers import geventlet

from turns import give_turn
from workers.connections import ACCEPT_PAUSE_S, AcceptFailures, ConnectionsWorker


class _Listener:
    """A listening socket whose `accept` raises nothing but that there is no connection."""

    def __init__(self, plain: Any, failures: AcceptFailures) -> None:
        self._plain = plain
        self._failures = failures

    def accept(self) -> Any:
        give_turn()  # the loop that calls this does not wait while there are connections
        try:
            return self._plain.accept()
        except BlockingIOError:
            raise
        except OSError as error:  # no file descriptors left, or a client that has gone
            self._failures.report(error)
            time.sleep(ACCEPT_PAUSE_S)
            raise BlockingIOError(errno.EWOULDBLOCK, "accepted later") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)


class EventletWorker(geventlet.EventletWorker, ConnectionsWorker):  # type: ignore[misc] # no types
    def run(self) -> None:
        self.sockets: list[Any] = [_Listener(listener, self.accept_failures) for listener in self.sockets]
        super().run()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        try:
            super().handle(listener, client, addr)
        except Exception:  # gunicorn would end its accept loop with it
            self.log.exception("연결 하나를 처리하지 못했습니다.")
