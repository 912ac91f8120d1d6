"""Deleted departments on real stores: what can be restored, and which ids and names are free."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from domain import Department, Event, EventKey, new_id, utc_now
from errors import (
    DepartmentNameTaken,
    DepartmentNotDeleted,
    DepartmentNotFound,
    EventIdTaken,
    EventNotFound,
    SyncTokenExpired,
)
from in_process import Calendar
from running import wait_for
from services.repair import Repaired
from store import items

TOO_SMALL = 500
"""A budget in bytes in which no snapshot fits."""


def deleted_department(
    calendar: Calendar, name: str = "개발팀", events: int = 0
) -> tuple[Department, list[Event]]:
    """Create a department with events and delete it."""
    department = calendar.departments.create_department(name, "설명").entity
    added = [calendar.add(department.id, f"{n}") for n in range(events)]
    calendar.departments.delete_department(department.id)
    return department, added


def restorable_names(calendar: Calendar) -> list[str]:
    return [
        deleted.department.name for deleted in calendar.departments.page_deleted_departments(50).departments
    ]


def test_a_deleted_department_is_gone_for_all_though_its_events_are_there(calendar):
    department, (event,) = deleted_department(calendar, events=1)

    assert calendar.departments.list_departments() == []
    assert calendar.db.read_head(department.id) is None
    assert calendar.db.find_event(event.id) is not None
    for read in (
        lambda: calendar.departments.get_department(department.id),
        lambda: calendar.departments.update_department(department.id, {"description": "늦음"}),
        lambda: calendar.departments.delete_department(department.id),
        lambda: calendar.reading(department.id),
        lambda: calendar.add(department.id),
        lambda: calendar.events.get_event(department.id, event.id),
        lambda: calendar.events.restore_event(department.id, event.id),
        lambda: calendar.events.page_history(department.id, event.id, 10),
    ):
        with pytest.raises(DepartmentNotFound):
            read()
    for edit in (
        lambda: calendar.events.update_event(event.id, {"title": "늦음"}),
        lambda: calendar.events.delete_event(event.id),
        lambda: calendar.events.update_event(event.id, {}),
        lambda: calendar.events.update_event(event.id, {"title": "늦음"}, expected={"9"}),
    ):
        with pytest.raises(EventNotFound):
            edit()

    assert calendar.repair.run() == Repaired(purged=0, adopted=0)
    assert calendar.db.find_event(event.id) is not None


def test_a_restored_department_has_all_it_had_and_goes_on_at_the_next_revision(
    client, settings, calendar, elsewhere
):
    department = calendar.departments.create_department("개발팀", "설명").entity
    first = calendar.add(department.id, "하나")
    located = {"S": "3층 회의실"}
    for table, key in (
        (settings.departments_table, items.department_key(department.id)),
        (settings.events_table, items.event_key(first.key)),
    ):
        client.call(
            "update_item",
            TableName=table,
            Key=key,
            UpdateExpression="SET #l = :l",
            ExpressionAttributeNames={"#l": "room"},
            ExpressionAttributeValues={":l": located},
        )
    gone = calendar.add(department.id, "지운 것")
    changed = calendar.add(department.id, "둘")
    calendar.events.update_event(changed.id, {"title": "셋"})
    calendar.events.delete_event(gone.id)
    before = dict(calendar.snapshot(department.id).events)
    reached = calendar.reading(department.id).position
    elsewhere.departments.delete_department(department.id)

    restored = elsewhere.departments.restore_department(department.id)

    assert (restored.id, restored.name, restored.description) == (department.id, "개발팀", "설명")
    assert restored.created_at == department.created_at
    assert restored.unknown == {"room": located}
    for reader in (calendar, elsewhere, Calendar(calendar.db, snapshot_bytes=TOO_SMALL)):
        assert reader.departments.list_departments() == [restored]
        assert reader.snapshot(department.id).events == before
        assert reader.events.get_event(department.id, changed.id).title == "셋"
        history = reader.events.page_history(department.id, changed.id, 10).entries
        assert [entry.change.entity.title for entry in history] == ["셋", "둘"]
    assert calendar.events.restore_event(department.id, gone.id).revision == reached.revision + 1
    assert calendar.add(department.id).revision == reached.revision + 2
    assert calendar.db.find_events([first.key])[first.id].unknown == {"room": located}
    assert calendar.departments.page_deleted_departments(50).departments == []
    with pytest.raises(DepartmentNameTaken):
        calendar.departments.create_department("개발팀")


def test_a_department_can_be_restored_again_and_again(calendar):
    department = calendar.departments.create_department("개발팀").entity
    titles: list[str] = []
    for n in range(3):
        titles.append(calendar.add(department.id, f"{n}").title)
        calendar.departments.delete_department(department.id)
        calendar.departments.restore_department(department.id)
        assert calendar.titles(department.id) == titles


def test_what_is_told_of_a_deleted_department(calendar):
    department, _ = deleted_department(calendar)
    ((deleted),) = calendar.departments.page_deleted_departments(50).departments
    deletion = calendar.db.find_change("departments", deleted.revision)
    assert deleted.public() == {
        "department": department.public(),
        "revision": 2,
        "at": deletion.at,
        "by": "",
        "by_name": "",
    }


def test_the_last_deleted_department_comes_first_in_pages(calendar):
    names = ["하나", "둘", "셋", "넷", "다섯"]
    for name in names:
        deleted_department(calendar, name)
    pages: list[list[str]] = []
    begin: int | None = None
    while not pages or begin is not None:
        page = calendar.departments.page_deleted_departments(2, begin)
        pages.append([deleted.department.name for deleted in page.departments])
        begin = page.next_number
    assert pages == [["다섯", "넷"], ["셋", "둘"], ["하나"]]
    assert calendar.departments.page_deleted_departments(5).next_number is None


@pytest.mark.parametrize("begin", [1, 10**30])
def test_a_page_that_begins_before_or_after_all_deleted_departments(calendar, begin):
    deleted_department(calendar)
    names = ["개발팀"] if begin == 10**30 else []
    page = calendar.departments.page_deleted_departments(50, begin)
    assert [deleted.department.name for deleted in page.departments] == names
    assert page.next_number is None


def test_a_name_that_was_taken_meanwhile_calls_for_another(calendar):
    department, _ = deleted_department(calendar, "Dev 팀", events=2)
    calendar.departments.create_department("dev  팀")
    for name in ("", "DEV 팀"):
        with pytest.raises(DepartmentNameTaken):
            calendar.departments.restore_department(department.id, name)
    assert restorable_names(calendar) == ["Dev 팀"]
    assert calendar.departments.restore_department(department.id, "옛 개발팀").name == "옛 개발팀"
    assert calendar.titles(department.id) == ["0", "1"]
    assert calendar.departments.update_department(department.id, {"description": "새"}).name == "옛 개발팀"
    calendar.departments.delete_department(department.id)
    assert calendar.departments.create_department("옛 개발팀").entity.name == "옛 개발팀"


def test_only_a_deleted_department_can_be_restored(calendar):
    department, _ = deleted_department(calendar)
    calendar.departments.restore_department(department.id)
    with pytest.raises(DepartmentNotDeleted):
        calendar.departments.restore_department(department.id)
    with pytest.raises(DepartmentNotFound):
        calendar.departments.restore_department(new_id())


def test_of_two_restores_at_once_exactly_one_wins(settings, calendar, elsewhere):
    for _ in range(5):
        department, events = deleted_department(calendar, new_id(), events=1)

        def restore(server: Calendar, department_id: str = department.id) -> Department | None:
            try:
                return server.departments.restore_department(department_id)
            except DepartmentNotDeleted:
                return None

        with ThreadPoolExecutor(4) as pool:
            restored = list(pool.map(restore, [calendar, elsewhere, calendar, elsewhere]))
        assert restored.count(None) == 3
        assert list(Calendar(calendar.db).snapshot(department.id).events.values()) == events


def test_after_30_days_a_department_cannot_be_restored(calendar):
    department, (event,) = deleted_department(calendar, events=1)
    now = utc_now()
    find, page = calendar.db.find_deleted_department, calendar.db.list_deleted_departments
    for later, restorable in ((timedelta(days=29), True), (timedelta(days=30), False)):
        assert (find(department.id, now + later) is not None) is restorable
        assert (page(now + later, 10) != []) is restorable
        assert calendar.purge.run_due(now + later) == (0 if restorable else 1)
    assert calendar.db.find_event(event.id) is None
    assert restorable_names(calendar) == []
    with pytest.raises(DepartmentNotFound):
        calendar.departments.restore_department(department.id)


def test_tokens_of_before_a_restore_expire_and_lead_to_a_full_answer(calendar, elsewhere):
    department = calendar.departments.create_department("개발팀").entity
    calendar.add(department.id, "하나")
    tokens = [calendar.token(department.id)]
    calendar.add(department.id, "둘")
    tokens.append(elsewhere.token(department.id))
    calendar.departments.delete_department(department.id)
    calendar.departments.restore_department(department.id)
    elsewhere.add(department.id, "셋")
    for server in (calendar, elsewhere):
        for token in tokens:
            with pytest.raises(SyncTokenExpired):
                server.sync.changes_since(department.id, token, 10)
            full = server.sync.delta_or_full(department.id, token)
            assert (full.full, full.position.revision) == (True, 3)
        assert server.sync.changes_since(department.id, server.token(department.id), 10).changes == []


@pytest.fixture
def reused(calendar) -> tuple[str, Event, Event]:
    """A deleted department's id, an event of it, and one of another department that got the same id."""
    pair = [calendar.departments.create_department(name).entity for name in ("개발팀", "영업팀")]
    department, live = sorted(pair, key=lambda d: d.id)  # by its id alone the deleted one's is found first
    event = calendar.add(department.id, "0")
    calendar.departments.delete_department(department.id)
    return department.id, event, calendar.add(live.id, "새것", id=event.id)


