"""Ranges of departments too large for memory: their series, long events and occurrences, as of any other."""

from dataclasses import replace

import pytest

from domain import Event, EventFilter, new_id
from errors import TooManySeries
from factory import create_app
from in_process import Calendar, decoded
from models import DynamoDBDatabase
from services import large_counts, large_departments
from tokens import parse_order_token

TOO_FEW_BYTES = 20_000
"""Of memory: no department of these tests fits."""
RANGE = {"first": "2024-03-04", "last": "2024-03-10"}


def fill(calendar: Calendar) -> str:
    """Make a department of plain events in March, and of what reaches into other weeks."""
    department = calendar.departments.create_department(f"부서 {new_id()}").entity.id

    def event(title: str, date: str, **fields) -> Event:
        return Event(id=new_id(), department_id=department, event_date=date, title=title, **fields)

    weekly = event("주간 회의", "2024-01-02", rrule="FREQ=WEEKLY;BYDAY=TU", exdates=("2024-02-27",))
    gone = event("없앤 회의", "2024-03-05", rrule="FREQ=WEEKLY;COUNT=2", exdates=("2024-03-05",))
    calendar.db.put_events(
        [
            *(event(f"하루 {n}", f"2024-03-{1 + n:02}") for n in range(12)),
            weekly,
            gone,
            event("매일", "2024-03-06", rrule="FREQ=DAILY", start_time="22:00", end_time="01:00"),
            event("끝난 것", "2024-01-01", rrule="FREQ=DAILY;UNTIL=20240301"),
            event("출장", "2024-03-01", end_date="2024-03-05"),
            event("지난 출장", "2024-02-01", end_date="2024-02-05"),
            event("옮긴 회의", "2024-03-07", recurring_event_id=weekly.id, original_date="2024-03-05"),
        ]
    )
    return department


def listed(calendar: Calendar, department: str, **wanted) -> list[dict]:
    """Return a list, read in pages if it has a limit."""
    found, wanted = [], EventFilter(**wanted)
    while True:
        page = calendar.events.list_events(department, wanted, lambda _position: False)
        events = decoded(page.events)
        assert wanted.limit is None or len(events) <= wanted.limit
        found += events
        if not page.next_page_token:
            return found
        wanted = replace(wanted, after=parse_order_token(page.next_page_token))


def titles(events: list[dict]) -> list[str]:
    return [event["title"] for event in events]


@pytest.fixture
def small(calendar: Calendar) -> Calendar:
    """A server that keeps no department with events in memory."""
    return Calendar(calendar.db, snapshot_bytes=TOO_FEW_BYTES)


def test_ranges_of_a_large_department_are_those_of_one_in_memory(calendar, small):
    department = fill(calendar)
    for dates in (RANGE, {"first": "2024-03-04"}, {"last": "2024-03-10"}):
        for text in ("", "회의", "출장"):
            expected = listed(calendar, department, text=text, **dates)
            for limit in (None, 2):
                assert listed(small, department, text=text, limit=limit, **dates) == expected
    assert titles(listed(small, department, text="출장", **RANGE)) == ["출장"]
    assert small.reading(department).snapshot is None


def test_expanded_ranges_of_a_large_department_are_those_of_one_in_memory(calendar, small):
    department = fill(calendar)
    for text in ("", "회의", "출장"):
        expected = listed(calendar, department, text=text, expand=True, **RANGE)
        assert expected
        for limit in (None, 1, 4):
            assert listed(small, department, text=text, expand=True, limit=limit, **RANGE) == expected


def test_pages_of_a_search_that_ends_early_have_no_occurrence_too_soon(calendar, small, monkeypatch):
    for name in ("REQUEST_EVENTS", "SEARCH_EVENTS"):
        monkeypatch.setattr(large_departments, name, 2)
    department = fill(calendar)
    expected = listed(calendar, department, text="회의", expand=True, **RANGE)
    assert listed(small, department, text="회의", expand=True, limit=9, **RANGE) == expected
    expected = listed(calendar, department, expand=True, **RANGE)
    assert listed(small, department, expand=True, limit=9, **RANGE) == expected


