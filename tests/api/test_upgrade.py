"""The tables of earlier versions under this one: every client goes on with what it holds."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from api_client import Client
from domain import new_id
from histories.cluster import Watchers
from older_version import BEFORE_1_1, OLDER, as_before, lay_out
from older_version import EarlierApi as Api
from running import embedded, free_port, running_server, wait_for


class Filled:
    """A department that an earlier version filled, with what clients got from it after each change."""

    def __init__(self, api: Api) -> None:
        self.id = api.department()["id"]
        self.tokens = [api.token(self.id)]
        """The sync token at each revision, by revision."""
        self.states: list[dict[str, Any]] = []
        """The states of one event, which was edited often, from its creation on."""
        self.deleted = api.event(self.id, "지운 것")
        self._note(api)
        self.states.append(api.event(self.id, "0"))
        self._note(api)
        for n in range(1, 4):
            self.states.append(api.edit(self.states[0], title=f"{n}"))
            self._note(api)
            api.event(self.id, "다른 것")
            self._note(api)
        api.delete(self.deleted)
        self._note(api)
        with ThreadPoolExecutor(8) as pool:  # in groups
            list(pool.map(lambda n: Api(api.url).event(self.id, f"{n}"), range(20)))
        self.events = api.events(self.id)
        self.log = api.changes(self.id, self.tokens[0])
        self.list_etag = etag(api, f"/api/events/{self.id}")
        self.event_etag = etag(api, f"/api/events/{self.id}/{self.states[0]['id']}")

    def _note(self, api: Api) -> None:
        self.tokens.append(api.token(self.id))


@dataclass
class Upgraded:
    """A server of this version on the tables that an earlier one left, and what clients got from that one."""

    api: Api
    filled: list[Filled]
    """Departments, of which each test takes one."""
    followed: Filled
    """The department that the browser keeps all the time."""
    browser: Watchers
    """The JavaScript client of browsers."""
    renamed: list[dict[str, Any]]
    """The states of a department that was renamed."""
    removed: dict[str, Any]
    """A department that was deleted."""
    created: list[tuple[str, dict[str, Any], dict[str, str], dict[str, Any]]]
    """Creations under a key: path, body, headers, answer."""


def history_of(states: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return type, event and what changed of the entries that a history of these states has, newest first."""
    titles = [{"title": {"from": one["title"], "to": two["title"]}} for one, two in pairwise(states)]
    types = ["event_created", *["event_updated"] * len(titles)]
    return list(zip(types, states, [{}, *titles], strict=True))[::-1]


def etag(api: Api, path: str) -> str:
    return api.session.get(api.url + path, timeout=20).headers["ETag"]


def create_under_keys(api: Api, department: str) -> Iterator[tuple[str, Any, dict[str, str], Any]]:
    """Create a department and two events; yield path, body, headers and answer of each."""
    event = {"event_date": "2024-01-20", "title": "한 번만"}
    for path, body in (
        ("/api/departments", {"name": f"부서 {new_id()}"}),
        (f"/api/events/{department}", event),
        (f"/api/events/{department}", {**event, "id": new_id()}),
    ):
        headers = {"Idempotency-Key": new_id()}
        yield path, body, headers, api("POST", path, body, status=201, headers=headers)


@pytest.fixture(scope="module", params=[BEFORE_1_1, OLDER], ids=["before 1.1", "1.1"])
def upgraded(request, tmp_path_factory) -> Iterator[Upgraded]:
    folder, port = tmp_path_factory.mktemp("upgraded"), free_port()
    earlier = lay_out(request.param, tmp_path_factory.mktemp("earlier"))
    settings = embedded(folder / "data")
    browser = Watchers([f"http://127.0.0.1:{port}"])
    try:
        with running_server(folder, "eventlet", settings, port=port, root=earlier) as server:
            api = Api(server.url)
            filled, followed = [Filled(api) for _ in range(4)], Filled(api)
            browser.watch(followed.id)
            wait_for(lambda: browser.states(followed.id)[0]["state"] == "live", what="the browser")
            renamed = [api.department()]
            path = f"/api/departments/{renamed[0]['id']}"
            renamed.append(api("PUT", path, {"name": f"부서 {new_id()}"})["department"])
            removed = api.department()
            api.event(removed["id"])
            api("DELETE", f"/api/departments/{removed['id']}")
            created = list(create_under_keys(api, api.department()["id"]))
        with running_server(folder, "eventlet", settings, port=port) as server:
            yield Upgraded(api, filled, followed, browser, renamed, removed, created)
            assert "Traceback" not in server.log, server.log
    finally:
        browser.close()


