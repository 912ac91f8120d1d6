"""The deadline of a request: every operation sets it, and none asks the store when no time is left."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aws_client import KEYS
from config import Settings
from deadlines import REQUEST_S, deadline, remaining_s
from domain import new_id
from factory import create_app
from fake_transport import FakeTransport
from in_process import Calendar
from models import DynamoDBDatabase
from realtime.messages import Messages
from realtime.push import Push
from services.accounts.access import ANYBODY, OpenAccess
from store.dynamo_client import SHORTEST_ATTEMPT_S, DynamoClient
from store_proxy import Answer, Request, StoreProxy, refusal

DELAY_S = 0.1
IN_TIME = 3
"""How many requests can begin one after the other within `SHORT_S`, when each takes `DELAY_S`."""
SHORT_S = SHORTEST_ATTEMPT_S + (IN_TIME - 0.5) * DELAY_S

FILE = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20240120\r\n"
    b"END:VEVENT\r\nEND:VCALENDAR\r\n"
)
ROUTES: dict[str, tuple[str, str, Any]] = {
    "readiness": ("GET", "/readyz", None),
    "the page": ("GET", "/", None),
    "list departments": ("GET", "/api/departments", None),
    "deleted departments": ("GET", "/api/departments/deleted", None),
    "get a department": ("GET", "/api/departments/{department}", None),
    "create a department": ("POST", "/api/departments", {"name": "{new}"}),
    "change a department": ("PUT", "/api/departments/{department}", {"name": "{new}"}),
    "delete a department": ("DELETE", "/api/departments/{department}", None),
    "restore a department": ("POST", "/api/departments/{deleted_department}/restore", {"name": "{new}"}),
    "list events": ("GET", "/api/events/{department}", None),
    "get an event": ("GET", "/api/events/{department}/{event}", None),
    "create an event": ("POST", "/api/events/{department}", {"title": "x", "event_date": "2024-01-20"}),
    "create an event under a taken id": (
        "POST",
        "/api/events/{department}",
        {"title": "x", "event_date": "2024-01-20", "id": "{event}"},
    ),
    "create an event under a freed id": (
        "POST",
        "/api/events/{department}",
        {"title": "x", "event_date": "2024-01-20", "id": "{deleted_event}"},
    ),
    "change an event": ("PUT", "/api/events/{event}", {"title": "x"}),
    "delete an event": ("DELETE", "/api/events/{event}", None),
    "restore an event": ("POST", "/api/events/{department}/{deleted_event}/restore", None),
    "changes": ("GET", "/api/events/{department}/changes?since={token}", None),
    "list occurrences": (
        "GET",
        "/api/events/{department}?from=2024-01-01&to=2024-02-01&expand=true",
        None,
    ),
    "change an occurrence": ("PUT", "/api/events/{series}?occurrence=2024-01-21", {"title": "x"}),
    "delete an occurrence": ("DELETE", "/api/events/{series}?occurrence=2024-01-22", None),
    "a calendar file": ("GET", "/api/events/{department}.ics", None),
    "a table": ("GET", "/api/events/{department}.csv", None),
    "an import": ("POST", "/api/events/{department}/import", FILE),
    "get a feed": ("GET", "/api/departments/{department}/feed", None),
    "renew a feed": ("POST", "/api/departments/{department}/feed", None),
    "read a feed": ("GET", "/feeds/{feed}.ics", None),
    "history": ("GET", "/api/events/{department}/history?event_id={event}", None),
}
MESSAGES = {
    "join_department": {"department_id": "{department}", "sync_token": "{token}"},
    "sync_request": {"department_id": "{department}"},
}
OPERATIONS = [*ROUTES, *MESSAGES]
LONG = {
    "restore a department",
    "create an event under a taken id",
    "create an event under a freed id",
    "restore an event",
}
"""The operations that need more than `IN_TIME` requests, one after the other."""
LOADING = {
    "join_department",
    "change an occurrence",
    "delete an occurrence",
    "a calendar file",
    "a table",
    "an import",
    "read a feed",
}
"""Operations after which a load goes on that other requests will find done."""
LOAD_REQUESTS = 2
"""What a load asks of the store: the index, and the log."""
WITHOUT_STORE = {
    "assets.icon",
    "assets.robots",
    "assets.socket_io",
    "docs.file",
    "docs.page",
    "me.get_me",  # without accounts
    "health.get_health",
    "home.guide",
    "openapi.spec",
    "static",
}
"""The endpoints that ask the store for nothing."""


def slow(request: Request) -> Answer:
    time.sleep(DELAY_S)
    return request.forward()


def throttled(_request: Request) -> Answer:
    time.sleep(DELAY_S)
    return refusal("ThrottlingException")


class WatchedClient(DynamoClient):
    """Notes how much time the caller of each request has left, in seconds.

    Loads in the background are not noted: no deadline ends them, as other requests find their result.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.left: list[float] = []

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        if (left := remaining_s()) != math.inf or threading.current_thread() is threading.main_thread():
            self.left.append(left)
        return super().call(operation, **parameters)


