"""The life of one app: what is checked before it serves, whether it should get requests, how it ends."""

import gc
import logging

from flask import Flask

import logs
import rest.development_server
from config import Settings
from domain import REGISTRY
from errors import StoreUnavailable
from realtime.engineio_guard import GuardedSocketIO
from realtime.push import Push
from realtime.redis_hints import Hints
from services.core import Core

log = logging.getLogger(__name__)

GC_THRESHOLD = (5_000, 20, 20)
"""Allocations before Python looks for cycles. Its own 700 is spent on a handful of requests: the slowest of
a hundred creations takes a quarter longer with it.
"""


class CalendarServer:
    """The parts of one app, reached through `app.extensions["calendar"]`."""

    def __init__(self, core: Core, socketio: GuardedSocketIO, push: Push, hints: Hints | None) -> None:
        self.core = core
        self.socketio = socketio
        self.push = push
        self.hints = hints
        self._leaving = False

    def require_ready(self) -> None:
        """Raise `StoreUnavailable` when the server should get no requests."""
        if self._leaving:
            raise StoreUnavailable("서버가 종료되는 중입니다.")
        self.core.db.read_head(REGISTRY)

    def shut_down(self) -> None:
        """Turn not-ready and let go of every client, so that the process can end."""
        self._leaving = True
        self.socketio.start_background_task(self.socketio.server.eio.disconnect)


def start(app: Flask, settings: Settings) -> None:
    """Check the store before serving, and finish in the background what an earlier crash left.

    Raises `SetupError` when the operator has to act; a store that is only out of reach is waited for,
    not ready in the meantime.
    """
    logs.install(settings.log_level)
    rest.development_server.refuse_in_envelopes()
    gc.set_threshold(*GC_THRESHOLD)
    calendar: CalendarServer = app.extensions["calendar"]
    db = calendar.core.db
    if not settings.embedded:
        log.info("저장소: %s", db.store)  # `create_tables` says it of the embedded one
    if calendar.hints:
        calendar.hints.start(calendar.push.on_hint)
    try:
        if settings.embedded:
            db.create_tables(report=log.info)
        else:
            db.check_tables()
    except StoreUnavailable:
        log.warning("DynamoDB에 아직 닿지 않습니다. 닿을 때까지 /readyz는 503입니다.")
    calendar.socketio.start_background_task(calendar.core.repair.run_when_reachable, calendar.socketio.sleep)
