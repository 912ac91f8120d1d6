"""What newer servers and other tools write: attributes are carried along, changes and rows passed over."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from api_client import by_nobody
from domain import (
    REGISTRY,
    Change,
    ChangeType,
    Department,
    Event,
    EventFilter,
    EventKey,
    UnknownChange,
    new_id,
)
from errors import SyncTokenExpired
from fake_transport import FakeTransport
from in_process import Calendar
from interruption import EditedInBetween
from log_rows import LogWriter, Row, change_attributes, commit_row, event_item, logged_entities, single_row
from migration.bulk_load import BulkLoad, IndexWait, Kind
from migration.department_load import Candidate, DepartmentLoad
from migration.source_rows import SourceDepartment, SourceEvent
from migration.staging import Staging
from realtime.push import Push
from services.accounts.access import OpenAccess
from services.history import EventHistory
from services.snapshot import INDEX_LAG_WINDOW
from store import items

UNKNOWN: Row = {
    "room": {"S": "3층"},
    "attendees": {"L": [{"M": {"name": {"S": "김"}, "seats": {"N": "3"}, "tags": {"SS": ["a"]}}}]},
    "settings": {"M": {"color": {"NULL": True}, "nested": {"M": {"on": {"BOOL": True}}}}},
}
AT = "2024-01-15T10:30:00.000Z"
EVENT_FIELDS = [
    "id", "department_id", "event_date", "title", "description", "time", "url",
    "end_date", "start_time", "end_time", "location", "category", "rrule", "exdates",
    "recurring_event_id", "original_date", "created_at", "last_modified", "revision",
]  # fmt: skip


@pytest.fixture
def stored_unknown(client, settings, writer) -> Callable[[Event | Department], Row]:
    """Return a function that reads the attributes of a stored item that this server does not know."""

    def read(entity: Event | Department) -> Row:
        if isinstance(entity, Event):
            item = writer.find_event(entity)
        else:
            item = client.find_item(settings.departments_table, items.department_key(entity.id))
        return {name: value for name, value in item.items() if name not in {*entity.public(), "revision"}}

    return read


@pytest.fixture
def event(calendar, writer, department) -> Event:
    """An event to which a newer server has added attributes."""
    event = calendar.add(department, "회의")
    writer.put_event(event_item(event, **UNKNOWN))
    return event


def unknown_in_last_row(writer: LogWriter, partition: str, known: set[str]) -> Row:
    (*_, entity) = logged_entities(writer.rows(partition)[-1])
    return {name: value for name, value in entity.items() if name not in known}


# Attributes


def test_unknown_attributes_of_an_event_survive_edits_deletion_and_restoration(
    calendar, writer, department, event, stored_unknown
):
    calendar.events.update_event(event.id, {"title": "하나"})
    assert stored_unknown(event) == UNKNOWN
    Calendar(calendar.db).events.update_event(event.id, {"time": "오후 2:00"})
    assert stored_unknown(event) == UNKNOWN
    calendar.events.delete_event(event.id)
    assert unknown_in_last_row(writer, department, set(EVENT_FIELDS)) == UNKNOWN
    calendar.events.restore_event(department, event.id)
    assert stored_unknown(event) == UNKNOWN
    for row in writer.rows(department)[1:]:
        assert [UNKNOWN.items() <= entity.items() for entity in logged_entities(row)] == [True]


def test_unknown_attributes_count_as_memory(calendar, writer, department, event):
    before = calendar.snapshot(department).footprint
    writer.put_event(event_item(event, newer={"S": "x" * 100_000}))
    calendar.events.update_event(event.id, {"title": "하나"})
    assert calendar.snapshot(department).footprint > before + 2 * 100_000


def test_unknown_attributes_survive_two_edits_at_once(settings, calendar, event, stored_unknown):
    def edit(event_id: str) -> None:
        calendar.events.update_event(event_id, {"description": "다른 사람"})

    Calendar(EditedInBetween(settings, edit)).events.update_event(event.id, {"title": "내 제목"})
    found = calendar.db.find_event(event.id)
    assert (found.title, found.description) == ("내 제목", "다른 사람")
    assert stored_unknown(event) == UNKNOWN


def test_unknown_attributes_of_a_department_survive_edits_and_are_logged(
    client, settings, calendar, writer, stored_unknown
):
    department = add_unknown_to_department(client, settings, calendar)
    calendar.departments.update_department(department.id, {"description": "설명"})
    calendar.departments.update_department(department.id, {"name": "둘"})
    assert stored_unknown(department) == UNKNOWN
    known = {*department.public(), "revision"}
    assert unknown_in_last_row(writer, REGISTRY, known) == UNKNOWN
    calendar.departments.delete_department(department.id)
    assert unknown_in_last_row(writer, REGISTRY, known) == UNKNOWN


def add_unknown_to_department(client, settings, calendar) -> Department:
    department = calendar.departments.create_department("하나").entity
    item = items.entity_to_item(department) | UNKNOWN
    client.call("put_item", TableName=settings.departments_table, Item=item)
    return department


@pytest.fixture
def staging() -> Iterator[Staging]:
    with contextlib.closing(Staging("calendar_events.json")) as staging:
        yield staging


def test_a_migration_that_replaces_an_event_keeps_its_unknown_attributes(
    calendar, staging, event, stored_unknown
):
    loaded = replace(event, title="파일의 제목", created_at=AT, last_modified=AT)
    staging.add(SourceEvent(loaded, frozenset({"created_at"})), "[0]")
    staging.keep_newest()
    load = BulkLoad(calendar.db, staging, workers=1, index_wait=IndexWait(poll_s=0.02, replica_lag_s=0.0))
    load.survey()
    assert [outcome.kind for outcome in load.load()] == [Kind.UPDATED]
    assert list(load.verify()) == [None]
    assert load.finish() == []
    found = calendar.db.find_event(event.id)
    assert (found.title, found.created_at) == ("파일의 제목", event.created_at)
    assert stored_unknown(event) == UNKNOWN


def test_a_migration_that_replaces_a_department_keeps_its_unknown_attributes(
    client, settings, calendar, stored_unknown
):
    department = add_unknown_to_department(client, settings, calendar)
    load = DepartmentLoad(calendar.db.list_departments())
    source = SourceDepartment(replace(department, name="파일의 이름"), frozenset({"created_at"}), ())
    assert list(load.choose([Candidate("departments[0]", {}, source)])) == []
    assert [outcome.kind for outcome in load.load(calendar.db)] == [Kind.UPDATED]
    assert calendar.departments.get_department(department.id).name == "파일의 이름"
    assert stored_unknown(department) == UNKNOWN


def test_clients_get_the_known_fields_of_an_event_alone(calendar, department, event):
    transport = KeepingTransport()
    push = Push(transport, calendar.db, calendar.sync, OpenAccess(), poll_s=None)
    push.join("sid", department)
    token = calendar.token(department)
    updated = calendar.events.update_event(event.id, {"title": "하나"})
    push.poll_once()
    assert transport.payloads("event_updated") == [by_nobody(updated.public())]
    assert list(updated.public()) == EVENT_FIELDS
    for reader in (calendar, Calendar(calendar.db), Calendar(calendar.db, snapshot_bytes=1)):
        listed = reader.events.list_events(department, EventFilter(), lambda _position: False)
        for pieces in (listed.events, reader.sync.full(department).events):
            assert json.loads(b"[" + b",".join(pieces) + b"]") == [updated.public()]
        (change,) = reader.sync.changes_since(department, token, 10).changes
        assert change.public()["event"] == updated.public()
        history = reader.events.page_history(department, event.id, 10).entries
        assert [list(entry.public()["event"]) for entry in history] == [EVENT_FIELDS] * 2


def test_clients_get_the_known_fields_of_a_department_alone(client, settings, calendar):
    department = add_unknown_to_department(client, settings, calendar)
    transport = KeepingTransport()
    push = Push(transport, calendar.db, calendar.sync, OpenAccess(), poll_s=None)
    push.connect("sid")
    updated = calendar.departments.update_department(department.id, {"description": "설명"})
    push.poll_once()
    assert transport.payloads("department_updated") == [updated.public()]
    assert list(updated.public()) == [
        "id", "name", "description", "timezone", "color", "created_at", "updated_at",
    ]  # fmt: skip


class KeepingTransport(FakeTransport):
    """Keeps the payloads, too."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, Any]] = []

    def emit(self, event: str, *payload: Any, to: str | None = None) -> None:
        super().emit(event, *payload, to=to)
        self.kept += [(event, part) for part in payload]

    def payloads(self, name: str) -> list[Any]:
        return [payload for kind, payload in self.kept if kind == name]


