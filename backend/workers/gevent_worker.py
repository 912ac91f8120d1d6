"""gunicorn's gevent worker, which says in one line that it cannot accept connections."""

from functools import partial
from typing import Any

import gevent
from gevent.server import StreamServer
from gunicorn.workers import ggevent

from workers.connections import ACCEPT_PAUSE_S, AcceptFailures, ConnectionsWorker


class _Server(StreamServer):  # type: ignore[misc] # no types
    """gevent's own accept loop survives errors, too, but prints a traceback for each."""

    def __init__(self, *args: Any, failures: AcceptFailures, **options: Any) -> None:
        super().__init__(*args, **options)
        self._failures = failures

    def do_read(self) -> Any:
        try:
            return super().do_read()
        except OSError as error:  # no file descriptors left, or a client that has gone
            self._failures.report(error)
            self.stop_accepting()
            gevent.spawn_later(ACCEPT_PAUSE_S, self._go_on)
            return None

    def _go_on(self) -> None:
        if self.started:
            self.start_accepting()


class GeventWorker(ggevent.GeventWorker, ConnectionsWorker):  # type: ignore[misc] # no types
    def server_class(self, listener: Any, *, spawn: Any, **_options: Any) -> _Server:
        """Return what accepts connections; gunicorn has no setting for its `StreamServer`."""
        return _Server(
            listener, handle=partial(self.handle, listener), spawn=spawn, failures=self.accept_failures
        )
