"""Builds the app from its parts: `create_app` returns a new one per call."""

from typing import Any

from apiflask import APIFlask
from flask import Flask, Request, request
from flask.sessions import SessionInterface

import rest.assets
import rest.departments
import rest.docs_page
import rest.events
import rest.failures
import rest.health
import rest.home
import rest.openapi
import rest.request_bodies
import rest.request_headers
import rest.security_headers
from commands import tables_commands
from config import Settings
from deadlines import REQUEST_S, deadline
from lifecycle import CalendarServer
from models import DynamoDBDatabase
from realtime.concurrency import async_mode
from realtime.engineio_guard import GuardedSocketIO
from realtime.messages import Messages
from realtime.origins import allowed_origins
from realtime.push import Push
from realtime.redis_hints import Hints
from rest.json_provider import OrjsonProvider
from services.core import build_core

VERSION = "1.3.0"


class NoSessions(SessionInterface):
    """Reads and sets no session cookie. Flask's default would prepare its signing for each request."""

    def open_session(self, app: Flask, request: Request) -> None:
        return None


class AppWithDeadline(APIFlask):
    """Sets the deadline of each request when its body is here: a slow line takes no time from the store."""

    def dispatch_request(self) -> Any:
        if request.method in ("POST", "PUT") and not request.routing_exception:
            request.get_data()
        with deadline(REQUEST_S):
            return super().dispatch_request()


def create_app(settings: Settings, db: DynamoDBDatabase | None = None) -> APIFlask:
    """Build an app on the store that the settings name, or on `db`. `lifecycle.start` makes it serve."""
    app = _create_flask(settings)
    socketio = _create_socketio(app, settings)
    core = build_core(
        db or DynamoDBDatabase(settings),
        snapshot_bytes=settings.snapshot_cache_mb * 1024 * 1024,
    )
    server = socketio.server
    push = Push(server, core.db, core.sync, server.is_crowded)
    core.group_commit.on_commit(push.on_commit)
    hints = Hints(settings.redis_url, socketio) if settings.redis_url else None
    if hints:
        core.group_commit.on_commit(hints.on_commit)
    Messages(server, push, core.sync)
    calendar = app.extensions["calendar"] = CalendarServer(core, socketio, push, hints)

    app.register_blueprint(rest.departments.blueprint(core.departments))
    app.register_blueprint(rest.events.blueprint(core.events, core.sync))
    app.register_blueprint(rest.health.blueprint(calendar.require_ready))
    app.register_blueprint(rest.home.blueprint(core.departments, settings, VERSION))
    app.register_blueprint(rest.docs_page.blueprint())
    app.register_blueprint(rest.assets.blueprint())
    app.cli.add_command(tables_commands(core))
    rest.request_headers.install(app)
    return app


def _create_flask(settings: Settings) -> APIFlask:
    app = AppWithDeadline(
        __name__, title="부서 캘린더 API", version=VERSION, docs_path=None, json_errors=False
    )
    app.json = OrjsonProvider(app)
    app.session_interface = NoSessions()
    app.config.update(
        SECRET_KEY=settings.secret_key,
        AUTO_200_RESPONSE=False,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_SERVERS=False,
    )
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    rest.openapi.install(app)
    rest.failures.install(app)
    rest.request_bodies.install(app)
    rest.security_headers.install(app, settings.cors_origins)
    return app


def _create_socketio(app: Flask, settings: Settings) -> GuardedSocketIO:
    return GuardedSocketIO(
        app,
        async_mode=async_mode(),
        async_handlers=False,  # handlers in threads would reorder a client's messages
        always_connect=True,  # else `connected` is sent before the answer to the client's CONNECT
        manage_session=False,
        cors_allowed_origins=allowed_origins(settings.cors_origins),
        http_compression=False,
    )
