"""Builds the app from its parts: `create_app` returns a new one per call."""

from typing import Any

from apiflask import APIFlask
from flask import Flask, Request, request
from flask.sessions import SessionInterface

import rest.accounts
import rest.assets
import rest.calendar_files
import rest.callers
import rest.departments
import rest.device_tokens
import rest.docs_page
import rest.events
import rest.failures
import rest.feeds
import rest.health
import rest.home
import rest.imports
import rest.limits
import rest.members
import rest.openapi
import rest.provider_sign_in
import rest.proxies
import rest.request_bodies
import rest.request_headers
import rest.security_headers
import rest.sessions
import rest.sign_in_pages
from acting import NOBODY, acting_as
from calendar_commands import calendar_commands
from commands import admin_commands, tables_commands
from concurrency import async_mode
from config import Settings
from deadlines import REQUEST_S, deadline
from lifecycle import CalendarServer
from models import DynamoDBDatabase
from rate_limits import RateLimits
from realtime.admission import Admission
from realtime.engineio_guard import GuardedSocketIO
from realtime.handshake import authentication
from realtime.messages import Messages
from realtime.origins import allowed_origins
from realtime.push import Push
from realtime.redis_hints import Hints
from recognition import NoRecognition, Recognition
from rest.json_provider import OrjsonProvider
from services.accounts.access import rights_changes
from services.accounts.provider import Provider
from services.core import build_core

VERSION = "1.5.0"


class NoSessions(SessionInterface):
    """Reads and sets no session cookie. Flask's default would prepare its signing for each request."""

    def open_session(self, app: Flask, request: Request) -> None:
        return None


class CalendarApp(APIFlask):
    """Gives each request a deadline when its body is here, as a slow line takes no time from the store.

    Then it recognises who sends the request, in whose name the changes are made.
    """

    recognition: Recognition | NoRecognition = NoRecognition()
    limits: rest.limits.Limits | None = None

    def dispatch_request(self) -> Any:
        if request.method in ("POST", "PUT") and not request.routing_exception:
            request.get_data()
        with deadline(REQUEST_S):
            caller = rest.callers.recognise(self, self.recognition)
            if self.limits:
                self.limits.check(caller)
            with acting_as(caller.actor if caller else NOBODY):
                return super().dispatch_request()


def create_app(settings: Settings, db: DynamoDBDatabase | None = None) -> APIFlask:
    """Build an app on the store that the settings name, or on `db`. `lifecycle.start` makes it serve."""
    app = _create_flask(settings)
    socketio = _create_socketio(app, settings)
    core = build_core(
        db or DynamoDBDatabase(settings),
        snapshot_bytes=settings.snapshot_cache_mb * 1024 * 1024,
        accounts_url=settings.public_url if settings.auth else None,
    )
    server = socketio.server
    accounts = core.accounts
    if accounts:
        app.recognition = recognition = Recognition(accounts.sessions, settings.public_url)
        server.admission = Admission(recognition.known_account)
        app.limits = rest.limits.Limits(RateLimits(settings.redis_url, socketio))
    server.authenticate = authentication(app.recognition.of_handshake, server.admission)
    push = Push(
        server, core.db, core.sync, core.access, server.is_crowded, view=accounts.view if accounts else None
    )
    if accounts:
        accounts.view.on_change(lambda changes: push.on_rights(rights_changes(changes)))
    core.group_commit.on_commit(push.on_commit)
    hints = Hints(settings.redis_url, socketio) if settings.redis_url else None
    if hints:
        core.group_commit.on_commit(hints.on_commit)
    Messages(server, push, core.sync)
    calendar = app.extensions["calendar"] = CalendarServer(core, socketio, push, hints)

    app.register_blueprint(
        rest.departments.blueprint(core.departments, core.access, accounts.members if accounts else None)
    )
    app.register_blueprint(rest.events.blueprint(core.events, core.sync, core.access))
    app.register_blueprint(rest.calendar_files.blueprint(core.files, core.access))
    app.register_blueprint(rest.imports.blueprint(core.imports, core.departments, core.access))
    app.register_blueprint(rest.feeds.blueprint(core.feeds, core.files, core.access, settings.public_url))
    app.register_blueprint(rest.sessions.me_blueprint(core.departments, core.access, accounts))
    if accounts:
        app.register_blueprint(rest.sessions.blueprint(core.access, accounts))
        app.register_blueprint(rest.accounts.blueprint(core.access, accounts))
        app.register_blueprint(rest.members.blueprint(core.departments, core.access, accounts))
        app.register_blueprint(rest.device_tokens.blueprint(core.access, accounts))
        # Where the callback is, too: the cookies of a sign-in are of one host.
        provider_url = f"{settings.public_url}/auth/oidc" if settings.oidc_issuer else ""
        app.register_blueprint(rest.sign_in_pages.blueprint(provider_url=provider_url))
        if settings.oidc_issuer:
            provider = Provider(
                settings.oidc_issuer,
                settings.oidc_client_id,
                settings.oidc_client_secret,
                settings.public_url,
            )
            everybody = settings.oidc_join
            app.register_blueprint(rest.provider_sign_in.blueprint(accounts, provider, everybody=everybody))
    app.register_blueprint(rest.health.blueprint(calendar.require_ready))
    app.register_blueprint(rest.home.blueprint(core.departments, core.access, settings, VERSION))
    app.register_blueprint(rest.docs_page.blueprint())
    app.register_blueprint(rest.assets.blueprint())
    app.cli.add_command(tables_commands(core))
    app.cli.add_command(admin_commands(core))
    app.cli.add_command(calendar_commands(core))
    _wrap(app, settings)
    return app


def _wrap(app: Flask, settings: Settings) -> None:
    """Put around the app, Socket.IO included, what each request passes first: the last one here."""
    wrapped = rest.security_headers.secured(app.wsgi_app)
    if settings.auth or settings.trusted_proxies:
        wrapped = rest.proxies.trusting(wrapped, settings.trusted_proxies)
    app.wsgi_app = rest.request_headers.bounded(wrapped)  # type: ignore[assignment,method-assign]


def _create_flask(settings: Settings) -> CalendarApp:
    app = CalendarApp(__name__, title="부서 캘린더 API", version=VERSION, docs_path=None, json_errors=False)
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
    rest.openapi.install(app, needs_account=settings.auth)
    rest.failures.install(app)
    rest.request_bodies.install(app)
    rest.security_headers.allow_origins(app, settings.cors_origins)
    return app


def _create_socketio(app: Flask, settings: Settings) -> GuardedSocketIO:
    return GuardedSocketIO(
        app,
        async_mode=async_mode(),
        async_handlers=False,  # handlers in threads would reorder a client's messages
        always_connect=True,  # else `connected` is sent before the answer to the client's CONNECT
        manage_session=False,
        cors_allowed_origins=allowed_origins(
            settings.cors_origins, settings.public_url if settings.auth else None
        ),
        http_compression=False,
    )
