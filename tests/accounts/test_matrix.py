"""Who may do what: every caller on each route and message, and no byte of what it may not see.

The roles that the callers were given say what is expected, by rules that are written down once more here.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import socketio

from accounts.company import Caller, Company
from api_client import Client
from config import Settings
from domain import new_id
from factory import create_app
from people import DeviceToken
from running import wait_for

RANK = {"": 0, "reader": 1, "writer": 2, "manager": 3}
JSON = "application/json"
CANARY = "카나리아-비밀-회의"
OPEN_ROUTES = {
    ("POST", "/api/setup"),
    ("POST", "/api/reset"),
    ("POST", "/api/session"),
    ("POST", "/api/invitations/accept"),
}


@dataclass(frozen=True)
class Route:
    """A route, and what it needs: a role in its department, or one of the words below."""

    method: str
    path: str
    needs: str
    body: Any = None
    programs: bool = True
    """Whether a device token may be used."""
    gives_address: bool = False
    """Whether it tells an address that would outlive a token that only reads."""

    @property
    def rule(self) -> tuple[str, str]:
        return self.method, re.sub(r"\{(\w+)\}", "{}", self.path.split("?")[0])


FILE = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"
EVENT = {"title": "새 일정", "event_date": "2026-11-23"}
DEPARTMENT_ROUTES = [
    Route("GET", "/api/departments/{department}", "reader"),
    Route("PUT", "/api/departments/{department}", "manager", {"description": "고침"}),
    Route("GET", "/api/departments/{department}/members", "reader", programs=False),
    Route(
        "PUT",
        "/api/departments/{department}/members/{account}",
        "manager",
        {"role": "reader"},
        programs=False,
    ),
    Route("DELETE", "/api/departments/{department}/members/{account}", "manager", programs=False),
    Route("POST", "/api/departments/{department}/restore", "manager", {}),
    Route("GET", "/api/events/{department}", "reader"),
    Route("POST", "/api/events/{department}", "writer", EVENT),
    Route("GET", "/api/events/{department}/changes?since=MS4w", "reader"),
    Route("GET", "/api/events/{department}/history?event_id={event}", "reader"),
    Route("GET", "/api/events/{department}/{event}", "reader"),
    Route("GET", "/api/events/{department}.ics", "reader"),
    Route("GET", "/api/events/{department}.csv", "reader"),
    Route("POST", "/api/events/{department}/import", "writer", FILE),
    Route("POST", "/api/events/{department}/import?dry_run=true", "writer", FILE),
    Route("POST", "/api/departments/{department}/feed", "reader", gives_address=True),
    Route("GET", "/api/departments/{department}/feed", "reader", gives_address=True),
    Route("POST", "/api/events/{department}/{event}/restore", "writer"),
    Route("PUT", "/api/events/{event}", "writer", {"description": "고침"}),
    Route("PUT", "/api/events/{event}?occurrence=2026-11-24", "writer", {"description": "고침"}),
    Route("DELETE", "/api/events/{event}?occurrence=2026-11-24&following=true", "writer"),
    Route("DELETE", "/api/events/{event}", "writer"),
    Route("POST", "/api/invitations", "manager", "invitation", programs=False),
    Route("DELETE", "/api/departments/{department}", "manager"),
]
OTHER_ROUTES = [
    Route("GET", "/api/me", "account"),
    Route("PUT", "/api/me", "account", {"name": "새 이름"}, programs=False),
    Route("GET", "/api/departments", "account"),
    Route("POST", "/api/departments", "admin", "department"),
    Route("GET", "/api/departments/deleted", "admin"),
    Route("GET", "/api/sessions", "account", programs=False),
    Route("DELETE", "/api/sessions/{account}", "account", programs=False),
    Route("GET", "/api/tokens", "account", programs=False),
    Route("POST", "/api/tokens", "account", {"name": "또 하나"}, programs=False),
    Route("DELETE", "/api/tokens/{account}", "account", programs=False),
    Route("GET", "/api/accounts?q=김", "manager somewhere", programs=False),
    Route("PUT", "/api/accounts/{account}", "admin", {"name": "남의 이름"}, programs=False),
    Route("POST", "/api/accounts/{account}/reset", "admin", programs=False),
    Route("GET", "/api/audit", "admin", programs=False),
    Route("GET", "/api/invitations", "account", programs=False),
    Route("DELETE", "/api/invitations/{account}", "invitation", programs=False),
    Route("POST", "/api/invitations", "admin", "company invitation", programs=False),
]
MESSAGES = ("join_department", "sync_request")
"""The messages that need `reader`; all may leave a department."""
LAST_ROUTES = [Route("DELETE", "/api/session", "account", programs=False)]


@dataclass
class Tried:
    """A caller, and what it is by the rules."""

    caller: Caller
    roles: dict[str, str]
    """By department."""
    known: bool = True
    admin: bool = False
    program: bool = False
    reads_only: bool = False

    def role(self, department: str) -> str:
        return "manager" if self.admin else self.roles.get(department, "")

    def expected(self, route: Route, department: str = "") -> str:
        """Return `fine`, or the code of the failure."""
        if not self.known:
            return "not_signed_in"
        if self.program and not route.programs and "{department}" not in route.path:
            return "not_allowed"
        if route.needs in RANK:
            role = self.role(department)
            if not role:
                return (
                    "event_not_found"
                    if route.path.startswith("/api/events/{event}")
                    else "department_not_found"
                )
            refused = RANK[role] < RANK[route.needs]
        else:
            refused = {
                "account": False,
                "admin": not self.admin,
                "manager somewhere": not self.admin and "manager" not in self.roles.values(),
                "invitation": False,
            }[route.needs]
        if self.reads_only and (route.method != "GET" or route.gives_address):
            refused = True
        if self.program and not route.programs:
            refused = True
        if not refused and route.needs == "invitation":
            return "invitation_not_found"
        return "not_allowed" if refused else "fine"


@dataclass
class Departments:
    """The departments of one trial. Texts say CANARY where not everybody may see them."""

    own: str
    secret: str
    company: str
    absent: str
    events: dict[str, str]


@pytest.fixture(scope="module")
def departments(company: Company) -> Callable[[], Departments]:
    def create() -> Departments:
        own, shown = company.department(), company.department(visibility="company")
        secret = company.department(f"{CANARY} {new_id()}")
        events = {
            own: company.event(own),
            secret: company.event(secret, title=CANARY, description=CANARY),
            shown: company.event(shown),
        }
        absent = new_id()
        return Departments(own, secret, shown, absent, {**events, absent: new_id()})

    return create


def tried(name: str, company: Company, targets: Departments) -> Tried:
    """Make a caller by the name of its kind."""
    roles = {targets.own: name, targets.company: "reader"} if name in RANK else {}
    if name in ("reader", "writer", "manager"):
        return Tried(company.person(targets.own, name), roles)
    if name == "admin":
        return Tried(company.person(admin=True), {}, admin=True)
    if name == "outsider":
        elsewhere = company.department()
        return Tried(company.person(elsewhere, "manager"), {elsewhere: "manager", targets.company: "reader"})
    if name == "anonymous":
        return Tried(Caller(company.url), {}, known=False)
    if name.startswith("admin's"):
        scope = "read" if "reading" in name else "write"
        program = company.program(company.person(admin=True), scope=scope)
        return Tried(program, {}, admin=True, program=True, reads_only=scope == "read")
    manager = company.person(targets.own, "manager")
    roles = {targets.own: "manager", targets.company: "reader"}
    if name == "disabled":
        company.disable(manager)
        return Tried(manager, {}, known=False)
    if name == "signed out":
        manager("DELETE", "/api/session")
        return Tried(manager, {}, known=False)
    if name == "writing program":
        return Tried(company.program(manager), roles, program=True)
    if name == "reading program":
        return Tried(company.program(manager, scope="read"), roles, program=True, reads_only=True)
    program = company.program(manager)
    if name == "revoked program":
        manager("DELETE", f"/api/tokens/{program.account_id}")
    elif name == "expired program":
        company.let_end(DeviceToken, manager, in_s=0)
        wait_for(lambda: program.send("GET", "/api/me").status_code == 401, 30)
    elif name == "program of somebody disabled":
        company.disable(manager)
    elif name == "made-up program":
        program.token = program.token[:-1] + ("a" if program.token[-1] != "a" else "b")
    return Tried(program, {}, known=False)


KINDS = [
    "anonymous", "disabled", "signed out", "reader", "writer", "manager", "admin", "outsider",
    "writing program", "reading program", "admin's program", "admin's reading program", "revoked program",
    "expired program", "program of somebody disabled", "made-up program",
]  # fmt: skip


def _body(route: Route, department: str) -> Any:
    if route.body == "invitation":
        return {"email": f"{new_id()}@example.com", "department_id": department, "role": "reader"}
    if route.body == "company invitation":
        return {"email": f"{new_id()}@example.com"}
    if route.body == "department":
        return {"name": f"부서 {new_id()}"}
    return route.body


def _trials(targets: Departments) -> Iterator[tuple[Route, str]]:
    kinds = (targets.own, targets.secret, targets.company, targets.absent)
    yield from itertools.product(DEPARTMENT_ROUTES, kinds)
    yield from ((route, "") for route in (*OTHER_ROUTES, *LAST_ROUTES))


OF_NOTHING = {"department_not_found", "event_not_found"}
"""What somebody may be told that may do a thing, where there is no such department."""
OTHERWISE = {
    "account_not_found",
    "department_not_deleted",
    "event_id_taken",
    "feed_not_found",
    "occurrence_not_found",
    "sync_token_expired",
}
"""What somebody may be told that may do a thing, anywhere."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_caller_may_do_and_see(company, departments, kind):
    targets = departments()
    one = tried(kind, company, targets)
    other = company.person(targets.own, "reader").account_id
    wrong = []
    for route, department in _trials(targets):
        path = route.path.format(
            department=department, event=targets.events.get(department, ""), account=other
        )
        if route.body is FILE:
            media = {"Content-Type": "text/calendar"}
            answer = one.caller.send(route.method, path, data=FILE, headers=media)
        else:
            answer = one.caller.send(route.method, path, _body(route, department))
        expected = one.expected(route, department)
        found = answer.json().get("error", "fine") if answer.headers["Content-Type"] == JSON else "fine"
        right = {expected}
        if expected == "fine":
            right |= OTHERWISE | (OF_NOTHING if department == targets.absent else set())
        if found not in right:
            wrong.append(f"{route.method} {path}: {found} for {expected}")
        sees = one.known and (one.admin or targets.secret in one.roles)
        if not sees and CANARY in answer.content.decode():
            wrong.append(f"{route.method} {path}: shows {CANARY}")
    assert wrong == []