class CountingReads(DynamoDBDatabase):
    """A store that counts how often the whole date index of a department was read."""

    whole_reads = 0

    def indexed_events(self, department_id, first=None, last=None, per_request=None):
        self.whole_reads += per_request is None and first is None
        return super().indexed_events(department_id, first, last, per_request)


def test_the_log_keeps_the_index_current_without_another_read_of_the_department(calendar, settings):
    department = fill(calendar)
    store = CountingReads(settings)
    small = Calendar(store, snapshot_bytes=TOO_FEW_BYTES)
    listed(small, department, **RANGE)
    reads = store.whole_reads
    trip = calendar.add(department, "긴 출장", date="2024-02-20")
    calendar.events.update_event(trip.id, {"end_date": "2024-03-04"})
    weekly = next(e for e in calendar.snapshot(department).events.values() if e.title == "주간 회의")
    calendar.events.delete_event(weekly.id)
    found = titles(listed(small, department, **RANGE))
    assert "긴 출장" in found
    assert "주간 회의" not in found
    assert found == titles(listed(calendar, department, **RANGE))
    position = small.reading(department).position
    assert weekly.id not in small.snapshots.large.index(department, position).events
    assert store.whole_reads == reads


class LaggingIndex(DynamoDBDatabase):
    """A store whose date index shows nothing of the changes since a moment."""

    shown: list[Event] | None = None

    def indexed_events(self, department_id, first=None, last=None, per_request=None):
        events = super().indexed_events(department_id) if self.shown is None else self.shown
        return (e for e in events if (first or "") <= e.event_date <= (last or "9"))


def test_the_index_knows_what_the_date_index_does_not_show_yet(calendar, settings):
    department = fill(calendar)
    store = LaggingIndex(settings)
    store.shown = list(store.indexed_events(department))
    trip = next(e for e in store.shown if e.title == "출장")
    calendar.events.update_event(trip.id, {"title": "짧은 출장", "end_date": ""})
    calendar.add(department, "새 출장", date="2024-02-20", end_date="2024-03-04")
    small = Calendar(store, snapshot_bytes=TOO_FEW_BYTES)
    assert listed(small, department, **RANGE) == listed(calendar, department, **RANGE)


def test_a_large_department_is_read_again_when_the_log_does_not_reach_back(calendar, settings, monkeypatch):
    department = fill(calendar)
    store = CountingReads(settings)
    small = Calendar(store, snapshot_bytes=TOO_FEW_BYTES)
    listed(small, department, **RANGE)
    reads = store.whole_reads
    calendar.add(department, "긴 출장", date="2024-02-20", end_date="2024-03-04")
    monkeypatch.setattr(store, "changes_after", lambda *_arguments: [])
    assert "긴 출장" in titles(listed(small, department, **RANGE))
    assert store.whole_reads > reads


def test_too_many_series_are_refused_and_lists_without_a_range_go_on(calendar, settings, monkeypatch):
    monkeypatch.setattr("services.snapshots.LEAST_INDEX_BYTES", 14_000)
    department = fill(calendar)
    store = CountingReads(settings)
    small = Calendar(store, snapshot_bytes=TOO_FEW_BYTES)
    with pytest.raises(TooManySeries):
        listed(small, department, **RANGE)
    reads = store.whole_reads
    with pytest.raises(TooManySeries):
        listed(small, department, expand=True, **RANGE)
    assert store.whole_reads == reads, "a refusal costs no read of the department"
    assert len(listed(small, department)) == 19
    for title in ("끝난 것", "지난 출장", "매일", "없앤 회의", "주간 회의"):
        event = next(e for e in calendar.snapshot(department).events.values() if e.title == title)
        calendar.events.delete_event(event.id)
    monkeypatch.setattr(large_counts, "RECOUNT_AFTER", 4)
    assert listed(small, department, **RANGE) == listed(calendar, department, **RANGE)


@pytest.mark.parametrize("settings", ["engine"], indirect=True)
def test_rest_expands_a_large_department(calendar, settings):
    department = fill(calendar)
    client = create_app(replace(settings, snapshot_cache_mb=1), calendar.db).test_client()
    path = f"/api/events/{department}?from={RANGE['first']}&to={RANGE['last']}&expand=true"
    assert client.get(path).json["events"] == listed(calendar, department, expand=True, **RANGE)
