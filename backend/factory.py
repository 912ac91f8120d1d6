"""Puts the parts together: `create_app` for a fresh app per call, `start` before it serves."""

import contextlib
import functools
import gc
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
import orjson
from apiflask import APIFlask
from flask import Flask, Request, Response, request
from flask.cli import AppGroup
from flask.json.provider import JSONProvider
from flask.sessions import SessionInterface
from flask_cors import CORS
from flask_socketio import SocketIO
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

import logs
import refusals
import rest.assets
import rest.departments
import rest.docs_page
import rest.events
import rest.failures
import rest.health
import rest.home
import rest.openapi
from config import Settings
from domain import REGISTRY
from errors import SetupError, StoreUnavailable
from models import DynamoDBDatabase
from realtime.concurrency import async_mode
from realtime.engineio_guard import Packet, crowded, engine_logger
from realtime.messages import Messages
from realtime.push import Broadcasts
from realtime.redis_hints import Hints
from schemas import BODY_MAX
from services.change_log import ChangeLog
from services.departments import DepartmentService
from services.events import EventService
from services.snapshots import Snapshots

log = logging.getLogger(__name__)

VERSION = "1.0.0"
API_CSP = "default-src 'none'; frame-ancestors 'none'"
EXPOSED_HEADERS = ("ETag", "Retry-After", "Idempotent-Replayed")
REPAIR_PAUSE_S = 10.0
GC_THRESHOLD = (5_000, 20, 20)
"""Allocations before Python looks for cycles; its own 700 is spent on a handful of requests."""