def test_the_ids_of_a_deleted_departments_events_are_free(calendar, reused):
    """Readers of one department see its event; an event by its id alone is the one that is not deleted."""
    _, _, event = reused
    for server in (calendar, Calendar(calendar.db), Calendar(calendar.db, snapshot_bytes=TOO_SMALL)):
        server.reading(event.department_id)
        assert server.events.get_event(event.department_id, event.id) == event
    edited = calendar.events.update_event(event.id, {"title": "고침"})
    assert (edited.department_id, edited.title) == (event.department_id, "고침")
    calendar.events.delete_event(event.id)
    assert calendar.titles(event.department_id) == []
    with pytest.raises(EventNotFound):
        calendar.events.update_event(event.id, {"title": "늦음"})
    assert calendar.events.restore_event(event.department_id, event.id).title == "고침"


def test_a_department_returns_with_an_event_whose_id_was_given_away(calendar, reused):
    """Each department has its own; an event by its id alone is one of the two, always the same."""
    department, old, new = reused
    calendar.departments.restore_department(department)
    for server in (calendar, Calendar(calendar.db), Calendar(calendar.db, snapshot_bytes=TOO_SMALL)):
        server.reading(department)
        assert server.events.get_event(department, old.id) == old
        assert server.events.get_event(new.department_id, new.id) == new
        assert server.titles(department) == ["0"]
        assert server.titles(new.department_id) == ["새것"]
    edited = calendar.events.update_event(old.id, {"title": "고침"})
    assert edited.department_id == min(department, new.department_id)
    calendar.events.delete_event(old.id)
    kept = calendar.events.update_event(old.id, {"title": "남은 것"})
    assert kept.department_id == max(department, new.department_id)
    with pytest.raises(EventIdTaken):
        calendar.events.restore_event(edited.department_id, old.id)


