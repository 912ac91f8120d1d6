"""Start, readiness and shutdown of one app."""

import logging
from collections.abc import Callable

from flask import Flask

import logs
import memory
import rest.development_server
from config import Settings
from deadlines import REQUEST_S, deadline
from domain import REGISTRY
from errors import SetupError, StoreUnavailable
from people import ACCOUNTS
from realtime.engineio_guard import GuardedSocketIO
from realtime.push import Push
from realtime.redis_hints import Hints
from services.core import Core

log = logging.getLogger(__name__)

PAUSE_S = 5.0
"""How long the server waits before it looks again for a store that was out of reach."""


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


def _tell_who_may_come_in(core: Core) -> None:
    """Log that everybody may, or the address at which the first administrator is made if there is none yet.

    Raises `StoreUnavailable`, `SetupError`.
    """
    with deadline(REQUEST_S):
        if core.accounts is None:
            log.info(
                "로그인 없이 누구나 쓰는 서버입니다 (AUTH=off). "
                "로그인을 켜려면 backend/.env에 AUTH=on 을 쓰세요."
            )
            if (head := core.db.read_head(ACCOUNTS)) and head.revision:
                log.warning(
                    "이 저장소에는 계정이 있지만, AUTH=off 라서 구성원 전용 부서도 누구나 읽고 고칩니다."
                )
            return
        link = core.accounts.joining.begin_setup()
    if link:
        log.warning(
            "아직 관리자가 없습니다. 30분 안에 이 주소를 열어 첫 관리자가 되세요: %s",
            core.accounts.url("setup", link),
        )


def _tell_when_reachable(core: Core, sleep: Callable[[float], object]) -> None:
    """Tell who may come in as soon as the store can be reached; for a background task."""
    while True:
        try:
            return _tell_who_may_come_in(core)
        except StoreUnavailable:
            sleep(PAUSE_S)
        except SetupError as error:
            return log.error("%s", error)


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
    if settings.auth and settings.public_url.startswith("https:") and not settings.trusted_proxies:
        log.warning(
            "PUBLIC_URL이 https인데 TRUSTED_PROXIES가 0입니다. 프록시 뒤라면 그 수를 쓰세요: "
            "아니면 쿠키에 Secure가 없고, 모든 사람이 한 주소로 보입니다."
        )
    if calendar.hints:
        calendar.hints.start(calendar.push.on_hint)
    try:
        if settings.embedded:
            db.create_tables(report=log.info)
        else:
            db.check_tables()
        _tell_who_may_come_in(calendar.core)
    except StoreUnavailable:
        log.warning("DynamoDB에 아직 닿지 않습니다. 닿을 때까지 /readyz는 503입니다.")
        sleep = calendar.socketio.sleep
        calendar.socketio.start_background_task(_tell_when_reachable, calendar.core, sleep)
    for task in (
        calendar.core.repair.adopt_when_reachable,
        calendar.core.purge.run_forever,
        memory.give_back_forever,
    ):
        calendar.socketio.start_background_task(task, calendar.socketio.sleep)
