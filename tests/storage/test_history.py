"""The history of an event and its restoration, on every store: in pages, after expiry, over versions."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from deadlines import deadline
from domain import Change, ChangeType, Event, EventKey, Write, new_id
from errors import DepartmentNotFound, EventNotFound
from in_process import Calendar
from log_rows import LogWriter, change_attributes, event_item, single_row
from models import ATTEMPT_S
from services.history import HistoryEntry

AT = "2024-01-15T10:30:00.000Z"
TITLES = ["하나", "둘", "셋", "넷", "다섯"]


@dataclass
class Requests:
    """The requests that were sent, and how many items they read, those that a filter left out included."""

    operations: list[str]
    items: int = 0


@pytest.fixture
def requests(client, monkeypatch) -> Callable[[], Requests]:
    """Return a function that begins to count anew."""
    call, counted = client.call, Requests([])

    def counting(operation: str, **parameters: Any) -> dict[str, Any]:
        answer = call(operation, **parameters)
        counted.operations.append(operation)
        counted.items += answer.get("ScannedCount", 0) + ("Item" in answer)
        return answer

    def begin() -> Requests:
        counted.operations, counted.items = [], 0
        return counted

    monkeypatch.setattr(client, "call", counting)
    return begin


def history(calendar: Calendar, event: Event, limit: int = 100) -> list[HistoryEntry]:
    """Return a whole history, read in pages of `limit` changes."""
    found: list[HistoryEntry] = []
    begin = None
    while True:
        page = calendar.events.page_history(event.department_id, event.id, limit, begin)
        found += page.entries
        if page.next_revision is None:
            return found
        assert len(page.entries) == limit
        begin = page.next_revision


def told(entries: list[HistoryEntry]) -> list[tuple[int, str, dict[str, dict[str, str]]]]:
    return [(entry.change.revision, entry.change.type.value, entry.changed) for entry in entries]


def title_change(old: str, new: str) -> dict[str, dict[str, str]]:
    return {"title": {"from": old, "to": new}}


def time_change(text: str, start: str) -> dict[str, dict[str, str]]:
    """Return what changes when an event that had no time gets one."""
    return {"time": {"from": "", "to": text}, "start_time": {"from": "", "to": start}}


def test_a_history_goes_on_over_deletions_and_restorations(calendar, department):
    event = calendar.add(department, "하나")
    other = calendar.add(department, "다른 것")
    calendar.events.update_event(event.id, {"title": "둘", "time": "오전 9:00"})
    calendar.events.delete_event(event.id)
    calendar.events.restore_event(department, event.id)
    calendar.events.delete_event(other.id)
    calendar.events.update_event(event.id, {"title": "셋"})
    calendar.events.delete_event(event.id)
    calendar.events.restore_event(department, event.id)
    assert told(history(calendar, event)) == [
        (9, "event_created", {}),
        (8, "event_deleted", {}),
        (7, "event_updated", title_change("둘", "셋")),
        (5, "event_created", {}),
        (4, "event_deleted", {}),
        (3, "event_updated", title_change("하나", "둘") | time_change("오전 9:00", "09:00")),
        (1, "event_created", {}),
    ]
    assert told(history(calendar, other)) == [(6, "event_deleted", {}), (2, "event_created", {})]


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_the_pages_of_a_history_are_the_whole(calendar, department, limit):
    event = calendar.add(department, TITLES[0])
    for title in TITLES[1:]:
        calendar.add(department, "다른 것")
        calendar.events.update_event(event.id, {"title": title})
    calendar.events.delete_event(event.id)
    calendar.events.restore_event(department, event.id)
    whole = history(calendar, event)
    assert history(calendar, event, limit) == whole
    edits = [entry.changed for entry in whole if entry.change.type is ChangeType.EVENT_UPDATED]
    assert edits == [title_change(TITLES[n], TITLES[n + 1]) for n in (3, 2, 1, 0)]


def test_a_page_holds_what_changes_come_after_it_leave_alone(calendar, department):
    event = calendar.add(department, "하나")
    calendar.events.update_event(event.id, {"title": "둘"})
    page = calendar.events.page_history(department, event.id, 1)
    calendar.events.update_event(event.id, {"title": "셋"})
    rest = calendar.events.page_history(department, event.id, 10, page.next_revision)
    assert [entry.change.revision for entry in [*page.entries, *rest.entries]] == [2, 1]


@pytest.mark.parametrize("expired", [1, 3, 5])
def test_an_expired_row_ends_a_history(calendar, writer, department, expired):
    event = calendar.add(department, "하나")
    for title in TITLES[1:]:
        calendar.events.update_event(event.id, {"title": title})
    writer.expire(department, expired)
    entries = history(calendar, event, 2) if expired < 4 else history(calendar, event)
    assert [entry.change.revision for entry in entries] == list(range(5, expired, -1))
    if entries:
        assert entries[-1].changed == {}, "the state before it is not known"
    calendar.events.delete_event(event.id)
    assert calendar.events.restore_event(department, event.id).title == "다섯"


def test_a_page_that_begins_with_an_expired_row_or_another_event_is_empty(calendar, writer, department):
    event, other = calendar.add(department), calendar.add(department)
    calendar.events.update_event(event.id, {"title": "둘"})
    page = calendar.events.page_history(department, event.id, 1)
    writer.expire(department, page.next_revision)
    for begin in (page.next_revision, other.revision, 999, 10**30):
        assert told(calendar.events.page_history(department, event.id, 10, begin).entries) == []


def test_an_event_that_nobody_changed_or_knows_has_no_history(calendar, department):
    assert history(calendar, Event(id=new_id(), department_id=department, event_date="", title="")) == []
    with pytest.raises(EventNotFound):
        calendar.events.restore_event(department, new_id())
    event = calendar.add(department)
    elsewhere = calendar.departments.create_department("영업팀").entity.id
    assert calendar.events.page_history(elsewhere, event.id, 10).entries == []
    with pytest.raises(DepartmentNotFound):
        calendar.events.page_history(new_id(), event.id, 10)


def test_the_history_of_a_loaded_event_begins_with_its_first_edit(calendar, department):
    revision = calendar.db.begin_load(department, "load")
    loaded = Event(
        id=new_id(), department_id=department, event_date="2024-01-20", title="하나", revision=revision
    )
    calendar.db.put_events([loaded])
    calendar.db.finish_load(department, {"load"})
    assert history(calendar, loaded) == []
    updated = calendar.events.update_event(loaded.id, {"title": "둘"})
    assert told(history(calendar, loaded)) == [(updated.revision, "event_updated", {})]
    calendar.events.delete_event(loaded.id)
    assert calendar.events.restore_event(department, loaded.id).title == "둘"
    assert [entry.change.type.value for entry in history(calendar, loaded)] == [
        "event_created", "event_deleted", "event_updated",
    ]  # fmt: skip


def test_a_loaded_event_that_was_never_edited_can_be_restored(calendar, department):
    revision = calendar.db.begin_load(department, "load")
    loaded = Event(
        id=new_id(), department_id=department, event_date="2024-01-20", title="하나", revision=revision
    )
    calendar.db.put_events([loaded])
    calendar.db.finish_load(department, {"load"})
    calendar.events.delete_event(loaded.id)
    assert calendar.events.restore_event(department, loaded.id).title == "하나"


def add_others(calendar: Calendar, department: str, count: int) -> None:
    """Write changes of other events."""
    writes = [
        Write(
            type=ChangeType.EVENT_CREATED,
            entity=Event(id=new_id(), department_id=department, event_date="2024-01-20", title=f"{n}"),
        )
        for n in range(count)
    ]
    while writes:
        head = calendar.db.read_head(department)
        assert head is not None
        del writes[: len(calendar.db.commit(department, head, writes))]


def test_a_history_costs_the_same_whatever_else_happened_in_the_department(calendar, department, requests):
    event = calendar.add(department, "하나")
    add_others(calendar, department, 150)
    calendar.events.update_event(event.id, {"title": "둘"})
    add_others(calendar, department, 150)
    calendar.events.update_event(event.id, {"title": "셋"})
    add_others(calendar, department, 10)
    counted = requests()
    assert len(history(calendar, event)) == 3
    assert counted.operations == ["get_item"] + ["query"] * 4
    assert counted.items <= 5


def test_an_unknown_id_and_a_restoration_do_not_read_the_log(calendar, department, requests):
    event = calendar.add(department, "하나")
    add_others(calendar, department, 150)
    calendar.events.delete_event(event.id)
    add_others(calendar, department, 150)
    calendar.add(department)  # this server has seen what the others did
    counted = requests()
    assert calendar.events.page_history(department, new_id(), 10).entries == []
    assert len(counted.operations) <= 5
    assert counted.items <= 2
    counted = requests()
    with pytest.raises(EventNotFound):
        calendar.events.restore_event(department, new_id())
    assert len(counted.operations) <= 6
    assert counted.items <= 3
    counted = requests()
    calendar.events.restore_event(department, event.id)
    assert len(counted.operations) <= 6
    assert counted.items <= 5


# Logs of servers before 1.1


class OldServer:
    """Writes changes as servers of 1.0 did: rows without `previous`, no rows of deletions.

    With `notes_previous` the rows are those of 1.1.
    """

    def __init__(
        self, calendar: Calendar, writer: LogWriter, department: str, *, notes_previous: bool = False
    ) -> None:
        self._calendar = calendar
        self._writer = writer
        self._department = department
        self._notes_previous = notes_previous

    def create(self, title: str) -> Event:
        event = Event(
            id=new_id(), department_id=self._department, event_date="2024-01-20", title=title,
            created_at=AT, last_modified=AT,
        )  # fmt: skip
        return self._write(ChangeType.EVENT_CREATED, event)

    def update(self, event: Event, title: str) -> Event:
        return self._write(ChangeType.EVENT_UPDATED, replace(event, title=title))

    def delete(self, event: Event) -> None:
        self._writer.delete_event(self._write(ChangeType.EVENT_DELETED, event))

    def restore(self, event: Event) -> Event:
        return self._write(ChangeType.EVENT_CREATED, event)

    def _write(self, kind: ChangeType, event: Event) -> Event:
        head = self._calendar.db.read_head(self._department)
        assert head is not None
        before = 0 if kind is ChangeType.EVENT_CREATED else event.revision
        event = event.at_revision(head.revision + 1)
        change = Change(
            revision=event.revision, type=kind, entity=event, at=AT, write_id=new_id(),
            previous=before if self._notes_previous else None,
        )  # fmt: skip
        self._writer.put_event(event_item(event))
        self._writer.append(single_row(self._department, event.revision, change_attributes(change)))
        return event


@pytest.fixture
def old_server(calendar, writer, department) -> OldServer:
    return OldServer(calendar, writer, department)


@pytest.fixture
def server_1_1(calendar, writer, department) -> OldServer:
    return OldServer(calendar, writer, department, notes_previous=True)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_history_reaches_back_to_what_older_servers_wrote(calendar, old_server, limit):
    event = old_server.create("하나")
    old_server.create("다른 것")
    event = old_server.update(event, "둘")
    event = old_server.update(event, "셋")
    old = [(4, "event_updated", title_change("둘", "셋")), (3, "event_updated", title_change("하나", "둘")),
           (1, "event_created", {})]  # fmt: skip
    assert told(history(calendar, event, limit)) == old
    calendar.events.update_event(event.id, {"title": "넷"})
    assert told(history(calendar, event, limit)) == [
        (5, "event_updated", title_change("셋", "넷")), *old,
    ]  # fmt: skip


def test_an_event_that_an_older_server_deleted_has_a_history_and_can_be_restored(
    calendar, old_server, department
):
    event = old_server.create("하나")
    event = old_server.update(event, "둘")
    old_server.delete(event)
    calendar.add(department, "다른 것")
    revisions = [3, 2, 1]
    assert [entry.change.revision for entry in history(calendar, event, 2)] == revisions
    assert calendar.events.restore_event(department, event.id).title == "둘"
    calendar.events.update_event(event.id, {"title": "셋"})
    assert [entry.change.revision for entry in history(calendar, event, 2)] == [6, 5, *revisions]


def test_an_expired_old_row_ends_a_history_without_a_failure(calendar, old_server, writer, department):
    event = old_server.create("하나")
    event = old_server.update(event, "둘")
    event = old_server.update(event, "셋")
    calendar.events.update_event(event.id, {"title": "넷"})
    for expired, left in ((1, [4, 3, 2]), (2, [4, 3]), (3, [4])):
        writer.expire(department, expired)
        assert [entry.change.revision for entry in history(calendar, event)] == left


def test_without_old_rows_in_front_the_log_is_not_scanned(calendar, old_server, writer, department, requests):
    old = old_server.create("하나")
    add_others(calendar, department, 40)
    updated = calendar.events.update_event(old.id, {"title": "둘"})
    assert [change.revision for change in calendar.db.legacy_changes(old.key)] == [1]
    writer.expire(department, 1)
    counted = requests()
    assert told(history(calendar, old)) == [(updated.revision, "event_updated", {})]
    assert calendar.db.legacy_changes(EventKey(new_id(), department)) == []
    assert counted.items <= 6


def test_versions_that_take_turns_during_upgrades_write_one_history(calendar, old_server, server_1_1):
    event = old_server.create("하나")
    event = server_1_1.update(event, "둘")
    event = old_server.update(event, "셋")
    event = server_1_1.update(event, "넷")
    event = calendar.events.update_event(event.id, {"title": "다섯"})
    assert [entry.changed for entry in history(calendar, event, 2)] == [
        *(title_change(TITLES[n], TITLES[n + 1]) for n in (3, 2, 1, 0)), {},
    ]  # fmt: skip


def test_a_deletion_by_an_older_server_during_an_upgrade_can_be_taken_back(
    calendar, old_server, server_1_1, department
):
    old_server.create("다른 것")
    event = server_1_1.update(server_1_1.create("하나"), "둘")
    old_server.delete(event)
    assert [entry.change.revision for entry in history(calendar, event)] == [4, 3, 2]
    assert calendar.events.restore_event(department, event.id).title == "둘"


def test_a_page_that_would_outlast_its_request_ends_with_what_it_has(calendar, department):
    event = calendar.add(department)
    for title in TITLES:
        calendar.events.update_event(event.id, {"title": title})
    found, begin, pages = [], None, 0
    while begin or not pages:
        with deadline(ATTEMPT_S):
            page = calendar.events.page_history(department, event.id, 100, begin)
        found += [entry.change.entity.title for entry in page.entries]
        begin, pages = page.next_revision, pages + 1
    assert found == [*reversed(TITLES), event.title]
    assert pages == 1 + len(found)