# Changes and rows


@dataclass
class Written:
    """What a newer server wrote: rows from revision 2 on, and those of their events that can be read."""

    rows: list[Row]
    events: list[Event]
    last: int


def known(department: str, revision: int) -> Change:
    event = Event(
        id=new_id(),
        department_id=department,
        event_date="2024-01-20",
        title=f"새 서버 {revision}",
        created_at=AT,
        last_modified=AT,
        revision=revision,
    )
    return Change(revision=revision, type=ChangeType.EVENT_CREATED, entity=event, at=AT, write_id=new_id())


def unknown_kind(department: str) -> Written:
    attributes = change_attributes(known(department, 2)) | {"type": {"S": "event_pinned"}}
    return Written([single_row(department, 2, attributes)], [], 2)


def without_an_entity(department: str) -> Written:
    attributes = change_attributes(known(department, 2))
    del attributes["entity"]
    empty = attributes | {"entity": {"M": {}}}
    return Written([single_row(department, 2, attributes), single_row(department, 3, empty)], [], 3)


def nothing_but_keys(department: str) -> Written:
    return Written([single_row(department, 2, {})], [], 2)


def commit_with_an_unknown_kind(department: str) -> Written:
    first, third = known(department, 2), known(department, 4)
    pinned = change_attributes(known(department, 3)) | {"type": {"S": "event_pinned"}}
    changes = [change_attributes(first), pinned, change_attributes(third)]
    return Written([commit_row(department, 2, changes)], [first.entity, third.entity], 4)


