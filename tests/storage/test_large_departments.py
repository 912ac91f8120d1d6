"""Departments too large for memory, or not loaded yet: pages, searches, full lists, loads."""

import gc
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import chain

import pytest

from config import Settings
from deadlines import deadline
from domain import Event, EventFilter, new_id
from errors import DepartmentNotFound, StoreUnavailable
from factory import create_app
from in_process import Calendar, decoded
from interruption import interrupt
from models import DynamoDBDatabase
from services import large_counts
from services.large_counts import LargeCounts
from services.large_departments import LargeDepartments
from services.one_at_a_time import OneAtATime
from services.snapshot import INDEX_LAG_WINDOW
from tokens import parse_order_token

TOO_FEW_BYTES = 20_000
"""Of memory: no department of these tests fits."""


def fill(calendar: Calendar, count: int, **fields: str) -> tuple[str, list[Event]]:
    """Make a department of so many events on 28 days; return its id, and the events in order."""
    department = calendar.departments.create_department(f"부서 {new_id()}").entity.id
    rng = random.Random(count)
    events = [
        Event(
            **{
                "id": new_id(),
                "department_id": department,
                "event_date": f"2024-01-{rng.randint(1, 28):02}",
                "title": f"회의 {number}",
                "time": rng.choice(["", "오전 9:00", "오후 2:00"]),
            }
            | fields
        )
        for number in range(count)
    ]
    calendar.db.put_events(events)
    return department, sorted(events, key=Event.order)


def ids(events) -> list[str]:
    return [event.id if isinstance(event, Event) else event["id"] for event in events]


def pages(calendar: Calendar, department: str, wanted: EventFilter) -> list[list[str]]:
    """Return the ids on each page of a list, as a client reads it to its end."""
    found = []
    while True:
        page = calendar.events.list_events(department, wanted, lambda _: False)
        found.append(ids(decoded(page.events)))
        if not page.next_page_token:
            return found
        wanted = replace(wanted, after=parse_order_token(page.next_page_token))


def joined(found: list[list[str]]) -> list[str]:
    return list(chain.from_iterable(found))


@pytest.fixture
def small(calendar: Calendar) -> Calendar:
    """A server that keeps no department with events in memory."""
    return Calendar(calendar.db, snapshot_bytes=TOO_FEW_BYTES)


def test_the_pages_of_a_large_department_are_the_list(calendar, small):
    department, events = fill(calendar, 120)
    for fields in ({}, {"event_date": "2024-01-05"}):
        if fields:
            department, events = fill(calendar, 60, **fields)
        for limit in (7, 50, 500):
            found = pages(small, department, EventFilter(limit=limit))
            assert joined(found) == ids(events)
            assert all(len(page) == limit for page in found[:-1])
    assert small.reading(department).snapshot is None


def test_ranges_of_a_large_department_are_those_of_its_list(calendar, small):
    department, events = fill(calendar, 120)
    moved = calendar.events.update_event(events[0].id, {"event_date": "2024-02-03"})
    events = [*events[1:], moved]
    for first, last in (("2024-01-10", "2024-01-12"), (None, "2024-01-05"), ("2024-01-25", None)):
        wanted = EventFilter(first=first, last=last)
        expected = [e for e in events if (first or "") <= e.event_date <= (last or "9")]
        for limit in (None, 4):
            assert joined(pages(small, department, replace(wanted, limit=limit))) == ids(expected)


def test_a_page_of_a_large_department_takes_few_requests(calendar, settings, client):
    department, _ = fill(calendar, 200, description="가" * 9_000)  # 27 KB each: six requests for all
    reader = Calendar(calendar.db, snapshot_bytes=TOO_FEW_BYTES)
    requests = interrupt(client, 0, lambda: None)
    assert reader.reading(department).snapshot is None
    assert requests == ["get_item", "query"], "the load ends as soon as it is too large"
    requests.clear()
    list_of_ten = reader.events.list_events(department, EventFilter(limit=10), lambda _: False)
    assert len(decoded(list_of_ten.events)) == 10
    assert requests == ["get_item", "query", "query"]


def test_a_page_of_large_events_may_be_short_and_the_next_one_continues(calendar, small):
    department, events = fill(calendar, 200, description="가" * 9_000)
    found = pages(small, department, EventFilter(limit=2_500))
    assert joined(found) == ids(events)
    assert len(found) > 1


@pytest.mark.parametrize("settings", ["engine"], indirect=True)  # moto needs 150 ms for each 100 events
def test_a_search_in_a_large_department_does_bounded_work_in_each_request(calendar, small):
    department, events = fill(calendar, 1_500)
    sought = calendar.add(department, "찾을 것", date="2024-02-01")
    found = pages(small, department, EventFilter(text=sought.title, limit=10))
    assert joined(found) == [sought.id]
    assert len(found) > 1
    assert found[0] == []
    common = [e for e in events if "회의 1" in e.title]
    for limit in (3, 1_000):
        assert joined(pages(small, department, EventFilter(text="회의 1", limit=limit))) == ids(common)
    assert joined(pages(small, department, EventFilter(text="회의 1"))) == ids(common)