def test_managers_find_whom_they_look_for_and_administrators_see_all_of_everybody(company):
    manager = company.person(company.department(), "manager")
    email = manager("GET", "/api/me")["account"]["email"]
    found = {"id": manager.account_id, "name": "김", "email": email}
    assert manager("GET", f"/api/accounts?q={email[:20].upper()}")["accounts"] == [found]
    for text in ("", "김"):
        assert manager("GET", f"/api/accounts?q={text}")["accounts"] == []
    assert len(company.admin("GET", "/api/accounts")["accounts"]) > 1
    company.disable(manager)
    [seen] = company.admin("GET", f"/api/accounts?q={email}")["accounts"]
    assert seen == {**found, "admin": False, "disabled": True, "last_seen": seen["last_seen"]}


def test_a_program_shows_a_department_to_nobody_else(company):
    path, shown = f"/api/departments/{company.department()}", {"visibility": "company"}
    answer = company.program(company.admin).send("PUT", path, shown)
    assert (answer.status_code, answer.json()["error"]) == (403, "not_allowed")
    assert company.admin("GET", path)["department"]["visibility"] == "members"
    assert company.admin("PUT", path, shown)["department"]["visibility"] == "company"


@pytest.mark.parametrize(
    "method_and_path",
    [
        ("GET", "/api/departments/{}"),
        ("GET", "/api/events/{}"),
        ("PUT", "/api/departments/{}"),
        ("POST", "/api/events/{}"),
    ],
)
def test_what_one_may_not_see_answers_as_what_does_not_exist(company, departments, method_and_path):
    targets = departments()
    outsider = company.person()
    method, path = method_and_path
    body = EVENT if method == "POST" else {"description": "x"} if method == "PUT" else None
    hidden, absent = (
        outsider.send(method, path.format(one), body) for one in (targets.secret, targets.absent)
    )
    assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)
    differing = {"Date"}
    assert {k: v for k, v in hidden.headers.items() if k not in differing} == {
        k: v for k, v in absent.headers.items() if k not in differing
    }