def commit_with_fewer_changes(department: str) -> Written:
    first = known(department, 2)
    return Written([commit_row(department, 2, [change_attributes(first)], last=5)], [first.entity], 5)


def packed_commit(department: str) -> Written:
    row = commit_row(department, 2, [], last=4) | {"changes": {"B": "cGFja2Vk"}}
    return Written([row], [], 4)


def commit_without_changes(department: str) -> Written:
    row = commit_row(department, 2, [], last=3)
    del row["changes"]
    return Written([row], [], 3)


NEWER = [
    unknown_kind,
    without_an_entity,
    nothing_but_keys,
    commit_with_an_unknown_kind,
    commit_with_fewer_changes,
    packed_commit,
    commit_without_changes,
]


def write(writer: LogWriter, written: Written) -> None:
    for event in written.events:
        writer.put_event(event_item(event))
    for row in written.rows:
        writer.append(row)


@pytest.mark.parametrize("newer", NEWER, ids=lambda newer: newer.__name__)
def test_lists_and_deltas_pass_over_what_they_cannot_read_and_count_its_revisions(
    calendar, writer, department, newer
):
    mine = calendar.add(department, "내 것")
    token, reached = calendar.token(department), calendar.snapshot(department).position
    written = newer(department)
    write(writer, written)
    titles = sorted(["내 것", *(event.title for event in written.events)])
    readers = [calendar, Calendar(calendar.db), Calendar(calendar.db, snapshot_bytes=1)]
    for reader in readers:
        assert sorted(reader.titles(department)) == titles
        delta = reader.sync.changes_since(department, token, 10)
        assert [change.entity for change in delta.changes] == written.events
        assert (delta.position, delta.has_more) == (reached.at(written.last), False)
        assert reader.sync.changes_since(department, delta.position.sync_token, 10).changes == []
        assert not reader.sync.delta_or_full(department, token).full
    one_by_one, seen = token, []
    for revision in range(2, written.last + 1):
        delta = readers[1].sync.changes_since(department, one_by_one, 1)
        assert (delta.position.revision, delta.has_more) == (revision, revision < written.last)
        one_by_one = delta.position.sync_token
        seen += [change.entity for change in delta.changes]
    assert seen == written.events
    after = calendar.events.update_event(mine.id, {"title": "고친 것"})
    assert after.revision == written.last + 1
    for reader in readers:
        assert "고친 것" in reader.titles(department)
        assert reader.sync.changes_since(department, one_by_one, 10).changes[-1].entity == after


@pytest.mark.parametrize("newer", NEWER, ids=lambda newer: newer.__name__)
def test_the_log_counts_what_it_cannot_read(calendar, writer, department, newer):
    calendar.add(department)
    written = newer(department)
    write(writer, written)
    logs = [
        calendar.db.changes_after(department, 0),
        calendar.db.recent_changes(department, written.last, INDEX_LAG_WINDOW),
    ]
    readable = {event.revision for event in written.events} | {1}
    for entries in logs:
        assert [entry.revision for entry in entries] == list(range(1, written.last + 1))
        for entry in entries:
            assert isinstance(entry, Change if entry.revision in readable else UnknownChange)