def test_a_full_list_of_a_large_department_has_as_many_pieces_as_it_says(calendar, small):
    department, events = fill(calendar, 100, description="가" * 9_000)
    full = small.sync.full(department)
    pieces = list(full.events)
    assert len(pieces) == len(full.events) > 20
    assert ids(decoded(full.events)) == ids(events)
    assert max(map(len, pieces)) < 128 * 1024


def test_what_is_moved_while_a_large_department_is_read_comes_once(calendar, small):
    department, events = fill(calendar, 100, description="가" * 9_000)
    full = small.sync.full(department)
    pieces = iter(full.events)
    read = [next(pieces)]
    forth, back, gone, edited = events[0], events[-1], events[-2], events[-3]
    calendar.events.update_event(forth.id, {"event_date": "2024-01-28", "time": "미정"})
    calendar.events.update_event(back.id, {"event_date": "2024-01-01"})
    calendar.events.delete_event(gone.id)
    calendar.events.update_event(edited.id, {"title": "고침"})
    added = calendar.add(department, "나중", date="2024-01-01")
    read += pieces
    found = decoded(read)
    assert sorted(ids(found)) == sorted(ids(e for e in [*events, added] if e.id != gone.id))
    assert next(e["title"] for e in found if e["id"] == edited.id) == "고침"
    delta = small.sync.changes_since(department, full.position.sync_token, 10)
    assert [change.entity.id for change in delta.changes] == ids([forth, back, gone, edited, added])
    assert small.snapshot(department).events == calendar.snapshot(department).events


