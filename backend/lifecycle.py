"""Start, readiness and shutdown of one app."""

import logging

from flask import Flask

import logs
import memory
import rest.development_server
from config import Settings
from domain import REGISTRY
from errors import StoreUnavailable
from realtime.engineio_guard import GuardedSocketIO
from realtime.push import Push
from realtime.redis_hints import Hints
from services.core import Core

log = logging.getLogger(__name__)


class CalendarServer:
    """The parts of one app, reached through `app.extensions["calendar"]`."""

    def __init__(self, core: Core, socketio: GuardedSocketIO, push: Push, hints: Hints | None) -> None:
        self.core = core
        self.socketio = socketio
        self.push = push
        self.hints = hints
        self._shutting_down = False

    def require_ready(self) -> None:
        """Raise `StoreUnavailable` when the server should get no requests."""
        if self._shutting_down:
            raise StoreUnavailable("서버가 종료되는 중입니다.")
        self.core.db.require_writable()
        self.core.db.read_head(REGISTRY)

    def shut_down(self) -> None:
        """Turn not ready and disconnect every client, so that the process can end."""
        self._shutting_down = True
        self.socketio.start_background_task(self.socketio.server.eio.hang_up_all)


def start(app: Flask, settings: Settings) -> None:
    """Check the store, and start the background tasks: to adopt, and to purge.

    Raises `SetupError` when the operator has to act. A store that is out of reach is no error: the server is
    not ready until it reaches the store.
    """
    logs.install(settings.log_level)
    rest.development_server.install()
    memory.calm_garbage_collection()
    calendar: CalendarServer = app.extensions["calendar"]
    db = calendar.core.db
    if not settings.embedded:
        log.info("저장소: %s", db.store)  # for the embedded one `create_tables` logs it
    if calendar.hints:
        calendar.hints.start(calendar.push.on_hint)
    try:
        if settings.embedded:
            db.create_tables(report=log.info)
        else:
            db.check_tables()
    except StoreUnavailable:
        log.warning("DynamoDB에 아직 닿지 않습니다. 닿을 때까지 /readyz는 503입니다.")
    for task in (
        calendar.core.repair.adopt_when_reachable,
        calendar.core.purge.run_forever,
        memory.give_back_forever,
    ):
        calendar.socketio.start_background_task(task, calendar.socketio.sleep)