def test_every_sync_token_gives_exactly_the_changes_after_it(upgraded):
    api, department = upgraded.api, upgraded.filled.pop()
    log = [{**change, "by_name": ""} for change in department.log]  # servers before accounts know none
    for _ in range(2):
        assert api.changes(department.id, department.tokens[0]) == log
        for revision, token in enumerate(department.tokens):
            assert api.changes(department.id, token) == log[revision:]
            client = Client(api.url)
            client.join(department.id, sync_token=token)
            [synced] = client.wait("sync_response")
            client.close()
            assert not synced["full"]
            assert as_before(synced["changes"]) == log[revision:]
        event = api.event(department.id, "새 판에서")
        assert event["revision"] == len(log) + 1
        edited = api.edit(event, title="고침")
        api.delete(event)
        tail = api.changes(department.id, department.tokens[-1])[-3:]
        assert [change["event"] for change in tail[:2]] == [event, edited]
        assert [change["revision"] for change in tail] == [len(log) + n for n in (1, 2, 3)]
        log += tail


def test_lists_and_events_are_as_they_were_and_their_etags_hold(upgraded):
    api, department = upgraded.api, upgraded.filled.pop()
    assert api.events(department.id) == department.events
    for path, held in (
        (f"/api/events/{department.id}", department.list_etag),
        (f"/api/events/{department.id}/{department.states[0]['id']}", department.event_etag),
    ):
        answer = api.session.get(api.url + path, headers={"If-None-Match": held}, timeout=20)
        assert answer.status_code == 304


def test_history_begins_with_what_happened_before(upgraded):
    api, department = upgraded.api, upgraded.filled.pop()
    event, states = department.states[0], department.states
    for limit in (1, 2, 100):
        found = api.history(event, limit)
        assert [(e["type"], e["event"], e["changed"]) for e in found] == history_of(states)
    states += [api.edit(event, title=f"새 판 {n}") for n in range(3)]
    for limit in (1, 2, 5, 100):
        found = api.history(event, limit)
        assert [(e["type"], e["event"], e["changed"]) for e in found] == history_of(states)
    assert [e["type"] for e in api.history(department.deleted)] == ["event_deleted", "event_created"]


def test_what_was_deleted_before_and_after_can_be_restored(upgraded):
    api, department = upgraded.api, upgraded.filled.pop()
    restored = api.restore(department.deleted)
    assert restored["title"] == department.deleted["title"]
    assert restored["revision"] == len(department.log) + 1
    types = ["event_created", "event_deleted", "event_created"]
    assert [entry["type"] for entry in api.history(restored)] == types
    api.delete(department.states[0])
    restored = api.restore(department.states[0])
    assert restored["title"] == department.states[-1]["title"]
    assert len(api.history(restored)) == len(department.states) + 2
    assert restored in api.events(department.id)


def test_a_creation_of_before_is_recognised_when_it_is_repeated(upgraded):
    api = upgraded.api
    for path, body, headers, answer in upgraded.created:
        assert api("POST", path, body, status=201, headers=headers) == answer
        renamed = {**body, "title" if "title" in body else "name": "다른 것"}
        refused = api("POST", path, renamed, status=422, headers=headers)
        assert refused["error"] == "idempotency_key_reused"


def test_departments_and_their_names_are_as_they_were_left(upgraded):
    api, (before, after) = upgraded.api, upgraded.renamed
    listed = {d["id"]: d for d in api("GET", "/api/departments")["departments"]}
    assert listed[after["id"]] == after
    taken = {"name": after["name"]}
    assert api("POST", "/api/departments", taken, status=409)["error"] == "department_name_taken"
    assert upgraded.removed["id"] not in listed
    path = f"/api/events/{upgraded.removed['id']}"
    assert api("GET", path, status=404)["error"] == "department_not_found"
    client = Client(api.url)
    client.wait("connected")  # from then on it is told of departments
    for free in (before["name"], upgraded.removed["name"]):
        founded = api.department(free)
        wait_for(lambda new=founded: new in as_before(client.of("department_created")), what="the broadcast")
    client.close()


def test_a_browser_that_was_connected_goes_on_without_a_hole(upgraded):
    api, followed = upgraded.api, upgraded.followed
    api.edit(followed.states[0], title="새 판에서")
    created = api.event(followed.id)

    def client() -> dict[str, Any]:
        [found] = upgraded.browser.states(followed.id)
        return found

    wait_for(lambda: client()["revision"] == created["revision"], what="the browser")
    assert client()["faults"] == []
    assert as_before(client()["events"]) == {event["id"]: event for event in api.events(followed.id)}
