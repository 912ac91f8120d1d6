"""A server that runs during a migration shows the migrated events to a connected client, without restart."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import socketio

from migration_workspace import SAMPLES, Store, command
from running import running_server, wait_for


@contextlib.contextmanager
def client(url: str) -> Iterator[tuple[socketio.Client, list[tuple[str, Any]]]]:
    connected, received = socketio.Client(reconnection=False), []

    def note(name: str, *payload: Any) -> None:
        received.append((name, payload[0] if payload else None))

    connected.on("*", note)
    connected.connect(url)
    try:
        yield connected, received
    finally:
        connected.disconnect()


def test_a_connected_client_is_given_the_migrated_events(store: Store, tmp_path: Path) -> None:
    environment = store.embedded()
    with (
        running_server(tmp_path, "flask", environment) as server,
        client(server.url) as (connected, received),
    ):
        url = server.url
        answer = requests.post(f"{url}/api/departments", json={"name": "개발팀"}, timeout=10)
        department_id = answer.json()["department"]["id"]
        before = requests.get(f"{url}/api/events/{department_id}", timeout=10).json()
        assert before["events"] == []
        joined = connected.call("join_department", {"department_id": department_id})
        assert joined["success"]

        (tmp_path / "departments.json").write_text(
            f'[{{"id": "{department_id}", "name": "개발팀"}}, {{"name": "인사팀"}}]'
        )
        source = (SAMPLES / "shape_by_department_name" / "calendar_events.json").read_text()
        (tmp_path / "calendar_events.json").write_text(source)
        run = command(tmp_path, environment)
        out, err = run.communicate(timeout=60)
        assert (run.returncode, err) == (0, ""), out

        now = requests.get(f"{url}/api/events/{department_id}", timeout=10).json()
        assert {event["title"] for event in now["events"]} == {"팀 회의", "제품 발표"}

        def pushed() -> Any:
            """The push after the last epoch of the load; a poll may have met an earlier one, too."""
            full = [p for name, p in received if name == "sync_response" and p["full"]]
            return full and full[-1]["sync_token"] == now["sync_token"] and full[-1]

        push = wait_for(pushed, what="the events to be pushed")
        assert push["department_id"] == department_id
        assert (push["events"], push["revision"]) == (now["events"], now["revision"])

        stale = requests.get(
            f"{url}/api/events/{department_id}/changes", {"since": before["sync_token"]}, timeout=10
        )
        assert (stale.status_code, stale.json()["error"]) == (410, "sync_token_expired")
        wait_for(
            lambda: "인사팀" in [p["name"] for name, p in received if name == "department_created"],
            what="the new department",
        )


def test_writes_go_on_after_a_migration_and_follow_its_revision(store: Store, tmp_path: Path) -> None:
    environment = store.embedded()
    with (
        running_server(tmp_path, "flask", environment) as server,
        client(server.url) as (connected, received),
    ):
        url = server.url
        made = requests.post(f"{url}/api/departments", json={"name": "개발팀"}, timeout=10).json()
        department_id = made["department"]["id"]
        event = {"title": "먼저", "event_date": "2024-01-01"}
        requests.post(f"{url}/api/events/{department_id}", json=event, timeout=10)
        connected.call("join_department", {"department_id": department_id})
        (tmp_path / "departments.json").write_text("[]")
        (tmp_path / "calendar_events.json").write_text(
            '{"개발팀": [{"id": 1, "title": "옮긴 일", "date": "2024-01-20"}]}'
        )
        run = command(tmp_path, environment)
        assert run.communicate(timeout=60)[1] == ""
        later = requests.post(f"{url}/api/events/{department_id}", json=event | {"title": "나중"}, timeout=10)
        assert later.status_code == 201
        revision = later.json()["event"]["revision"]
        listed = requests.get(f"{url}/api/events/{department_id}", timeout=10).json()
        assert [e["title"] for e in listed["events"]] == ["먼저", "나중", "옮긴 일"]
        assert [e["revision"] for e in listed["events"]] == [1, revision, revision - 1]
        full = wait_for(
            lambda: [p for n, p in received if n == "sync_response" and len(p["events"]) >= 2],
            what="a full sync",
        )
        assert full[0]["full"]