class SlowIndex(DynamoDBDatabase):
    """A store that reads a whole department from the index only when it may, and then perhaps fails."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.loads = 0
        self.may_go_on = threading.Event()
        self.failures = 0

    def indexed_events(self, department_id, first=None, last=None, per_request=None):
        found = list(super().indexed_events(department_id, first, last, per_request))
        if per_request is None:
            self.loads += 1
            assert self.may_go_on.wait(20)
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable
        return iter(found)


def test_a_load_outlives_the_request_that_began_it_and_the_next_one_sees_all_that_was_written(
    calendar, settings
):
    department, events = fill(calendar, 30)
    store = SlowIndex(settings)
    reader = Calendar(store)
    with deadline(0.05), pytest.raises(StoreUnavailable) as refusal:
        reader.titles(department)
    assert refusal.value.retry_after
    added = calendar.add(department, "읽는 동안", date="2024-02-01")
    with ThreadPoolExecutor(4) as pool:
        lists = [pool.submit(reader.titles, department) for _ in range(4)]
        store.may_go_on.set()
        for titles in lists:
            assert titles.result(20) == [*(e.title for e in events), added.title]
    assert store.loads == 1


def test_a_department_that_is_being_loaded_is_paged_and_caught_up_with_meanwhile(calendar, settings):
    department, events = fill(calendar, 30)
    token = calendar.token(department)
    store = SlowIndex(settings)
    reader = Calendar(store)
    added = calendar.add(department, "먼저", date="2023-12-31")
    assert reader.titles(department, limit=3) == [added.title, *(e.title for e in events[:2])]
    assert reader.titles(department, limit=1, text="먼저") == ["먼저"]
    assert reader.events.get_event(department, added.id) == added
    assert reader.token(department) == calendar.token(department)
    assert [c.entity for c in reader.sync.changes_since(department, token, 10).changes] == [added]
    assert store.loads == 1
    store.may_go_on.set()
    assert len(reader.titles(department)) == 31
    assert store.loads == 1


def test_a_failed_load_is_told_and_the_next_request_loads_anew(calendar, settings):
    department, events = fill(calendar, 5)
    store = SlowIndex(settings)
    store.may_go_on.set()
    store.failures = 1
    reader = Calendar(store)
    with pytest.raises(StoreUnavailable):
        reader.titles(department)
    assert len(reader.titles(department)) == len(events)


def test_an_old_state_that_a_client_still_reads_keeps_only_the_json_that_the_newest_one_has(calendar):
    department, events = fill(calendar, 100, description="가" * 9_000)
    old = calendar.sync.full(department).events
    made = list(old)
    assert all(again is piece for again, piece in zip(old, made, strict=True))
    calendar.events.update_event(events[0].id, {"title": "고침"})
    calendar.reading(department)
    kept = [again is piece for again, piece in zip(old, made, strict=True)]
    assert kept == [False] + [True] * (len(made) - 1)
    assert ids(decoded(old)) == ids(events)


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_department_that_is_no_longer_kept_leaves_no_json_to_its_readers(calendar, is_deleted):
    department, events = fill(calendar, 100, description="가" * 9_000)
    reader = Calendar(calendar.db, snapshot_bytes=50_000_000 if is_deleted else 30_000_000)
    old = reader.sync.full(department).events
    made = list(old)
    if is_deleted:
        reader.departments.delete_department(department)
        with pytest.raises(DepartmentNotFound):
            reader.reading(department)
    else:
        for _ in range(4):
            other, _ = fill(calendar, 100, description="나" * 9_000)
            assert reader.reading(other).snapshot
    assert not any(again is piece for again, piece in zip(old, made, strict=True))
    assert ids(decoded(old)) == ids(events)


class LongIndex(DynamoDBDatabase):
    """A store whose date index shows thousands of events of each department."""

    def indexed_events(self, department_id, first=None, last=None, per_request=None):
        for number in range(6_000):
            yield Event(id=f"{number:04}", department_id=department_id, event_date="2024-01-20", title="회의")


def test_a_load_withholds_nothing_from_the_garbage_collector(calendar, settings):
    department = calendar.departments.create_department("개발팀").entity.id
    before = gc.get_freeze_count()
    assert len(Calendar(LongIndex(settings)).snapshot(department).events) == 6_000
    assert gc.get_freeze_count() == before


class TimedIndex(DynamoDBDatabase):
    """A store that remembers when the index was read, and how far back the log was asked for."""

    def indexed_events(self, department_id, first=None, last=None, per_request=None):
        self.began = time.monotonic()
        yield from super().indexed_events(department_id, first, last, per_request)
        self.asked_at = time.monotonic()

    def recent_changes(self, partition, reached, window):
        self.window = window
        return super().recent_changes(partition, reached, window)


def test_a_load_lays_the_log_since_its_begin_over_the_index_however_long_it_took(calendar, settings):
    department, events = fill(calendar, 5)
    store = TimedIndex(settings)
    assert len(Calendar(store).titles(department)) == len(events)
    assert store.window >= INDEX_LAG_WINDOW + timedelta(seconds=store.asked_at - store.began)


def test_a_walk_gets_its_cuts_although_another_department_displaces_them_at_once(calendar, monkeypatch):
    monkeypatch.setattr(large_counts, "COUNTED", 1)
    department, events = fill(calendar, 100, description="가" * 9_000)
    other, _ = fill(calendar, 5)
    displaced = []

    def displace(measured: str, _size: int) -> None:
        if measured == department:
            displaced.append(large.walk(other, calendar.reading(other).position))

    large = LargeDepartments(calendar.db, LargeCounts(calendar.db, displace, OneAtATime(), 1_000_000))
    walk = large.walk(department, calendar.reading(department).position)
    assert displaced
    assert ids(decoded(walk)) == ids(events)


def test_a_search_of_many_texts_waits_for_another_one_there_and_a_short_one_for_none(calendar):
    long, _ = fill(calendar, 100, description="가" * 9_000)
    short, _ = fill(calendar, 5)
    searches = calendar.events.lists.searches
    assert len(calendar.snapshot(long).chunks) > 20
    with searches.hold(long):
        with deadline(1.5), pytest.raises(StoreUnavailable, match="다른 큰 요청"):
            calendar.titles(long, text="회의")
        with searches.hold("others"), deadline(5):
            assert len(calendar.titles(short, text="회의")) == 5
    with searches.hold("others"):
        assert len(calendar.titles(long, text="회의")) == 100


def test_rest_streams_a_large_department_and_tells_the_length_of_one_in_memory(calendar, settings):
    department, events = fill(calendar, 200, description="가" * 9_000)
    for megabytes, is_kept in ((1, False), (256, True)):
        client = create_app(replace(settings, snapshot_cache_mb=megabytes), calendar.db).test_client()
        answer = client.get(f"/api/events/{department}", buffered=False)
        assert (answer.content_length is not None) == is_kept
        assert answer.is_streamed
        body = answer.get_data()
        assert not is_kept or answer.content_length == len(body)
        assert ids(answer.json["events"]) == ids(events)
        held = client.get(f"/api/events/{department}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (held.status_code, held.data) == (304, b"")
        head = client.head(f"/api/events/{department}")
        assert (head.headers["ETag"], head.data) == (answer.headers["ETag"], b"")
        page = client.get(f"/api/events/{department}?limit=3").json
        assert ids(page["events"]) == ids(events[:3])


def test_an_empty_list_is_whole_json(calendar, settings):
    department = calendar.departments.create_department("빈 부서").entity.id
    client = create_app(settings, calendar.db).test_client()
    assert client.get(f"/api/events/{department}").json["events"] == []
    assert decoded(calendar.sync.full(department).events) == []
