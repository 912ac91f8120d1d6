"""A client that openapi-python-client makes changes only the fields that it names."""

import datetime
import importlib
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from running import BIN

DESCRIPTION = "회의실 3층\n둘째 줄"


@pytest.fixture(scope="session")
def generated(document: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the client's package. A route that is left out is a warning, which fails."""
    folder = tmp_path_factory.mktemp("python")
    command = [BIN / "openapi-python-client", "generate", "--meta", "none", "--fail-on-warning"]
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
    answer["changes"][0]["event"]["exdates"] = ["2024-01-20"]
    later = models.ChangesAnswer.from_dict({**answer, "more": {"x": 1}})
    assert later.to_dict()["changes"] == answer["changes"]


def test_health_is_read(call):
    assert call("health", "get_health")[1].status == "alive"
    assert call("health", "get_readiness")[1].status == "ready"