@pytest.mark.parametrize("newer", NEWER, ids=lambda newer: newer.__name__)
def test_a_room_is_told_of_the_changes_that_can_be_read_and_then_of_the_next(
    calendar, writer, department, newer
):
    transport = KeepingTransport()
    push = Push(transport, calendar.db, calendar.sync, OpenAccess(), poll_s=None, heartbeat_s=0.0)
    calendar.group_commit.on_commit(push.on_commit)
    mine = calendar.add(department)
    push.join("sid", department)
    written = newer(department)
    write(writer, written)
    push.poll_once()
    assert transport.payloads("event_created") == [by_nobody(event.public()) for event in written.events]
    assert transport.payloads("department_heartbeat")[-1]["revision"] == written.last
    after = calendar.events.update_event(mine.id, {"title": "고친 것"})
    assert transport.payloads("event_updated") == [by_nobody(after.public())]
    assert transport.payloads("sync_response") == []
    push.poll_once()
    assert len(transport.payloads("event_created")) == len(written.events)
    assert transport.payloads("department_heartbeat")[-1]["revision"] == after.revision


@pytest.mark.parametrize("newer", NEWER, ids=lambda newer: newer.__name__)
def test_history_and_restoration_of_an_event_pass_over_what_they_cannot_read(
    calendar, writer, department, newer
):
    event = calendar.add(department, "하나")
    written = newer(department)
    write(writer, written)
    calendar.events.update_event(event.id, {"title": "둘"})
    calendar.events.delete_event(event.id)
    restored = calendar.events.restore_event(department, event.id)
    history = calendar.events.page_history(department, event.id, 10).entries
    assert [entry.change.revision for entry in history] == [written.last + n for n in (3, 2, 1)] + [1]
    assert restored.title == "둘"


def test_the_history_goes_on_behind_a_change_of_the_event_that_it_cannot_read(calendar, writer, department):
    event = calendar.add(department, "하나")
    pinned = replace(event, revision=2)
    change = Change(
        revision=2, type=ChangeType.EVENT_UPDATED, entity=pinned, at=AT, write_id=new_id(), previous=1
    )
    writer.append(commit_row(department, 2, [change_attributes(change) | {"type": {"S": "event_pinned"}}]))
    writer.put_event(event_item(pinned))
    calendar.events.update_event(event.id, {"title": "둘"})
    history = calendar.events.page_history(department, event.id, 10).entries
    assert [(entry.change.revision, entry.changed) for entry in history] == [
        (3, {"title": {"from": "하나", "to": "둘"}}),
        (1, {}),
    ]


def test_a_page_of_a_history_ends_in_time_though_all_changes_are_of_unknown_kinds(
    calendar, writer, department, monkeypatch
):
    event = calendar.add(department, "하나")
    for revision in range(2, 6):
        event = event.at_revision(revision)
        change = Change(
            revision=revision, type=ChangeType.EVENT_UPDATED, entity=event, at=AT, previous=revision - 1
        )
        pinned = change_attributes(change) | {"type": {"S": "event_pinned"}}
        writer.append(commit_row(department, revision, [pinned]))
        writer.put_event(event_item(event))
    monkeypatch.setattr("services.history.PAGE_S", 0.0)
    history = EventHistory(calendar.db)
    pages = [history.page(event.key, 10)]
    while pages[-1].next_revision:
        pages.append(history.page(event.key, 10, pages[-1].next_revision))
    assert len(pages) == 5
    assert [entry.change.revision for page in pages for entry in page.entries] == [1]


@pytest.mark.parametrize("newer", NEWER, ids=lambda newer: newer.__name__)
def test_a_purge_removes_rows_that_it_cannot_read(calendar, writer, department, newer):
    calendar.add(department)
    written = newer(department)
    write(writer, written)
    calendar.departments.delete_department(department)
    assert calendar.purge.remove_now(department)
    assert writer.rows(department) == []
    assert calendar.db.find_events([EventKey(event.id, department) for event in written.events]) == {}


def test_a_department_change_of_an_unknown_kind_is_passed_over_in_the_registry(calendar, writer, department):
    transport = KeepingTransport()
    push = Push(transport, calendar.db, calendar.sync, OpenAccess(), poll_s=None)
    push.connect("sid")
    reached = calendar.db.read_head(REGISTRY).revision
    archived = {"type": {"S": "department_archived"}, "entity": {"M": {"id": {"S": department}}}}
    writer.append(single_row(REGISTRY, reached + 1, archived))
    push.poll_once()
    updated = calendar.departments.update_department(department, {"description": "설명"})
    push.poll_once()
    assert transport.sent == [("connected", "sid"), ("department_updated", None)]
    assert calendar.db.read_head(REGISTRY).revision == reached + 2
    assert [d.description for d in calendar.departments.list_departments()] == [updated.description]


def test_an_expired_row_of_a_commit_expires_every_token_before_it(calendar, writer, department):
    calendar.add(department)
    token = calendar.token(department)
    write(writer, commit_with_an_unknown_kind(department))
    writer.expire(department, 4)
    with pytest.raises(SyncTokenExpired):
        Calendar(calendar.db).sync.changes_since(department, token, 10)