def test_the_matrix_has_every_route():
    app = create_app(Settings(auth=True))
    rules = {
        (method, re.sub(r"<[^>]*>", "{}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/")
    }
    assert {route.rule for route in (*DEPARTMENT_ROUTES, *OTHER_ROUTES, *LAST_ROUTES)} | OPEN_ROUTES == rules


def test_the_matrix_has_every_message():
    server = create_app(Settings(auth=True)).extensions["calendar"].socketio.server
    assert {*MESSAGES, "leave_department", "connect", "disconnect", "*"} == set(server.handlers["/"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_what_a_caller_hears(company, departments, kind, transport):
    targets = departments()
    one = tried(kind, company, targets)
    if not one.known:
        refusals: list[Any] = []
        stranger = socketio.Client(reconnection=False)
        stranger.on("connect_error", refusals.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            stranger.connect(company.url, transports=[transport], **one.caller.handshake)
        stranger.disconnect()
        ((refusal),) = refusals
        assert (refusal["data"]["success"], refusal["data"]["error"]) == (False, "not_signed_in")
        assert refusal["message"] == refusal["data"]["message"]
        return
    client = Client(company.url, transport, **one.caller.handshake)
    for department in (targets.own, targets.secret, targets.company, targets.absent):
        sees = bool(one.role(department)) and department != targets.absent
        for message in MESSAGES:
            answer = client.ask(message, {"department_id": department})
            assert (answer["success"], answer.get("error")) == (
                (True, None) if sees else (False, "department_not_found")
            )
    for department in (targets.own, targets.secret, targets.company):
        company.event(department, title=f"소식 {department}")
        company.admin("PUT", f"/api/departments/{department}", {"name": f"소식 {department} {new_id()}"})
    heard = {
        department for department in (targets.own, targets.secret, targets.company) if one.role(department)
    }
    marker = company.department(visibility="company")
    company.admin("PUT", f"/api/departments/{marker}", {"name": f"끝 {new_id()}"})
    client.wait("department_updated", len(heard) + 1)
    assert {payload["department_id"] for payload in client.of("event_created")} == heard
    assert {payload["id"] for payload in client.of("department_updated")} == heard | {marker}
    assert not [
        payload
        for _, payload in client.received
        if targets.secret in str(payload) and targets.secret not in heard
    ]
    client.close()
