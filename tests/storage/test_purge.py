"""Purges on real stores: what they remove, when, and what happens when they are cut off or meet others."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest

from domain import Change, ChangeType, Department, Event, new_id, timestamp, utc_now
from errors import DepartmentNotDeleted, DepartmentNotFound, StoreUnavailable
from in_process import Calendar
from interruption import interrupt
from migration.department_load import Candidate, DepartmentLoad
from migration.source_rows import SourceDepartment
from models import DynamoDBDatabase
from services import purge
from services.repair import Repaired
from store import commit, deletion_rows, rows

AFTER_30_DAYS = timedelta(days=30, minutes=1)


@pytest.fixture
def small_slices(monkeypatch) -> None:
    """Let a purge of a few events take several slices."""
    monkeypatch.setattr(purge, "SLICE", 2)


@pytest.fixture
def left_of(settings, other_client) -> Callable[[str], list[dict]]:
    """Return a function that returns every item that tells of a department, but those that expire."""

    def find(department_id: str) -> list[dict]:
        return [
            item
            for table in (settings.departments_table, settings.events_table, settings.changes_table)
            for item in other_client.iterate("scan", TableName=table, ConsistentRead=True)
            if department_id in str(item) and rows.TTL_ATTRIBUTE not in item
        ]

    return find


def deleted_department(calendar: Calendar, events: int = 3) -> tuple[Department, dict[str, Event]]:
    """Create a department with events, of which one is in no log, and delete it; return its events by id."""
    department = calendar.departments.create_department(f"부서 {new_id()}").entity
    loaded = Event(id=new_id(), department_id=department.id, event_date="2024-01-20", title="옮겨 온 것")
    calendar.db.put_events([loaded])
    added = [calendar.add(department.id, f"{n}") for n in range(events)]
    calendar.departments.delete_department(department.id)
    return department, {event.id: event for event in [loaded, *added]}


def purge_due(calendar: Calendar) -> int:
    return calendar.purge.run_due(utc_now() + AFTER_30_DAYS)


def test_a_purged_department_leaves_no_events_log_or_name(calendar, left_of):
    department, events = deleted_department(calendar)
    kept = calendar.departments.create_department("영업팀").entity
    other = calendar.add(kept.id, "남는다")

    assert calendar.repair.run() == Repaired(purged=0, adopted=0)
    assert purge_due(calendar) == 1

    assert [event_id for event_id in events if calendar.db.find_event(event_id)] == []
    assert calendar.db.changes_after(department.id, 0) == []
    assert left_of(department.id) == []
    assert calendar.db.find_event(other.id) == other
    assert calendar.departments.create_department(department.name).entity.name == department.name
    assert purge_due(calendar) == 0


def test_a_purge_removes_events_that_the_index_does_not_show_yet(calendar, left_of):
    class IndexShowsNothing(DynamoDBDatabase):
        def indexed_keys(self, *_):
            return iter(())

    department = calendar.departments.create_department("개발팀").entity
    calendar.add(department.id)
    calendar.departments.delete_department(department.id)
    calendar.db.__class__ = IndexShowsNothing
    assert calendar.purge.remove_now(department.id)
    assert left_of(department.id) == []


def test_a_purge_of_thousands_of_events_removes_few_at_once(calendar, monkeypatch, left_of):
    department = calendar.departments.create_department("개발팀").entity
    calendar.db.put_events(
        [
            Event(id=new_id(), department_id=department.id, event_date="2024-01-20", title=f"{n}")
            for n in range(2_000)
        ]
    )
    calendar.departments.delete_department(department.id)
    removed: list[int] = []
    remove = calendar.db.remove_events
    monkeypatch.setattr(calendar.db, "remove_events", lambda keys: (removed.append(len(keys)), remove(keys)))
    assert purge_due(calendar) == 1
    assert sum(removed) == 2_000
    assert max(removed) == purge.SLICE
    assert left_of(department.id) == []


def test_looking_for_due_purges_reads_nothing_while_none_is_due(settings, client, calendar, monkeypatch):
    now = utc_now()
    waiting = [
        Change(
            revision=n,
            type=ChangeType.DEPARTMENT_DELETED,
            entity=Department(id=new_id(), name=f"{n}"),
            at=timestamp(now),
        )
        for n in range(1, 301)
    ]
    client.batch_put(
        settings.changes_table,
        [
            deletion_rows.deleted_department_to_item(
                deletion_rows.deleted_department_number(deletion, now), deletion
            )
            for deletion in waiting
        ],
    )
    answers: list[dict] = []
    call = client.call

    def counted(operation: str, **parameters):
        answers.append(call(operation, **parameters))
        return answers[-1]

    monkeypatch.setattr(client, "call", counted)
    assert calendar.purge.run_due() == 0
    assert [answer["ScannedCount"] for answer in answers] == [0, 0]
    assert len(calendar.db.list_deleted_departments(now, 1_000)) == 300


def test_departments_that_older_servers_deleted_are_purged_at_once(settings, client, calendar, left_of):
    """Servers up to 1.1 marked the head deleted and put a row that names the department."""
    department = calendar.departments.create_department("개발팀").entity
    calendar.add(department.id)
    client.call(
        "update_item",
        TableName=settings.changes_table,
        Key=rows.head_key(department.id),
        UpdateExpression="SET deleted_at = :at",
        ExpressionAttributeValues={":at": {"S": timestamp(utc_now())}},
    )
    for table, key in (
        (settings.departments_table, {"id": {"S": department.id}}),
        (settings.changes_table, rows.name_key(department.name)),
    ):
        client.call("delete_item", TableName=table, Key=key)
    row = {**rows.change_key(deletion_rows.PURGES, 2), "target": {"S": department.id}}
    client.call("put_item", TableName=settings.changes_table, Item=row)

    assert calendar.departments.page_deleted_departments(10).departments == []
    with pytest.raises(DepartmentNotFound):
        calendar.departments.restore_department(department.id)
    assert calendar.purge.run_due() == 1
    assert left_of(department.id) == []
    assert calendar.purge.run_due() == 0


@pytest.mark.parametrize("days", [365, -365])
def test_a_wrong_clock_moves_only_the_purges_of_its_own_deletions(calendar, monkeypatch, days):
    before, _ = deleted_department(calendar)
    with monkeypatch.context() as wrong:
        wrong.setattr(commit, "utc_now", lambda: utc_now() + timedelta(days=days))
        moved, _ = deleted_department(calendar)
    after, _ = deleted_department(calendar)

    def waiting() -> set[str]:
        return {i for i in (before.id, moved.id, after.id) if calendar.db.find_purge(i)}

    assert calendar.purge.run_due() == (1 if days < 0 else 0)
    assert waiting() == ({before.id, after.id} if days < 0 else {before.id, moved.id, after.id})
    assert purge_due(calendar) == 2
    assert waiting() == (set() if days < 0 else {moved.id})
    if days > 0:
        assert calendar.departments.restore_department(moved.id).id == moved.id


def require_whole_or_gone(
    calendar: Calendar, department: Department, events: dict[str, Event], left_of
) -> bool:
    """Require that a department is there with all its events, or that nothing is left; return which."""
    if calendar.db.find_department(department.id):
        assert Calendar(calendar.db).snapshot(department.id).events == events
        assert calendar.db.find_events([event.key for event in events.values()]) == events
        assert calendar.db.find_purge(department.id) is None
        assert deletion_rows.PURGING not in str(left_of(department.id))
        return True
    assert left_of(department.id) == []
    return False


def try_to_restore(calendar: Calendar, department: Department) -> bool:
    try:
        calendar.departments.restore_department(department.id)
    except (DepartmentNotFound, DepartmentNotDeleted):
        return False
    return True


@pytest.mark.usefixtures("small_slices")
def test_a_restore_at_any_moment_of_a_purge_brings_back_all_or_nothing(client, calendar, elsewhere, left_of):
    outcomes: list[bool] = []
    for step in count(1):
        department, events = deleted_department(elsewhere)
        restored: list[bool] = []

        def restore(department=department, restored=restored) -> None:
            restored.append(try_to_restore(elsewhere, department))

        requests = interrupt(client, step, restore)
        purged = purge_due(calendar)
        if step > len(requests):
            break
        assert require_whole_or_gone(elsewhere, department, events, left_of) is restored[0]
        assert purged == (0 if restored[0] else 1)
        outcomes.append(restored[0])
    begun = outcomes.index(False)
    assert begun > 1, "the lists of due purges are read first"
    assert not any(outcomes[begun:]), "a purge that has begun cannot be undone"


@pytest.mark.usefixtures("small_slices")
def test_a_purge_at_any_moment_of_a_restore_brings_back_all_or_nothing(client, calendar, elsewhere, left_of):
    outcomes: list[bool] = []
    for step in count(1):
        department, events = deleted_department(elsewhere)
        requests = interrupt(client, step, lambda: purge_due(elsewhere))
        restored = try_to_restore(calendar, department)
        assert require_whole_or_gone(elsewhere, department, events, left_of) is restored
        if step > len(requests):
            break
        outcomes.append(restored)
    assert not any(outcomes), "each of them is before the transaction"
    assert restored


def test_a_purge_that_begins_at_any_moment_of_a_restore_prevents_it(client, calendar, elsewhere, left_of):
    for step in count(1):
        department, events = deleted_department(elsewhere)
        waiting = elsewhere.db.find_purge(department.id)
        requests = interrupt(client, step, lambda p=waiting: elsewhere.db.begin_purge(p))
        restored = try_to_restore(calendar, department)
        if step > len(requests):
            break
        assert not restored
        assert purge_due(elsewhere) == 1
        assert left_of(department.id) == []
    assert require_whole_or_gone(elsewhere, department, events, left_of)


@pytest.mark.usefixtures("small_slices")
def test_two_purges_at_once_leave_nothing(client, calendar, elsewhere, left_of):
    for step in count(1):
        department, _ = deleted_department(elsewhere)
        requests = interrupt(client, step, lambda: purge_due(elsewhere))
        purge_due(calendar)
        assert left_of(department.id) == []
        if step > len(requests):
            break
    assert step > 10


@pytest.mark.usefixtures("small_slices")
def test_a_purge_that_is_cut_off_at_any_moment_is_completed_by_the_next(client, calendar, elsewhere, left_of):
    def cut_off() -> None:
        raise StoreUnavailable()

    for step in count(1):
        department, events = deleted_department(elsewhere)
        requests = interrupt(client, step, cut_off)
        try:
            assert purge_due(calendar) == 1
        except StoreUnavailable:
            if try_to_restore(elsewhere, department):
                assert require_whole_or_gone(elsewhere, department, events, left_of)
                elsewhere.departments.delete_department(department.id)
            assert department.name not in str(elsewhere.db.list_departments())
            assert purge_due(elsewhere) == 1
        assert left_of(department.id) == []
        if step > len(requests):
            break
    assert step > 10


def load_anew(db: DynamoDBDatabase, department: Department) -> None:
    """Make a department anew under the same id, as a migration does."""
    source = SourceDepartment(department, (), frozenset())
    load = DepartmentLoad(db.list_departments())
    assert list(load.choose([Candidate("departments[0]", None, source)])) == []
    list(load.load(db))


@pytest.mark.usefixtures("small_slices")
def test_a_slow_purge_does_not_touch_a_department_that_was_made_anew_and_deleted(client, calendar, elsewhere):
    for step in count(1):
        department, _ = deleted_department(elsewhere)
        again: list[Event] = []

        def make_anew(department=department, again=again) -> None:
            purge_due(elsewhere)
            load_anew(elsewhere.db, department)
            again.append(elsewhere.add(department.id))
            elsewhere.departments.delete_department(department.id)

        requests = interrupt(client, step, make_anew)
        purge_due(calendar)
        if step > len(requests):
            break
        if requests[step - 1] == "transact_write_items":
            elsewhere.departments.restore_department(department.id)
            assert list(Calendar(elsewhere.db).snapshot(department.id).events.values()) == again
        else:
            purge_due(elsewhere)
    assert step > 10


@pytest.mark.usefixtures("small_slices")
def test_a_slow_purge_does_not_touch_a_department_that_was_made_anew(client, calendar, elsewhere, left_of):
    """Another server completes the purge, and a migration makes the department anew with the same ids."""
    for step in count(1):
        department, events = deleted_department(elsewhere)
        again: dict[str, Event] = {}

        def make_anew(department=department, events=events, again=again) -> None:
            purge_due(elsewhere)
            load_anew(elsewhere.db, department)
            again |= {i: elsewhere.add(department.id, "새것", id=i) for i in events}

        requests = interrupt(client, step, make_anew)
        purge_due(calendar)
        if step > len(requests):
            break
        if requests[step - 1] != "batch_write_item":  # nothing is checked between the parts of one slice
            assert elsewhere.db.find_events([event.key for event in again.values()]) == again
            assert len(elsewhere.db.changes_after(department.id, 0)) == len(again)
            assert Calendar(elsewhere.db).snapshot(department.id).events == again
    assert step > 10
