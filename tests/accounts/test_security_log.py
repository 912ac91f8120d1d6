"""The security log: who came in, was refused, was given or lost what; and no secret in any line."""

import json
from typing import Any

import pytest
import socketio

from accounts.company import PASSWORD, Caller
from api_client import Client
from errors import AccountNotFound, NotAllowed
from running import wait_for
from security_log import MINUTE_S, REFUSALS_MAX, Refusals, note_refusal


@pytest.fixture
def noted(accounts_server):
    """Return the lines from now on, without the time."""
    begin = len(accounts_server.log)

    def lines() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in accounts_server.log[begin:].splitlines() if line[:2] == '{"']
        return [{name: value for name, value in line.items() if name != "at"} for line in found]

    return lines


def has(lines: list[dict[str, Any]], **facts: str) -> bool:
    return any(facts.items() <= line.items() for line in lines)


def test_sign_ins_and_grants_are_noted(company, noted):
    department = company.department()
    person = company.person(department, "reader")
    company.role(person, department, "writer")
    company.role(person, department, "")
    person("DELETE", "/api/session")
    admin = {"by": company.admin.account_id, "by_name": "관리자"}
    given = {"account_id": person.account_id, "department_id": department, "role": "writer"}
    expected = [
        {"security": "invited", "department_id": department, "role": "reader", **admin},
        {"security": "invitation_accepted", "account_id": person.account_id, "by": person.account_id},
        {"security": "signed_in", "account_id": person.account_id, "address": "127.0.0.1"},
        {"security": "role_given", **given, **admin},
        {"security": "role_taken", **given, **admin},
        {"security": "session_ended", "account_id": person.account_id},
    ]
    wait_for(lambda: len(noted()) >= len(expected))
    assert [facts for facts in expected if not has(noted(), **facts)] == []


def test_refusals_are_noted_but_not_that_somebody_came_without_credentials(company, noted):
    department = company.department()
    person = company.person(department, "reader")
    body = {"email": "admin@example.com", "password": "틀린 비밀번호"}
    company.nobody.send("POST", "/api/session", body)
    person.send("DELETE", f"/api/departments/{department}")
    person.send("POST", "/api/tokens", {"name": "x"}, headers={"Origin": "https://evil.example"})
    Caller(company.url, token="dct_x.y").send("GET", "/api/me")
    company.nobody.send("GET", "/api/departments")
    common = {"security": "refused", "address": "127.0.0.1"}
    expected = [
        {"error": "sign_in_failed", "method": "POST", "path": "/api/session"},
        {"error": "not_allowed", "account_id": person.account_id, "path": f"/api/departments/{department}"},
        {"error": "cross_site", "method": "POST", "path": "/api/tokens"},
        {"error": "not_signed_in", "method": "GET", "path": "/api/me"},
    ]
    wait_for(lambda: has(noted(), **common, **expected[-1]))
    assert [facts for facts in expected if not has(noted(), **common, **facts)] == []
    assert not has(noted(), path="/api/departments")


def test_no_line_of_the_log_holds_a_secret(company, accounts_server):
    person = company.person()
    program = company.program(person)
    Client(company.url, "polling", **program.handshake).close()
    link = company.admin("POST", f"/api/accounts/{person.account_id}/reset", status=201)["url"]
    new = "새로운 비밀번호입니다"
    company.nobody("POST", "/api/reset", {"token": link.split("#")[1], "password": new})
    company.nobody.send("POST", "/api/session", {"email": "admin@example.com", "password": new + "!"})
    person.send("GET", "/api/me")
    program.send("GET", "/api/me")
    wait_for(lambda: accounts_server.log.count(program.account_id))
    credentials = [*person.cookies.values(), *company.admin.cookies.values(), program.token, link]
    for secret in (PASSWORD, new, *(one.rpartition(".")[2] for one in credentials)):
        assert secret not in accounts_server.log


def test_a_connection_that_is_refused_and_the_use_of_a_token_from_a_new_address_are_noted(company, noted):
    program = company.program(company.person())
    with pytest.raises(socketio.exceptions.ConnectionError):
        socketio.Client(reconnection=False).connect(company.url)
    with pytest.raises(socketio.exceptions.ConnectionError):
        socketio.Client(reconnection=False).connect(company.url, auth={"token": f"{program.token}x"})
    program("GET", "/api/me")
    used = {"security": "token_used_from_new_address", "token_id": program.account_id, "address": "127.0.0.1"}
    wait_for(lambda: has(noted(), **used))
    refused = [line for line in noted() if line["security"] == "refused"]
    assert [(line["method"], line["error"], line["address"]) for line in refused] == [
        ("CONNECT", "not_signed_in", "127.0.0.1")
    ]


@pytest.fixture
def refusals(monkeypatch) -> Refusals:
    fresh = Refusals()
    monkeypatch.setattr("security_log._refusals", fresh)
    return fresh


def test_a_flood_of_refusals_is_counted_and_not_written(refusals, caplog, monkeypatch):
    caplog.set_level("INFO", "calendar.security")
    now = 1000.0
    monkeypatch.setattr("security_log.time.monotonic", lambda: now)

    def refuse(error: Any = None) -> None:
        note_refusal(error or NotAllowed(), address="127.0.0.1", method="GET", path="/" + "x" * 10_000)

    for _ in range(REFUSALS_MAX + 5):
        refuse()
    assert len(caplog.records) == REFUSALS_MAX
    assert len(caplog.records[0].getMessage()) < 500
    refuse(AccountNotFound())
    now += MINUTE_S
    refuse()
    assert len(caplog.records) == REFUSALS_MAX + 1
    assert json.loads(caplog.records[-1].getMessage())["left_out"] == 5
