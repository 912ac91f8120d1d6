"""Each committed write is broadcast exactly once, after the commit, to those it concerns."""

import threading
from dataclasses import replace

import pytest
from engineio.payload import Payload

from api_client import by_nobody
from domain import ChangeType, Event, Write, new_id
from factory import create_app
from models import DynamoDBDatabase
from realtime.messages import Messages
from realtime.push import Push
from running import embedded, running_server, wait_for
from services.accounts.access import OpenAccess
from services.group_commit import GROUP_LIMIT


@pytest.fixture
def room(api, connect, transport):
    """A department with a member in its room, and somebody outside of it."""
    department = api.department()
    inside, outside = connect(transport), connect(transport)
    inside.join(department["id"])
    outside.join(api.department()["id"])
    return department["id"], inside, outside


def told(client) -> list[tuple[str, object]]:
    """What a client was told of changes, whole, once everything sent before has arrived."""
    client.ask("sync_request", {"department_id": new_id()})
    return [
        (name, payload) for name, payload in client.received if name.startswith(("event_", "department_"))
    ]


def of_department(client, department: str) -> list[tuple[str, object]]:
    return [(name, p) for name, p in told(client) if department in (p.get("id"), p.get("department_id"))]


def test_each_write_of_an_event_is_broadcast_once_and_only_to_its_room(api, room):
    department, inside, outside = room
    event = api.event(department)
    updated = api("PUT", f"/api/events/{event['id']}", {"title": "새"})["event"]
    api("DELETE", f"/api/events/{event['id']}")
    gone = {"id": event["id"], "department_id": department, "revision": 3}
    inside.wait("event_deleted")
    assert of_department(inside, department) == [
        ("event_created", by_nobody(event)),
        ("event_updated", by_nobody(updated)),
        ("event_deleted", by_nobody(gone)),
    ]
    assert of_department(outside, department) == []


def test_each_write_of_a_department_is_broadcast_once_to_everybody(api, room):
    _, inside, outside = room
    department = api.department()
    path = f"/api/departments/{department['id']}"
    updated = api("PUT", path, {"description": "새"})["department"]
    api("DELETE", path)
    for client in (inside, outside):
        client.wait("department_deleted")
        assert of_department(client, department["id"]) == [
            ("department_created", department),
            ("department_updated", updated),
            ("department_deleted", {"id": department["id"]}),
        ]


def test_a_deletion_and_a_restore_are_each_broadcast_once_to_everybody(api, room):
    department, inside, outside = room
    event = api.event(department)
    api("DELETE", f"/api/departments/{department}")
    api("POST", f"/api/departments/{department}/restore")
    api("POST", f"/api/departments/{department}/restore", status=409)
    restored = api("GET", f"/api/departments/{department}")["department"]
    for client in (inside, outside):
        client.wait("department_created")
        wait_for(lambda c=client: ("department_created", restored) in of_department(c, department))
        assert of_department(client, department)[-2:] == [
            ("department_deleted", {"id": department}),
            ("department_created", restored),
        ]
    api("PUT", f"/api/events/{event['id']}", {"title": "아직 아무도 없는 방"})
    assert inside.join(department)["revision"] == 2
    updated = api("PUT", f"/api/events/{event['id']}", {"title": "새"})["event"]
    inside.wait("event_updated")
    assert of_department(inside, department)[-1:] == [("event_updated", by_nobody(updated))]
    assert of_department(outside, department)[-1:] == [("department_created", restored)]


def test_a_refused_write_is_not_broadcast(api, room):
    department, inside, _ = room
    event = api.event(department)
    inside.wait("event_created")
    before = told(inside)
    api("POST", f"/api/events/{department}", {"title": ""}, status=400)
    api("PUT", f"/api/events/{event['id']}", {"event_date": "x"}, status=400)
    api("PUT", f"/api/events/{event['id']}", {})
    api("PUT", f"/api/events/{new_id()}", {"title": "x"}, status=404)
    api("POST", "/api/departments", {"name": api.department()["name"]}, status=409)
    assert [entry for entry in told(inside) if entry not in before][1:] == []


def test_members_of_a_deleted_department_are_told_and_leave_its_room(api, room):
    department, inside, _ = room
    api("DELETE", f"/api/departments/{department}")
    assert {"id": department} in inside.wait("department_deleted")
    assert inside.ask("sync_request", {"department_id": department})["error"] == "department_not_found"


def test_concurrent_writes_are_broadcast_in_revision_order_without_gap_or_duplicate(api, room):
    department, inside, _ = room

    def write() -> None:
        for _ in range(10):
            api.event(department)

    writers = [threading.Thread(target=write) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    inside.wait("event_created", 60)
    told(inside)
    assert [event["revision"] for event in inside.of("event_created")] == list(range(1, 61))


def test_a_client_that_joins_while_others_write_misses_no_revision_after_its_own(api, connect):
    department = api.department()["id"]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            api.event(department)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            client = connect()
            reached = client.join(department)["revision"]
            client.wait("event_created", 5)
            fresh = [e["revision"] for e in client.of("event_created") if e["revision"] > reached]
            assert fresh[0] == reached + 1
            assert fresh == list(range(fresh[0], fresh[0] + len(fresh)))
    finally:
        stop.set()
        writer.join()


def test_a_commit_of_another_server_is_broadcast_to_our_rooms(
    api, room, server, engine_dir, tmp_path_factory
):
    department, inside, outside = room
    settings = embedded(engine_dir)
    with running_server(tmp_path_factory.mktemp("other"), "flask", settings) as other:
        api.url = other.url
        event = api.event(department, "다른 서버")
        founded = api.department()
    assert inside.wait("event_created") == [by_nobody(event)]
    wait_for(lambda: founded in outside.of("department_created"), what="the other server's department")
    assert of_department(inside, department) == [("event_created", by_nobody(event))]


def test_thousands_of_changes_of_another_server_disconnect_nobody(api, room, store, monkeypatch):
    monkeypatch.setattr(Payload, "max_decode_packets", 10_000)  # this client's own limit
    department, inside, _ = room
    db = DynamoDBDatabase(store)
    event = Event(id="", department_id=department, event_date="2024-01-20", title="팀 회의")
    head = db.read_head(department)
    for _ in range(60):
        drafts = [replace(event, id=new_id()) for _ in range(GROUP_LIMIT)]
        changes = db.commit(
            department, head, [Write(type=ChangeType.EVENT_CREATED, entity=d) for d in drafts]
        )
        head = head.at(changes[-1].revision)
    inside.wait("event_created", head.revision, 30)
    assert [e["revision"] for e in inside.of("event_created")] == list(range(1, head.revision + 1))


def test_a_heartbeat_tells_the_room_its_revision(store):
    app = create_app(store)
    calendar = app.extensions["calendar"]
    core, server = calendar.core, calendar.socketio.server
    Messages(server, Push(server, core.db, core.sync, OpenAccess(), poll_s=0.01, heartbeat_s=0.0), core.sync)
    core.db.create_tables(report=lambda line: None)
    department = core.departments.create_department(f"부서 {new_id()}").entity.id
    core.events.create_event(department, {"event_date": "2024-01-20", "title": "x"})
    client = calendar.socketio.test_client(app)
    client.emit("join_department", {"department_id": department})

    def beats() -> list:
        return [m["args"][0] for m in client.get_received() if m["name"] == "department_heartbeat"]

    beat = wait_for(beats)[0]
    assert beat == {"department_id": department, "revision": 1}
    client.disconnect()