class Server:
    """An app whose routes and messages a test calls in its own thread; `proxy` is before its store."""

    def __init__(self, proxy: StoreProxy) -> None:
        settings = Settings(dynamodb_endpoint_url=proxy.url)
        self.proxy = proxy
        self.client = WatchedClient(settings)
        db = DynamoDBDatabase(settings, self.client)
        db.create_tables(report=lambda _sentence: None)
        self.app = create_app(settings, db)
        self._messages: dict[str, Callable[..., Any]] = {}
        core = self.app.extensions["calendar"].core
        Messages(self, Push(FakeTransport(), db, core.sync, OpenAccess(), poll_s=None), core.sync)
        self._calendar = Calendar(db)
        self._ids: dict[str, str] = {}

    def on(self, name: str, handler: Callable[..., Any]) -> None:
        """Take the handler of a message, as a `socketio.Server` does."""
        self._messages[name] = handler

    def prepare(self) -> None:
        """Create what the operations need, and forget the requests of before."""
        calendar = self._calendar
        self.proxy.hook = Request.forward
        department, deleted = (calendar.departments.create_department(new_id()).entity.id for _ in range(2))
        calendar.departments.delete_department(deleted)
        token = calendar.token(department)
        event = calendar.add(department, id=new_id()).id
        for title in "가나다라마바사":
            calendar.events.update_event(event, {"title": title})
        deleted_event = calendar.add(department, id=new_id()).id
        calendar.events.delete_event(deleted_event)
        self._ids = {
            "series": calendar.add(department, rrule="FREQ=DAILY").id,
            "feed": calendar.feeds.renew_secret(ANYBODY, department),
            "department": department,
            "deleted_department": deleted,
            "token": token,
            "event": event,
            "deleted_event": deleted_event,
        }
        self.client.left.clear()
        self.proxy.count = 0

    def __call__(self, operation: str) -> dict[str, Any]:
        """Carry out one operation; return its answer, the same for a route as for a message."""
        if operation in MESSAGES:
            answer: dict[str, Any] = self._messages[operation]("sid", self._filled(MESSAGES[operation]))
            return answer
        method, path, body = ROUTES[operation]
        sent = (
            {"data": body, "content_type": "text/calendar"} if body is FILE else {"json": self._filled(body)}
        )
        response = self.app.test_client().open(self._filled(path), method=method, **sent)
        if response.status_code == 503:
            assert int(response.headers["Retry-After"]) > 0
        return {"success": response.status_code < 400, **(response.get_json(silent=True) or {})}

    def connect(self) -> None:
        self._messages["connect"]("sid", {})

    def _filled(self, template: Any) -> Any:
        if isinstance(template, dict):
            return {name: self._filled(value) for name, value in template.items()}
        return template.format(**self._ids, new=new_id()) if template else template


@pytest.fixture(scope="module")
def running(engine) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as environment, StoreProxy(engine.url) as proxy:
        for name, value in KEYS.items():
            environment.setenv(name, value)
        yield Server(proxy)


@pytest.fixture
def server(running) -> Server:
    running.prepare()
    return running


def test_the_operations_of_these_tests_are_all_that_use_the_store(server):
    adapter = server.app.url_map.bind("localhost")
    asked = {
        adapter.match(server._filled(path).partition("?")[0], method)[0]
        for method, path, _body in ROUTES.values()
    }
    known = {rule.endpoint for rule in server.app.url_map.iter_rules()}
    assert known - asked == WITHOUT_STORE


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_a_deadline(server, operation):
    server(operation)
    assert server.client.left
    assert all(0 < left <= REQUEST_S for left in server.client.left)


def test_the_connection_of_a_client_has_a_deadline(server):
    server.connect()
    [left] = server.client.left
    assert 0 < left <= REQUEST_S


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_asks_a_throttled_store_only_while_it_has_time(server, operation):
    server.proxy.hook = throttled
    with deadline(SHORT_S):
        answer = server(operation)
    assert answer.get("error") == "store_unavailable" or operation == "the page"  # which shows no departments
    assert 1 <= server.proxy.count <= IN_TIME


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_of_many_requests_asks_a_slow_store_only_while_it_has_time(server, operation):
    server.proxy.hook = slow
    with deadline(SHORT_S):
        answer = server(operation)
    assert server.proxy.count <= IN_TIME + (LOAD_REQUESTS if operation in LOADING else 0)
    if operation in LONG:
        assert answer["error"] == "store_unavailable"
