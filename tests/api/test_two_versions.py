"""A server of version 1.1 and one of this version side by side on the same tables, as during an upgrade."""

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

import pytest

from api_client import Api as PlainApi
from api_client import Client
from aws_client import aws_client
from domain import new_id
from older_version import EarlierApi as Api
from older_version import as_before
from running import Server, embedded, running_server, wait_for

WRITERS = 16
"""Requests at the same time: each server commits those that wait for it as a group."""


@pytest.fixture(scope="module")
def servers(engine, engine_dir, older_root, tmp_path_factory) -> Iterator[tuple[Server, Server]]:
    """The older server and the newer one."""
    folder, settings = tmp_path_factory.mktemp("servers"), embedded(engine_dir)
    with (
        running_server(folder, "eventlet", settings, root=older_root) as older,
        running_server(folder, "eventlet", settings) as newer,
    ):
        yield older, newer
        for server in (older, newer):
            assert "Traceback" not in server.log, server.log


@pytest.fixture
def both(servers) -> Iterator[list[Api]]:
    """Clients of the older server and of the newer one."""
    apis = [Api(server.url) for server in servers]
    yield apis
    for api in apis:
        api.session.close()


@pytest.fixture(params=["older first", "newer first"])
def pair(request, both) -> list[Api]:
    """Clients of both servers, each once as the first, which a test begins with."""
    return both if request.param == "older first" else both[::-1]


@pytest.fixture
def members(servers) -> Iterator[list[Client]]:
    """A Socket.IO client of each server."""
    clients = [Client(server.url) for server in servers]
    for client in clients:
        client.wait("connected")  # from then on it is told of departments
    yield clients
    for client in clients:
        client.close()


