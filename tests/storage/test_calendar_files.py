"""Files of departments that are kept in memory and of larger ones, and imports into both."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from domain import Department, EventFilter
from files.entries import Entry
from files.ical_in import read_calendar
from files.ical_out import write_calendar
from in_process import Calendar
from models import DynamoDBDatabase
from services import calendar_files
from services.import_plans import imported_id

TOO_FEW_BYTES = 20_000
"""Of memory: no department of these tests fits."""
SEOUL = ZoneInfo("Asia/Seoul")
MARCH = EventFilter(first="2026-03-01", last="2026-03-31")


@pytest.fixture
def large(db: DynamoDBDatabase) -> Calendar:
    return Calendar(db, TOO_FEW_BYTES)


@pytest.fixture
def department(calendar: Calendar, large: Calendar) -> str:
    """Make a department with a series, a moved occurrence in another month, and much text."""
    department = calendar.departments.create_department("개발팀").entity.id
    series = calendar.add(department, "주간 회의", "2026-01-05", rrule="FREQ=WEEKLY", time="오후 2:00")
    for day, to in (("2026-03-09", "2026-04-01"), ("2026-04-06", "2026-03-30")):
        calendar.events.update_occurrence(series.id, day, {"event_date": to, "title": f"옮긴 {day}"})
    calendar.add(department, "출장", "2026-02-27", end_date="2026-03-02")
    for number in range(12):
        calendar.add(department, f"발표 {number}", f"2026-{number + 1:02}-15", description="가" * 500)
    assert large.reading(department).snapshot is None
    return department


def file_of(calendar: Calendar, department: str, kind: str, wanted: EventFilter) -> bytes:
    write = calendar.files.calendar if kind == "ics" else calendar.files.table
    return b"".join(write(department, wanted, lambda _etag: False).pieces or ())


@pytest.mark.parametrize("kind", ["ics", "csv"])
@pytest.mark.parametrize("wanted", [EventFilter(), MARCH], ids=["whole", "a month"])
def test_the_file_is_the_same_whether_the_department_fits_into_memory(
    calendar, large, department, kind, wanted
):
    file = file_of(calendar, department, kind, wanted)
    assert file == file_of(calendar, department, kind, wanted)
    assert sorted(file_of(large, department, kind, wanted).splitlines()) == sorted(file.splitlines())


def test_a_file_of_a_month_tells_of_occurrences_that_were_moved_out_of_it(calendar, department):
    entries = read_calendar(file_of(calendar, department, "ics", MARCH), SEOUL, None)
    assert sorted((entry.fields["title"], entry.original_date) for entry in entries) == [
        ("발표 2", ""),
        ("옮긴 2026-03-09", "2026-03-09"),
        ("옮긴 2026-04-06", "2026-04-06"),
        ("주간 회의", ""),
        ("출장", ""),
    ]


def test_after_an_edit_only_what_changed_is_written_anew(calendar, department, monkeypatch):
    written = []

    def block(event, zone, series):
        written.append(event.title)
        return b""

    monkeypatch.setattr(calendar_files, "event_block", block)
    file_of(calendar, department, "ics", EventFilter())
    assert len(written) == len(calendar.snapshot(department).events)
    written.clear()
    file_of(calendar, department, "ics", MARCH)
    calendar.add(department, "새 일정", "2026-03-03")
    file_of(calendar, department, "ics", EventFilter())
    assert written == ["새 일정"]


def test_what_is_gone_is_not_kept(calendar, department):
    file_of(calendar, department, "ics", EventFilter())
    (blocks,) = calendar.files._kept.values()
    before = blocks.size
    event = calendar.add(department, "새 일정", "2026-03-03")
    file_of(calendar, department, "ics", EventFilter())
    calendar.events.delete_event(event.id)
    file_of(calendar, department, "ics", EventFilter())
    (blocks,) = calendar.files._kept.values()
    assert (blocks.size, event.id in blocks.made) == (before, False)


@pytest.mark.parametrize("size", ["kept", "large"])
def test_an_import_knows_what_is_there(calendar, large, department, size):
    importing = calendar if size == "kept" else large
    entries = read_calendar(file_of(calendar, department, "ics", EventFilter()), SEOUL, None)
    assert {one.verdict.value for one in importing.imports.run(department, entries)} == {"equal"}
    other = calendar.departments.create_department("영업팀").entity.id
    for verdict in ("created", "equal"):
        assert {one.verdict.value for one in importing.imports.run(other, entries)} == {verdict}
    theirs = file_of(calendar, other, "ics", EventFilter())
    again = read_calendar(theirs, SEOUL, None)
    assert sorted((e.uid, e.original_date) for e in again) == sorted(
        (e.uid, e.original_date) for e in entries
    )


def test_many_entries_are_committed_together_as_far_as_they_fit(calendar):
    department = calendar.departments.create_department("개발팀").entity.id
    entries = [
        Entry(uid=str(number), fields={"event_date": "2026-03-02", "title": "회의", "description": text})
        for number, text in enumerate(["안건"] * 100 + ["가" * 10_000] * 20)
    ]
    commit, sizes = calendar.group_commit.commit_together, []

    def counted(department_id, writes):
        sizes.append(len(writes))
        return commit(department_id, writes)

    calendar.group_commit.commit_together = counted
    assert {one.verdict.value for one in calendar.imports.run(department, entries)} == {"created"}
    assert (sizes[:2], sum(sizes), len(sizes) < 10) == ([40, 40], 120, True)
    assert len(calendar.snapshot(department).events) == 120


def test_an_occurrence_of_a_rule_that_nobody_here_can_read_is_skipped(calendar, department):
    made = calendar.add(department, "회의", "2026-01-05", rrule="FREQ=WEEKLY")
    series = replace(made, rrule="FREQ=LUNAR", id=imported_id(department, "lunar@elsewhere"))
    calendar.db.put_events([series])
    fields = {"event_date": "2026-01-13", "title": "옮긴 회의"}
    entry = Entry(uid="lunar@elsewhere", original_date="2026-01-12", fields=fields)
    fresh = Calendar(calendar.db)
    (judged,) = fresh.imports.run(department, [entry])
    assert (judged.verdict.value, judged.reason) == ("skipped", "반복 일정에 없는 날짜입니다.")


def test_an_import_beside_somebody_who_edits_goes_on(calendar, department, db):
    other = Calendar(db)
    file = write_calendar(Department(id="d", name="d"), list(calendar.snapshot(department).events.values()))
    entries = read_calendar(file.replace("발표".encode(), "보고".encode()), SEOUL, None)
    commit = calendar.group_commit.commit_together
    edited = []

    def edit_first(*arguments):
        if not edited:
            one = next(e for e in other.snapshot(department).events.values() if e.title == "발표 3")
            edited.append(other.events.update_event(one.id, {"location": "3층"}))
        return commit(*arguments)

    calendar.group_commit.commit_together = edit_first
    judged = calendar.imports.run(department, entries)
    assert {one.verdict.value for one in judged} == {"updated", "equal"}
    titles = [event.title for event in calendar.snapshot(department).events.values()]
    assert sum(title.startswith("보고") for title in titles) == 12