class OrjsonProvider(JSONProvider):
    """JSON in UTF-8, Korean unescaped; invalid numbers, encodings and surrogates refused on the way in."""

    def dumps(self, obj: Any, **_options: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        value = orjson.loads(s)
        if value is None:
            raise ValueError("null")  # APIFlask would take it for an empty object
        return value

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(orjson.dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json")


class NoSessions(SessionInterface):
    """Reads no cookie and sets none: Flask's own sets up its signing anew for each request."""

    def open_session(self, app: Flask, request: Request) -> None:
        return None


@dataclass(slots=True)
class Calendar:
    """The parts of one app, reached through `app.extensions["calendar"]`."""

    db: DynamoDBDatabase
    socketio: SocketIO
    departments: DepartmentService
    events: EventService
    broadcasts: Broadcasts
    hints: Hints | None
    leaving: bool = False

    def require_ready(self) -> None:
        """Raise `StoreUnavailable` when the server should get no requests."""
        if self.leaving:
            raise StoreUnavailable("서버가 종료되는 중입니다.")
        self.db.read_head(REGISTRY)

    def shut_down(self) -> None:
        """Turn not-ready and let go of every client, so that the process can end."""
        self.leaving = True
        server = self.socketio.server

        def disconnect_all() -> None:
            server.eio.disconnect()

        self.socketio.start_background_task(disconnect_all)


def create_app(settings: Settings, db: DynamoDBDatabase | None = None) -> APIFlask:
    """Build an app on the store that the settings name, or on the given one. Serves nothing yet."""
    app = APIFlask(__name__, title="부서 캘린더 API", version=VERSION, docs_path=None, json_errors=False)
    app.json = OrjsonProvider(app)
    app.session_interface = NoSessions()
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=BODY_MAX,
        AUTO_200_RESPONSE=False,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_SERVERS=False,
    )
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.description = rest.openapi.DESCRIPTION
    app.spec_processor(rest.openapi.complete_document)

    socketio = SocketIO(
        app,
        async_mode=async_mode(),
        async_handlers=False,  # a client's messages keep their order
        always_connect=True,  # else the greeting overtakes the answer to the client's CONNECT
        manage_session=False,
        serializer=Packet,
        cors_allowed_origins=_socket_origins(settings.cors_origins),
        max_http_buffer_size=BODY_MAX,
        http_compression=False,
        engineio_logger=engine_logger(),
    )
    app.wsgi_app = refusals.guarded(app.wsgi_app)  # type: ignore[method-assign,assignment]
    if settings.cors_origins:
        # Compiled: of a string, Flask-CORS guesses whether it is a pattern.
        origins = [o if o == "*" else re.compile(re.escape(o) + r"\Z") for o in settings.cors_origins]
        CORS(app, origins=origins, resources=r"/(api|static)/.*", expose_headers=EXPOSED_HEADERS)

    db = db or DynamoDBDatabase(settings)
    snapshots = Snapshots(db, settings.snapshot_cache_mb * 1024 * 1024)
    change_log = ChangeLog(db)
    broadcasts = Broadcasts(socketio, db, snapshots, functools.partial(crowded, socketio.server))
    change_log.on_commit(snapshots.on_commit)
    change_log.on_commit(broadcasts.on_commit)
    hints = None
    if settings.redis_url:
        hints = Hints(settings.redis_url, socketio)
        change_log.on_commit(hints.on_commit)
    departments = DepartmentService(db, change_log, socketio.start_background_task)
    events = EventService(db, change_log, snapshots)
    Messages(socketio, broadcasts, events)
    calendar = Calendar(db, socketio, departments, events, broadcasts, hints)
    app.extensions["calendar"] = calendar

    app.register_blueprint(rest.departments.blueprint(departments))
    app.register_blueprint(rest.events.blueprint(events))
    app.register_blueprint(rest.health.blueprint(calendar.require_ready))
    app.register_blueprint(rest.home.blueprint(departments, settings, VERSION))
    app.register_blueprint(rest.docs_page.blueprint())
    app.register_blueprint(rest.assets.blueprint())
    rest.failures.install(app)
    app.before_request(_refuse_other_media)
    app.before_request(_bound_chunked_body)
    app.after_request(_secure)
    app.cli.add_command(_tables_commands(calendar))
    return app


def start(app: Flask, settings: Settings) -> None:
    """Check the store before serving, and finish in the background what an earlier crash left.

    Raises `SetupError` when the operator has to act; a store that is only out of reach is waited for,
    not ready in the meantime.
    """
    logs.install(settings.log_level)
    refusals.refuse_in_envelopes()
    _spare_the_collector()
    calendar: Calendar = app.extensions["calendar"]
    if not settings.embedded:
        log.info("저장소: %s", settings.store)  # `create_tables` says it of the embedded one
    if calendar.hints:
        calendar.hints.start(calendar.broadcasts.on_hint)
    try:
        if settings.embedded:
            calendar.db.create_tables(report=log.info)
        else:
            calendar.db.check_tables()
    except StoreUnavailable:
        log.warning("DynamoDB에 아직 닿지 않습니다. 닿을 때까지 /readyz는 503입니다.")
    calendar.socketio.start_background_task(_repair, calendar)


def _spare_the_collector() -> None:
    """Keep what was loaded by now, and stays, out of each search for garbage: a third of the CPU time of
    300 clients who connect at once went into walking through it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


def _repair(calendar: Calendar) -> None:
    """Finish what a crash left, as soon as the store can be reached."""
    while True:
        try:
            purged, adopted = calendar.departments.repair()
        except StoreUnavailable as error:
            log.warning("정리가 중단되었습니다. 곧 이어서 합니다: %s", error)
            calendar.socketio.sleep(REPAIR_PAUSE_S)
        except SetupError as error:
            log.warning("정리가 중단되었습니다. 다음 시작 때 이어서 합니다: %s", error)
            return
        else:
            log.info("정리: 부서 삭제 %d건 마무리, 부서 %d개 새로 등록", purged, adopted)
            return


def _refuse_other_media() -> None:
    if request.routing_exception or request.method not in ("POST", "PUT") or request.is_json:
        return
    if request.content_length or request.content_type or request.headers.get("Transfer-Encoding"):
        raise UnsupportedMediaType()


def _bound_chunked_body() -> None:
    """Refuse a body without a length that is too large: Werkzeug would cut it off, and take what is left."""
    if request.content_length is None and request.headers.get("Transfer-Encoding"):
        request.max_content_length = BODY_MAX + 1
        if len(request.get_data()) > BODY_MAX:
            raise RequestEntityTooLarge()


def _secure(response: Response) -> Response:
    """Set what every answer carries; a page has brought a policy of its own."""
    response.headers.setdefault("Content-Security-Policy", API_CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _socket_origins(allowed: tuple[str, ...]) -> Any:
    """Translate CORS_ORIGINS for Socket.IO: None is same origin only, an empty list would allow all."""
    if not allowed:
        return None
    if "*" in allowed:
        return "*"

    def check(origin: str, environ: dict[str, Any]) -> bool:
        if origin in allowed:
            return True
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", environ["wsgi.url_scheme"]).split(",")[0].strip()
        host = environ.get("HTTP_X_FORWARDED_HOST", environ.get("HTTP_HOST", "")).split(",")[0].strip()
        return origin == f"{scheme}://{host}"

    return check


def _tables_commands(calendar: Calendar) -> AppGroup:
    group = AppGroup("tables", help="테이블을 만들고, 중단된 일을 마무리하고, 복원한 뒤를 정리합니다.")

    @group.command(help="없는 테이블과 인덱스를 만듭니다. 데이터는 건드리지 않습니다.")
    @click.option("--provisioned", is_flag=True, help="온디맨드 대신 프로비저닝된 용량으로 만듭니다.")
    def create(provisioned: bool) -> None:
        with _sentences():
            calendar.db.create_tables(provisioned=provisioned, report=click.echo)

    @group.command(help="중단된 부서 삭제를 마무리하고, 다른 도구가 쓴 부서를 등록합니다.")
    def repair() -> None:
        with _sentences():
            click.echo(f"저장소: {calendar.db.store}")
            purged, adopted = calendar.departments.repair()
        click.echo(f"✓ 마무리한 부서 삭제: {purged}개, 새로 등록한 부서: {adopted}개")

    @group.command("new-epoch", help="테이블을 복원한 뒤: 모든 클라이언트가 한 번씩 전체를 다시 받게 합니다.")
    def renew_epochs() -> None:
        with _sentences():
            click.echo(f"저장소: {calendar.db.store}")
            moved = calendar.db.renew_epochs()
        click.echo(f"✓ 새 epoch를 준 변경 기록: {moved}개. 클라이언트는 모두 한 번씩 전부 다시 받습니다.")

    return group


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """End a command with the sentence of what stopped it, and status 1."""
    try:
        yield
    except (SetupError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from error
