"""Two servers, one killed in the middle of a transaction: what it does happens whole or not at all."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from accounts.company import PASSWORD, SETUP_LINK, Caller, Company, newcomer
from aws_client import KEYS
from config import Settings
from domain import new_id
from models import DynamoDBDatabase
from running import running_server
from store_proxy import Answer, Request, StoreProxy

AT_ONCE = 3
Act = Callable[[str], requests.Response]
"""Sends a request to the server with this address."""
MOMENTS = [
    pytest.param(number, passed_on, id=f"{'after' if passed_on else 'before'} transaction {number}")
    for number in (1, 2)
    for passed_on in (False, True)
]


class Hold:
    """Holds one transaction of a server, or its answer, until the server is killed."""

    def __init__(self, number: int, *, passed_on: bool) -> None:
        self._left = number
        self._passed_on = passed_on
        self.armed = False
        self.reached, self.killed = threading.Event(), threading.Event()

    def __call__(self, request: Request) -> Answer:
        if self.armed and request.operation == "TransactWriteItems":
            self._left -= 1
            if self._left == 0:
                if self._passed_on:
                    request.forward()
                self.reached.set()
                self.killed.wait(30)
        if self.reached.is_set():
            raise ConnectionError("the server is dead")
        return request.forward()


@pytest.fixture
def store(engine, aws_keys) -> dict[str, str]:
    """Settings of empty tables, with accounts."""
    prefix = new_id()[:8]
    tables = {
        f"{name.upper()}_TABLE": f"{prefix}-{name}"
        for name in ("departments", "events", "changes", "accounts")
    }
    settings = {"DYNAMODB_ENDPOINT_URL": engine.url, "AUTH": "on", **KEYS, **tables}
    DynamoDBDatabase(Settings.from_env(settings)).create_tables(report=lambda _line: None)
    return settings


def kill_during(
    acts: Sequence[Act], store: dict[str, str], folder: Path, hold: Hold
) -> list[tuple[int, str] | None]:
    """Kill a server that serves all `acts`, in a transaction; return their outcomes, None for no answer."""

    def outcome(act: Act) -> tuple[int, str] | None:
        try:
            answer = act(doomed.url)
        except requests.ConnectionError:
            return None
        return answer.status_code, answer.json().get("error", "")

    with (
        StoreProxy(store["DYNAMODB_ENDPOINT_URL"], hold) as proxy,
        running_server(folder, "gevent", {**store, "DYNAMODB_ENDPOINT_URL": proxy.url}) as doomed,
        ThreadPoolExecutor(len(acts)) as pool,
    ):
        hold.armed = True
        outcomes = [pool.submit(outcome, act) for act in acts]
        assert hold.reached.wait(20)
        doomed.kill()
        hold.killed.set()
        return [found.result() for found in outcomes]


@pytest.mark.parametrize(("number", "passed_on"), MOMENTS)
def test_a_kill_during_a_setup_leaves_one_administrator_or_the_link(tmp_path, store, number, passed_on):
    with running_server(tmp_path, "eventlet", store) as kept:
        link = SETUP_LINK.findall(kept.log)[-1]
        nobody = Caller(kept.url)

        def set_up(email: str, url: str) -> requests.Response:
            body = newcomer(link, email)
            return Caller(url).send("POST", "/api/setup", body)

        emails = [f"a{n}@b.kr" for n in range(AT_ONCE)]
        acts = [lambda url, email=email: set_up(email, url) for email in emails]
        outcomes = kill_during(acts, store, tmp_path, Hold(number, passed_on=passed_on))
        is_done = number == 2 or passed_on
        assert (201, "") not in outcomes
        assert set_up("last@b.kr", kept.url).status_code == (410 if is_done else 201)
        signed_in = [
            nobody.send("POST", "/api/session", {"email": email, "password": PASSWORD})
            for email in (*emails, "last@b.kr")
        ]
        (admin,) = [Caller(kept.url, cookies=one.cookies.get_dict()) for one in signed_in if one.ok]
        accounts = admin("GET", "/api/accounts")["accounts"]
        assert [account["admin"] for account in accounts] == [True]


@pytest.mark.parametrize(("number", "passed_on"), MOMENTS)
def test_a_kill_during_acceptances_leaves_each_whole_or_undone(tmp_path, store, number, passed_on):
    with running_server(tmp_path, "gevent", store) as kept:
        company = Company(kept)
        department = company.department()
        bodies = [
            newcomer(company.invitation(email, department_id=department, role="writer"), email)
            for email in (f"{new_id()}@example.com" for _ in range(AT_ONCE))
        ]

        def accept(body: dict[str, str], url: str) -> requests.Response:
            return Caller(url).send("POST", "/api/invitations/accept", body)

        acts = [lambda url, body=body: accept(body, url) for body in bodies]
        outcomes = kill_during(acts, store, tmp_path, Hold(number, passed_on=passed_on))
        members = company.admin("GET", f"/api/departments/{department}/members")["members"]
        roles = {member["email"]: member["role"] for member in members}
        done = 0
        for body, outcome in zip(bodies, outcomes, strict=True):
            shown = {"email": body["email"], "password": PASSWORD}
            signed_in = company.nobody.send("POST", "/api/session", shown)
            is_done = signed_in.ok
            done += is_done
            assert roles.get(body["email"], "") == ("writer" if is_done else "")
            assert outcome is None or (outcome == (201, "") and is_done)
            assert accept(body, kept.url).status_code == (410 if is_done else 201)
        assert (done > 0) == (number == 2 or passed_on)


@pytest.mark.parametrize(("number", "passed_on"), MOMENTS)
def test_a_kill_during_grants_loses_none_that_was_acknowledged(tmp_path, store, number, passed_on):
    with running_server(tmp_path, "eventlet", store) as kept:
        company = Company(kept)
        department = company.department()
        people = [company.person(department, "reader") for _ in range(AT_ONCE)]

        def give(account_id: str, url: str) -> requests.Response:
            path = f"/api/departments/{department}/members/{account_id}"
            return Caller(url, cookies=company.admin.cookies).send("PUT", path, {"role": "manager"})

        acts = [lambda url, one=one: give(one.account_id, url) for one in people]
        outcomes = kill_during(acts, store, tmp_path, Hold(number, passed_on=passed_on))
        members = company.admin("GET", f"/api/departments/{department}/members")["members"]
        roles = {member["account_id"]: member["role"] for member in members}
        for one, outcome in zip(people, outcomes, strict=True):
            assert outcome is None or (outcome == (200, "") and roles[one.account_id] == "manager")
            role = one("GET", "/api/me")["roles"][department]
            assert role == roles[one.account_id]
            assert one.send("PUT", f"/api/departments/{department}", {"description": "고침"}).status_code == (
                200 if role == "manager" else 403
            )
            assert give(one.account_id, kept.url).status_code == 200
        assert ("manager" in roles.values()) == (number == 2 or passed_on)