def test_receipts_of_a_restored_department_still_hold(calendar):
    department = calendar.departments.create_department("개발팀").entity
    fields = {"title": "회의", "event_date": "2024-01-20"}
    first = calendar.events.create_event(department.id, fields, "열쇠")
    calendar.departments.delete_department(department.id)
    with pytest.raises(DepartmentNotFound):
        calendar.events.create_event(department.id, fields, "열쇠")
    calendar.departments.restore_department(department.id)
    again = calendar.events.create_event(department.id, fields, "열쇠")
    assert (again.entity, again.repeated) == (first.entity, True)
    assert calendar.titles(department.id) == ["회의"]


def test_the_creation_of_an_event_in_a_deleted_department_is_not_answered_again_from_elsewhere(calendar):
    department = calendar.departments.create_department("개발팀").entity
    chosen = new_id()
    first = calendar.add(department.id, "회의", id=chosen)
    calendar.departments.delete_department(department.id)
    other = calendar.departments.create_department("영업팀").entity
    assert calendar.add(other.id, "회의", id=chosen).department_id == other.id
    calendar.departments.restore_department(department.id)
    assert calendar.db.find_events([EventKey(chosen, department.id)]) == {chosen: first}


class Writer:
    """Writes to a department until it is stopped, also while the department is deleted."""

    def __init__(self, write: Callable[[], Event]) -> None:
        self._write = write
        self.stopped = False
        self.written: list[Event] = []
        self.last = ""
        """The outcome of the last request: `written`, or `refused`."""

    def run(self) -> None:
        while not self.stopped:
            try:
                self.written.append(self._write())
                self.last = "written"
            except (DepartmentNotFound, EventNotFound):
                self.last = "refused"


def test_writers_are_refused_while_their_department_is_deleted_and_lose_nothing(calendar, elsewhere):
    department = calendar.departments.create_department("개발팀").entity.id
    edited = calendar.add(department, "처음")
    writers = [
        Writer(write)
        for write in (
            lambda: calendar.add(department),
            lambda: calendar.add(department),
            lambda: calendar.events.update_event(edited.id, {"title": new_id()}),
        )
    ]
    with ThreadPoolExecutor(len(writers)) as pool:
        running = [pool.submit(writer.run) for writer in writers]
        try:
            for _ in range(2):
                wait_for(lambda: {writer.last for writer in writers} == {"written"}, 30)
                calendar.departments.delete_department(department)
                wait_for(lambda: {writer.last for writer in writers} == {"refused"}, 30)
                elsewhere.departments.restore_department(department)
        finally:
            for writer in writers:
                writer.stopped = True
        for done in running:
            done.result(30)
    changes = calendar.db.changes_after(department, 0)
    acknowledged = sorted(event.revision for writer in writers for event in writer.written)
    assert [change.revision for change in changes] == [1, *acknowledged]
    for server in (calendar, elsewhere, Calendar(calendar.db)):
        events = server.snapshot(department).events
        assert {c.entity.id for c in changes} == set(events)
        assert (
            events[edited.id].title
            == max((c.entity for c in changes if c.entity.id == edited.id), key=lambda e: e.revision).title
        )