def at_once(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Call `work` with each item, many at the same time, and return the results in order."""
    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(work, items))


def without_names(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return changes as servers before accounts tell them, which know no `by_name`."""
    return [{name: change[name] for name in change if name != "by_name"} for change in changes]


def told_of_events(client: Client, department: str) -> list[tuple[str, Any]]:
    """Return what a client was told of a department's events: names of broadcasts, and the events in them."""
    return [
        (name, as_before({field: payload[field] for field in payload if field not in ("by", "by_name")}))
        for name, payload in list(client.received)
        if name.startswith("event_") and payload["department_id"] == department
    ]


def told_of(client: Client, departments: Collection[str]) -> list[tuple[str, Any]]:
    """Return what a client was told of some departments themselves: names of broadcasts and payloads."""
    return [
        (name, as_before(payload))
        for name, payload in list(client.received)
        if name.startswith("department_") and payload.get("id") in departments
    ]


def test_writes_through_both_at_the_same_time_reach_every_client_of_both_in_order(both, members):
    department = both[0].department()["id"]
    tokens = [api.token(department) for api in both]
    for client in members:
        client.join(department)

    def write(number: int) -> list[dict[str, Any]]:
        first, second = (Api(both[(number + n) % 2].url) for n in range(2))
        created = first.event(department, f"{number}")
        edited = second.edit(created, title=f"{number} 고침")
        if number % 3 == 0:
            first.delete(created)
        return [created, edited]

    acknowledged = list(chain.from_iterable(at_once(write, range(90))))

    log = both[0].changes(department, tokens[1])
    assert [change["revision"] for change in log] == list(range(1, 90 + 90 + 30 + 1))
    assert without_names(both[1].changes(department, tokens[0])) == without_names(log)
    assert all(log[event["revision"] - 1]["event"] == event for event in acknowledged)
    state = {change["event"]["id"]: change["event"] for change in log}
    left = [event for event in state.values() if "title" in event]
    assert len(left) == 60
    for api in both:
        assert sorted(api.events(department), key=itemgetter("id")) == sorted(left, key=itemgetter("id"))
    told = [(change["type"], change["event"]) for change in log]
    for client in members:
        wait_for(lambda c=client: len(told_of_events(c, department)) >= len(log), what="all broadcasts")
        assert told_of_events(client, department) == told


def test_each_server_follows_what_the_other_commits(pair):
    writing, reading = pair
    department = writing.department()["id"]
    for _ in range(3):
        assert reading.events(department) == writing.events(department)  # both keep a snapshot
        tokens = [api.token(department) for api in pair]
        assert tokens[0] == tokens[1]
        created = at_once(lambda title: Api(writing.url).event(department, title), map(str, range(20)))
        at_once(lambda event: Api(writing.url).edit(event, time="오후 2:00"), created)
        at_once(lambda event: Api(writing.url).delete(event), created[:10])
        delta = reading.changes(department, tokens[0])
        assert len(delta) == 50
        assert without_names(writing.changes(department, tokens[0])) == without_names(delta)
        assert reading.changes(department, writing.token(department)) == []
    assert len(reading.events(department)) == 30
    assert reading.events(department) == writing.events(department)


def test_the_history_of_an_event_that_both_edited_is_whole_at_both(pair):
    department = pair[0].department()["id"]
    states = [pair[0].event(department, "0")]
    for n in range(1, 9):
        url = pair[n % 2].url
        # Among creations of other events: the edit stands anywhere in its commit.
        titles = [*["다른 것"] * 4, f"{n}", *["다른 것"] * 4]
        done = at_once(partial(edit_or_create, url, states[0]), titles)
        states.append(done[4])
    pair[0].delete(states[0])
    states.append(pair[1].restore(states[0]))

    whole = pair[0].history(states[0])
    assert without_names(pair[1].history(states[0])) == without_names(whole)
    types = ["event_created", *["event_updated"] * 8, "event_deleted", "event_created"]
    assert [entry["type"] for entry in whole] == types[::-1]
    assert [e["event"] for e in whole if e["type"] != "event_deleted"] == states[::-1]
    assert [e["changed"] for e in whole if e["changed"]] == [
        {"title": {"from": f"{n - 1}", "to": f"{n}"}} for n in range(8, 0, -1)
    ]
    for api in pair:
        assert without_names(api.history(states[0], limit=2)) == without_names(whole)


def edit_or_create(url: str, event: dict[str, Any], title: str) -> dict[str, Any]:
    """Give an event a title that is a number; create another event for any other title."""
    api = Api(url)
    return api.edit(event, title=title) if title.isdigit() else api.event(event["department_id"], title)


def test_what_one_server_deleted_the_other_restores(pair):
    deleting, restoring = pair
    department = deleting.department()["id"]
    created = [deleting.event(department, f"{n}") for n in range(20)]
    at_once(lambda event: Api(deleting.url).delete(event), created)
    assert restoring.events(department) == []
    restored = at_once(lambda event: Api(restoring.url).restore(event), created)
    assert sorted(event["revision"] for event in restored) == list(range(41, 61))
    for api in pair:
        assert api.events(department) == restored
        types = [entry["type"] for entry in api.history(created[0])]
        assert types == ["event_created", "event_deleted", "event_created"]
        path = f"/api/events/{department}/{created[0]['id']}/restore"
        assert api("POST", path, status=409)["error"] == "event_id_taken"


def test_a_key_that_was_sent_to_one_server_is_known_to_the_other(pair):
    headers, body = {"Idempotency-Key": new_id()}, {"name": f"부서 {new_id()}"}
    founded = [api("POST", "/api/departments", body, status=201, headers=headers) for api in pair]
    assert founded[0] == founded[1]
    department = founded[0]["department"]["id"]
    for chosen in ({}, {"id": new_id()}):
        body = {"event_date": "2024-01-20", "title": "한 번만", **chosen}
        headers = {"Idempotency-Key": new_id()}
        path = f"/api/events/{department}"
        first, second = (api("POST", path, body, status=201, headers=headers) for api in pair)
        assert first == second
        pair[1].delete(first["event"])
        for api in pair:
            assert api("POST", path, body, status=201, headers=headers) == first
            refused = api("POST", path, {**body, "title": "다른 것"}, status=422, headers=headers)
            assert refused["error"] == "idempotency_key_reused"
            assert api.events(department) == []


def test_what_both_rename_has_its_name_at_both_and_clients_are_told_in_order(pair, members):
    departments = [pair[n % 2].department() for n in range(10)]
    names = {department["id"]: [department["name"]] for department in departments}

    def rename(number: int) -> None:
        """Rename one department a few times, through both servers in turn."""
        department = departments[number]["id"]
        for turn in range(4):
            name = {"name": f"부서 {new_id()}"}
            Api(pair[(number + turn) % 2].url)("PUT", f"/api/departments/{department}", name)
            names[department].append(name["name"])

    at_once(rename, range(len(departments)))
    gone, kept = list(names)[:2], list(names)[2:]
    for api, department in zip(pair, gone, strict=True):
        api("DELETE", f"/api/departments/{department}")

    for api in pair:
        listed = {d["id"]: d["name"] for d in api("GET", "/api/departments")["departments"]}
        left = {department: listed[department] for department in names if department in listed}
        assert left == {department: names[department][-1] for department in kept}
        taken = {"name": names[kept[0]][-1]}
        assert api("POST", "/api/departments", taken, status=409)["error"] == "department_name_taken"
    for number, api in enumerate(pair):
        api.department(names[kept[0]][number])  # a name that renaming set free
    count = sum(map(len, names.values())) + len(gone)
    for client in members:
        wait_for(lambda c=client: len(told_of(c, names)) >= count, what="all broadcasts")
        told = told_of(client, names)
        assert told == told_of(members[0], names)
        for department, known in names.items():
            of_department = [payload.get("name") for _, payload in told if payload["id"] == department]
            assert of_department == known + [None] * (department in gone)


def test_an_attribute_that_neither_knows_survives_what_both_do(pair, engine):
    department = pair[0].department()["id"]
    event = pair[0].event(department)
    table = aws_client("dynamodb", engine.url)
    key = {"id": {"S": event["id"]}, "department_id": {"S": department}}
    value = {"M": {"이름": {"S": "값"}, "n": {"L": [{"N": "1"}]}}}
    added = {"UpdateExpression": "SET later_version = :v", "ExpressionAttributeValues": {":v": value}}
    table.update_item(TableName="events", Key=key, **added)

    def stored_value() -> Any:
        return table.get_item(TableName="events", Key=key, ConsistentRead=True)["Item"]["later_version"]

    for api, other in (pair, pair[::-1]):
        api.edit(event, title=new_id())
        assert stored_value() == value
        api.delete(event)
        other.restore(event)
        assert stored_value() == value


def test_fields_that_the_older_server_does_not_know_stay_right_under_its_edits(servers):
    older, newer = (PlainApi(server.url) for server in servers)
    department = newer.department()["id"]
    fields = {"time": "점심", "start_time": "12:00", "end_date": "2024-01-22", "location": "3층"}
    event = newer.event(department, **fields)
    assert as_before(event) == older.events(department)[0]
    older.edit(event, title="새 제목", event_date="2024-01-25")
    (moved,) = newer.events(department)
    changed = {"title": "새 제목", "event_date": "2024-01-25", "end_date": "2024-01-27"}
    assert moved == event | changed | {name: moved[name] for name in ("revision", "last_modified")}
    older.edit(event, time="오후 1:00~2:30")
    (later,) = newer.events(department)
    assert (later["start_time"], later["end_time"], later["location"]) == ("13:00", "14:30", "3층")
    older.delete(event)
    assert newer.restore(event)["location"] == "3층"


def test_what_a_department_has_besides_stays_when_the_older_server_renames_it(servers):
    older, newer = (PlainApi(server.url) for server in servers)
    path = f"/api/departments/{newer.department()['id']}"
    newer("PUT", path, {"timezone": "Europe/Berlin", "color": "#1a73e8"})
    older("PUT", path, {"name": f"부서 {new_id()}"})
    department = newer("GET", path)["department"]
    assert (department["timezone"], department["color"]) == ("Europe/Berlin", "#1a73e8")
