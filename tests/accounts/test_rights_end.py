"""A right that is taken away ends on every server: in rooms, on connections, for sessions and tokens."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from accounts.company import PASSWORD, Caller, Company
from api_client import Client
from people import DeviceToken, Session
from running import Server, embedded, free_port, running_server, wait_for


@pytest.fixture(scope="module", params=["no Redis", "Redis out of reach"])
def servers(request, tmp_path_factory) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("servers")
    redis = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"} if "out of reach" in request.param else {}
    settings = embedded(folder / "data", AUTH="on", **redis)
    with (
        running_server(folder, "eventlet", settings) as one,
        running_server(folder, "gevent", settings) as other,
    ):
        yield one, other


@pytest.fixture(scope="module")
def firm(servers) -> Company:
    return Company(servers[0])


def on(server: Server, caller: Caller) -> Caller:
    """Return the same caller on another server."""
    return replace(caller, url=server.url)


def clients_of(caller: Caller, servers: tuple[Server, Server]) -> list[Client]:
    return [
        Client(server.url, transport, **caller.handshake)
        for server, transport in zip(servers, ("websocket", "polling"), strict=True)
    ]


@pytest.mark.parametrize("of_program", [False, True])
def test_who_loses_its_role_leaves_the_rooms_of_all_servers(firm, servers, of_program):
    department = firm.department()
    person = firm.person(department, "writer")
    caller = firm.program(person) if of_program else person
    clients = clients_of(caller, servers)
    for client in clients:
        client.join(department)
    firm.event(department)
    for client in clients:
        client.wait("event_created")
    firm.role(person, department, "")
    for client in clients:
        told = client.wait("access_changed", seconds=30)
        assert told == [{"department_id": department, "role": ""}]
    firm.event(department)
    other = firm.department()
    firm.role(person, other, "reader")
    for client, server in zip(clients, servers, strict=True):
        assert client.wait("access_changed", 2, seconds=30)[1] == {"department_id": other, "role": "reader"}
        assert len(client.of("event_created")) == 1
        assert client.ask("join_department", {"department_id": department})["error"] == "department_not_found"
        assert on(server, caller).send("GET", f"/api/events/{department}").status_code == 404
        client.close()


@pytest.mark.parametrize("way", ["visibility", "role of an administrator"])
def test_who_may_not_see_a_department_any_more_hears_nothing_of_it(firm, servers, way):
    department = firm.department(visibility="company" if way == "visibility" else "")
    person = firm.person(admin=way != "visibility")
    clients = clients_of(person, servers)
    for client in clients:
        client.join(department)
    if way == "visibility":
        firm.admin("PUT", f"/api/departments/{department}", {"visibility": "members"})
    else:
        firm.admin("PUT", f"/api/accounts/{person.account_id}", {"admin": False})
    for client in clients:
        (told,) = client.wait("access_changed", seconds=30)
        assert told["role"] == ""
    firm.event(department)
    firm.admin("PUT", f"/api/departments/{department}", {"description": "고침"})
    shown = firm.department(visibility="company")
    firm.admin("PUT", f"/api/departments/{shown}", {"description": "고침"})
    for client in clients:
        client.wait("department_updated")
        assert {payload["id"] for payload in client.of("department_updated")} == {shown}
        assert client.of("event_created") == []
        client.close()


@pytest.mark.parametrize("way", ["disabled", "signed out", "token revoked", "session over", "token over"])
def test_whose_session_or_token_ends_is_disconnected_from_all_servers(firm, servers, way):
    department = firm.department()
    person = firm.person(department, "reader")
    caller = firm.program(person) if "token" in way else person
    clients = clients_of(caller, servers)
    for client in clients:
        client.join(department)
    if way == "disabled":
        firm.disable(person)
    elif way == "signed out":
        person("DELETE", "/api/session")
    elif way == "token revoked":
        person("DELETE", f"/api/tokens/{caller.account_id}")
    else:
        firm.let_end(DeviceToken if "token" in way else Session, person, in_s=2)
    for client in clients:
        wait_for(lambda client=client: not client.sio.connected, 30, f"{way}: the end of a connection")
    for server in servers:
        assert on(server, caller).send("GET", "/api/departments").status_code == 401


def test_a_right_that_one_server_gave_holds_on_another_at_once(firm, servers):
    _, other = servers
    for _ in range(10):
        department = firm.department()
        person = firm.person()
        firm.role(person, department, "writer")
        elsewhere = on(other, person)
        assert department in elsewhere("GET", "/api/me")["roles"]
        body = {"title": "회의", "event_date": "2026-11-22"}
        elsewhere("POST", f"/api/events/{department}", body, status=201)
        assert department in {one["id"] for one in elsewhere("GET", "/api/departments")["departments"]}


@pytest.mark.parametrize("way", ["demoted", "disabled"])
def test_who_is_no_administrator_any_more_cannot_become_one_again_on_another_server(firm, servers, way):
    person = firm.person(admin=True)
    elsewhere = on(servers[1], person)
    elsewhere("GET", "/api/accounts")
    firm.admin("PUT", f"/api/accounts/{person.account_id}", {"admin": False, "disabled": way == "disabled"})
    undone = elsewhere.send("PUT", f"/api/accounts/{person.account_id}", {"admin": True, "disabled": False})
    assert undone.status_code == (403 if way == "demoted" else 401), undone.text


def test_who_is_no_manager_any_more_cannot_become_one_again_on_another_server(firm, servers):
    department = firm.department()
    person = firm.person(department, "manager")
    elsewhere = on(servers[1], person)
    elsewhere("GET", f"/api/departments/{department}/members")
    firm.role(person, department, "reader")
    path = f"/api/departments/{department}/members/{person.account_id}"
    assert elsewhere.send("PUT", path, {"role": "manager"}).status_code == 403


def test_a_session_that_a_reset_has_ended_makes_no_token_on_another_server(firm, servers):
    person = firm.person()
    elsewhere = on(servers[1], person)
    elsewhere("GET", "/api/tokens")
    url = firm.admin("POST", f"/api/accounts/{person.account_id}/reset", status=201)["url"]
    firm.nobody("POST", "/api/reset", {"token": url.split("#")[1], "password": PASSWORD})
    assert elsewhere.send("POST", "/api/tokens", {"name": "남은 것"}).status_code == 401


def test_who_loses_a_department_by_its_visibility_does_not_hear_what_changes_with_it(firm, servers):
    department, witness = firm.department(visibility="company"), firm.department(visibility="company")
    (client, _) = clients = clients_of(firm.person(), servers)
    firm.admin("PUT", f"/api/departments/{department}", {"description": "비밀", "visibility": "members"})
    firm.admin("PUT", f"/api/departments/{witness}", {"description": "고침"})
    client.wait("department_updated")
    for each in clients:
        assert department not in {payload["id"] for payload in each.of("department_updated")}
        each.close()
