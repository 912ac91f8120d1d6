"""A client that openapi-python-client makes changes only the fields that it names."""

import datetime
import importlib
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from running import BIN

DESCRIPTION = "회의실 3층\n둘째 줄"
LATER = {
    "end_date": "2024-01-23", "start_time": "14:00", "end_time": "15:30", "location": "3층",
    "category": "회의", "rrule": "FREQ=WEEKLY;BYDAY=MO", "exdates": ["2024-01-29"],
}  # fmt: skip
FILES = {"content_type_overrides": dict.fromkeys(("text/calendar", "text/csv"), "application/octet-stream")}
"""The generator's settings for media types that it does not know. It sends the names on the left."""


@pytest.fixture(scope="session")
def generated(document: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the client's package. A route that is left out is a warning, which fails."""
    folder = tmp_path_factory.mktemp("python")
    config = folder / "config.json"
    config.write_text(json.dumps(FILES))
    generate = [BIN / "openapi-python-client", "generate", "--meta", "none", "--fail-on-warning"]
    command = [*generate, "--config", config]
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # of ruff, which formats the client
    done = subprocess.run(
        [*command, "--path", document, "--output-path", folder / "calendar_client"],
        capture_output=True, text=True, timeout=110, check=False, env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return folder


@pytest.fixture
def models(generated: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(generated)
    return importlib.import_module("calendar_client.models")


@pytest.fixture
def call(server, models) -> Iterator[Callable[..., Any]]:
    """Return a function that calls an operation by its tag and name, and returns status and parsed answer."""
    client = importlib.import_module("calendar_client").Client(server.url, raise_on_unexpected_status=True)

    def operation(tag: str, name: str, *ids: str, **arguments: Any) -> tuple[int, Any]:
        module = importlib.import_module(f"calendar_client.api.{tag}.{name}")
        answer = module.sync_detailed(*ids, client=client, **arguments)
        return answer.status_code, answer.parsed

    with client:
        yield operation


def test_a_department_that_is_renamed_keeps_its_description(api, call, models):
    new = models.DepartmentNew(name=f"개발팀 {uuid.uuid4()}", description="제품 개발")
    status, created = call("departments", "create_department", body=new)
    assert status == 201
    change = models.DepartmentChange(name=f"연구소 {uuid.uuid4()}")
    status, renamed = call("departments", "update_department", created.department.id, body=change)
    assert (status, renamed.department.description) == (200, "제품 개발")
    path = f"/api/departments/{created.department.id}"
    assert api("GET", path)["department"] == renamed.department.to_dict()
    assert call("departments", "delete_department", created.department.id)[0] == 200
    assert api("GET", path, status=404)


def test_an_event_is_created_renamed_moved_and_deleted_and_keeps_what_is_not_named(api, call, models):
    department = api.department()["id"]
    new = models.EventNew(
        event_date=datetime.date(2024, 1, 20), title="팀 회의", description=DESCRIPTION, time="오후 2:00",
        url="https://example.com/방?q=1",
    )  # fmt: skip
    key = str(uuid.uuid4())
    status, answer = call("events", "create_event", department, body=new, idempotency_key=key)
    again = call("events", "create_event", department, body=new, idempotency_key=key)
    assert (status, answer) == again
    assert status == 201
    created = answer.event.to_dict()

    change = models.EventChange(title="주간 회의")
    status, answer = call("events", "update_event", created["id"], body=change, if_match='"1"')
    renamed = answer.event.to_dict()
    assert status == 200
    assert renamed == {
        **created, "title": "주간 회의", "revision": 2, "last_modified": renamed["last_modified"],
    }  # fmt: skip
    assert renamed["description"] == DESCRIPTION

    change = models.EventChange(event_date=datetime.date(2024, 2, 29))
    moved = call("events", "update_event", created["id"], body=change)[1].event.to_dict()
    assert moved == {
        **renamed, "event_date": "2024-02-29", "revision": 3, "last_modified": moved["last_modified"],
    }  # fmt: skip
    narrowed = {"from_": datetime.date(2024, 2, 1), "to": datetime.date(2024, 2, 29), "q": "주간", "limit": 1}
    listed = call("events", "list_events", department, **narrowed)[1]
    assert [event.to_dict() for event in listed.events] == api.events(department) == [moved]

    assert call("events", "delete_event", created["id"], if_match='"3"')[0] == 200
    assert api.events(department) == []
    restored = call("events", "restore_event", department, created["id"])[1].event
    assert restored.description == DESCRIPTION


@pytest.fixture
def series(api) -> dict[str, Any]:
    """An event with all fields that there are."""
    fields = {"event_date": "2024-01-22", "title": "주간", "time": "오후 2:00~3:30", **LATER}
    path = f"/api/events/{api.department()['id']}"
    event = api("POST", path, fields, status=201)["event"]
    assert {name: event[name] for name in LATER} == LATER
    return event


def test_a_change_sends_no_field_that_is_not_set(call, models, series):
    change = models.EventChange(title="주간 회의")
    assert change.to_dict() == {"title": "주간 회의"}
    renamed = call("events", "update_event", series["id"], body=change)[1].event.to_dict()
    assert renamed == {
        **series, "title": "주간 회의", "revision": 2, "last_modified": renamed["last_modified"],
    }  # fmt: skip
    new = models.EventNew(event_date=datetime.date(2024, 1, 20), title="하루")
    assert new.to_dict() == {"event_date": "2024-01-20", "title": "하루"}
    assert models.DepartmentNew(name="개발팀").to_dict() == {"name": "개발팀"}


def test_a_whole_event_that_is_sent_back_with_another_title_keeps_all_else(api, call, models, series):
    held = call("events", "get_event", series["department_id"], series["id"])[1].event
    held.title = "주간 회의"
    change = models.EventChange.from_dict(held.to_dict())
    renamed = call("events", "update_event", series["id"], body=change)[1].event.to_dict()
    wanted = {**series, "title": "주간 회의", "revision": 2, "last_modified": renamed["last_modified"]}
    assert renamed == wanted
    assert api.events(series["department_id"]) == [wanted]


def test_one_occurrence_is_changed_and_another_removed(api, call, models, series):
    change = models.EventChange(title="한 번만")
    day = datetime.date(2024, 2, 5)
    replacing = call("events", "update_event", series["id"], body=change, occurrence=day)[1].event
    assert (replacing.title, replacing.recurring_event_id) == ("한 번만", series["id"])
    assert replacing.original_date == day.isoformat()
    gone = datetime.date(2024, 2, 12)
    assert call("events", "delete_event", series["id"], occurrence=gone)[0] == 200
    events = {event["id"]: event for event in api.events(series["department_id"])}
    assert events[series["id"]]["exdates"] == ["2024-01-29", "2024-02-12"]
    range_ = {"from_": datetime.date(2024, 2, 1), "to": datetime.date(2024, 2, 29), "expand": True}
    listed = call("events", "list_events", series["department_id"], **range_)[1].events
    assert [(one.occurrence_date, one.title) for one in listed] == [
        ("2024-02-05", "한 번만"), ("2024-02-19", "주간"), ("2024-02-26", "주간"),
    ]  # fmt: skip


def test_an_event_that_somebody_else_changed_is_refused_with_its_content(api, call, models):
    event = api.event(api.department()["id"])
    changed = api("PUT", f"/api/events/{event['id']}", {"title": "먼저"})["event"]
    change = models.EventChange(title="늦음")
    status, refusal = call("events", "update_event", event["id"], body=change, if_match='"1"')
    assert (status, refusal.error, refusal.details) == (412, "event_changed", {"event": changed})


def test_an_event_that_the_client_holds_is_not_sent_again(api, call):
    event = api.event(api.department()["id"])
    ids = event["department_id"], event["id"]
    assert call("events", "get_event", *ids)[1].event.to_dict() == event
    assert call("events", "get_event", *ids, if_none_match='"1"') == (304, None)


def test_changes_are_read_including_deletions_and_those_of_later_servers(api, call, models):
    department = api.department()["id"]
    token = api.token(department)
    event = api.event(department)
    api("PUT", f"/api/events/{event['id']}", {"title": "새"})
    api("DELETE", f"/api/events/{event['id']}")
    answer = call("events", "list_changes", department, since=token)[1].to_dict()
    assert answer == api("GET", f"/api/events/{department}/changes", params={"since": token})
    history = call("events", "get_event_history", department, event_id=event["id"])[1].history
    assert [entry.changed.to_dict() for entry in history] == [
        {}, {"title": {"from": "팀 회의", "to": "새"}}, {},
    ]  # fmt: skip
    answer["changes"][0] |= {"type": "event_moved", "by_name": "홍길동"}
    answer["changes"][0]["event"]["attendees"] = ["홍길동"]
    later = models.ChangesAnswer.from_dict({**answer, "more": {"x": 1}})
    assert later.to_dict()["changes"] == answer["changes"]


def test_health_is_read(call):
    assert call("health", "get_health")[1].status == "alive"
    assert call("health", "get_readiness")[1].status == "ready"
