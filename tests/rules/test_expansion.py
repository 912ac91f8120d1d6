"""Ranges with series, long events and replacements against a naive model: every occurrence, by dateutil."""

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from domain import Change, ChangeType, Event, EventFilter, Position
from errors import ValidationFailed
from services import expansion
from services.event_chunks import EventChunks, size_of
from services.event_lists import KEPT_LIST_BYTES, EventLists
from services.snapshot import RecentChanges, Snapshot
from services.snapshots import Reading
from tokens import parse_order_token

FAR = "2027-12-31"
"""Later than all ranges; the model looks no further."""
RULES = (
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3;COUNT=4",
    "FREQ=WEEKLY;BYDAY=MO,TH",
    "FREQ=WEEKLY;INTERVAL=2;UNTIL=20240301",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3",
    "FREQ=YEARLY",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    "no rule at all",
)


def days_after(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


DATES = st.integers(0, 24).map(lambda days: days_after("2024-01-16", days))
TIMES = st.sampled_from([("", ""), ("09:00", "10:00"), ("22:00", "02:00"), ("22:00", "00:00"), ("14:30", "")])


@st.composite
def departments(draw) -> list[Event]:
    """Draw the events of a department; replacements replace occurrences of its series, or anything."""
    events: list[Event] = []
    for number in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(["plain", "long", "series", "replacement"]))
        start, (start_time, end_time) = draw(DATES), draw(TIMES)
        fields = {}
        if kind == "long" or (kind == "series" and draw(st.booleans())):
            fields["end_date"] = days_after(start, draw(st.integers(0, 12)))
        if kind == "series":
            fields["rrule"] = draw(st.sampled_from(RULES))
            fields["exdates"] = tuple(
                sorted(draw(st.sets(DATES, max_size=8)) | draw(st.sampled_from([{start}, set()])))
            )
        if kind == "replacement":
            of = draw(st.sampled_from([e.id for e in events if e.rrule] or ["gone"]))
            fields |= {"recurring_event_id": of, "original_date": draw(DATES)}
        events.append(
            Event(
                id=f"{number:04}",
                department_id="d",
                event_date=start,
                title=draw(st.sampled_from(["회의", "점심"])),
                start_time=start_time,
                end_time=end_time,
                **fields,
            )
        )
    return events


@dataclass(frozen=True)
class Occurrence:
    event: Event
    begins: str
    ends: str

    def lies_in(self, first: str | None, last: str | None) -> bool:
        return self.begins <= (last or FAR) and self.ends >= (first or "")

    def public(self) -> dict:
        return {
            **self.event.public(),
            "exdates": list(self.event.exdates),
            "event_date": self.begins,
            "end_date": self.ends if self.event.end_date else "",
            "occurrence_date": self.event.original_date or self.begins,
        }


def occurrences_of(event: Event, events: list[Event]) -> list[Occurrence]:
    """Return all occurrences of an event up to `FAR`, one by one."""
    start = date.fromisoformat(event.event_date)
    days = {start}
    if event.rrule.startswith("FREQ"):
        rule = rrulestr(event.rrule, dtstart=datetime.combine(start, time()))
        end = datetime.combine(date.fromisoformat(FAR), time())
        days |= {day.date() for day in rule.between(datetime.combine(start, time()), end, inc=True)}
    removed = set(event.exdates)
    removed |= {other.original_date for other in events if other.recurring_event_id == event.id}
    if not event.rrule:
        removed = set()
    length = 0
    if event.end_date:
        length = (date.fromisoformat(event.end_date) - start).days
    elif event.end_time and event.end_time != "00:00" and event.end_time <= event.start_time:
        length = 1
    kept = [day.isoformat() for day in sorted(days) if day.isoformat() not in removed]
    return [Occurrence(event, day, days_after(day, length)) for day in kept]


def snapshot_of(events: list[Event], batch: int = 100) -> Snapshot:
    """Return a snapshot that came to these events by changes, so many at a time."""
    snapshot = Snapshot("d", Position("e", 0), {}, EventChunks(), 0, RecentChanges())
    changes = [
        Change(revision=number, type=ChangeType.EVENT_CREATED, entity=event, at="")
        for number, event in enumerate(events, 1)
    ]
    for begin in range(0, len(changes), batch):
        snapshot = snapshot.after(changes[begin : begin + batch])
    return snapshot


class Kept:
    """Stands in for the snapshots: has one department, in memory."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def current(self, _department_id: str, *, whole: bool = True) -> Reading:
        return Reading(self.snapshot.position, self.snapshot)


def lists_of(events: list[Event]) -> EventLists:
    return EventLists(Kept(snapshot_of(events, batch=3)))


def pages(lists: EventLists, wanted: EventFilter) -> list[list[dict]]:
    found = []
    while True:
        page = lists.list_events("d", wanted, lambda _position: False)
        found.append(json.loads(b"[" + b",".join(page.events) + b"]"))
        if not page.next_page_token:
            return found
        wanted = replace(wanted, after=parse_order_token(page.next_page_token))


def joined(found: list[list[dict]]) -> list[dict]:
    return [event for page in found for event in page]


def expanded(lists: EventLists, first: str, last: str, **more) -> list[dict]:
    return joined(pages(lists, EventFilter(first=first, last=last, expand=True, **more)))


def in_order(occurrences: list[Occurrence]) -> list[dict]:
    found = sorted(occurrences, key=lambda o: replace(o.event, event_date=o.begins).order())
    return [occurrence.public() for occurrence in found]


RANGES = st.tuples(st.none() | DATES, st.none() | DATES)


@given(departments(), RANGES, st.sampled_from(["", "회의"]), st.integers(1, 4))
def test_a_range_has_the_events_of_which_any_part_or_occurrence_lies_in_it(events, dates, text, limit):
    first, last = dates if None in dates else sorted(dates)
    expected = [
        event
        for event in sorted(events, key=Event.order)
        if text in event.title
        and (
            (first, last) == (None, None)
            or any(o.lies_in(first, last) for o in occurrences_of(event, events))
        )
    ]
    wanted = EventFilter(first=first, last=last, text=text)
    (whole,) = pages(lists_of(events), wanted)
    assert [event["id"] for event in whole] == [event.id for event in expected]
    paged = pages(lists_of(events), replace(wanted, limit=limit))
    assert joined(paged) == whole
    assert all(len(page) == limit for page in paged[:-1])


@given(departments(), st.tuples(DATES, DATES).map(sorted), st.sampled_from(["", "회의"]), st.integers(1, 4))
def test_an_expanded_range_has_every_occurrence_of_which_any_part_lies_in_it(events, dates, text, limit):
    expected = in_order(
        [
            occurrence
            for event in events
            if text in event.title
            for occurrence in occurrences_of(event, events)
            if occurrence.lies_in(*dates)
        ]
    )
    lists = lists_of(events)
    assert expanded(lists, *dates, text=text) == expected
    paged = pages(lists, EventFilter(first=dates[0], last=dates[1], expand=True, text=text, limit=limit))
    assert joined(paged) == expected
    assert all(len(page) == limit for page in paged[:-1])


@given(departments(), departments(), st.integers(1, 5))
def test_an_index_that_changes_brought_about_is_that_of_the_events(before, after, batch):
    snapshot = snapshot_of(before, batch)
    gone = [event for event in before if event.id not in {e.id for e in after}]
    changes = [(ChangeType.EVENT_DELETED, event) for event in gone]
    changes += [(ChangeType.EVENT_UPDATED, event) for event in after]
    for begin in range(0, len(changes), batch):
        revision = snapshot.position.revision
        snapshot = snapshot.after(
            [
                Change(revision=revision + number, type=kind, entity=event, at="")
                for number, (kind, event) in enumerate(changes[begin : begin + batch], 1)
            ]
        )
    fresh = snapshot_of(after)
    index, dates = snapshot.series_index, ("2024-01-20", "2024-01-30")
    assert index.events == fresh.series_index.events
    assert snapshot.size == sum(map(size_of, after)) + index.size
    assert index.in_range(*dates) == fresh.series_index.in_range(*dates)
    for id in ("gone", *(event.id for event in (*before, *after))):
        assert index.replacements(id) == fresh.series_index.replacements(id)


def event(id: str, event_date: str = "2024-01-20", **fields) -> Event:
    return Event(id=id, department_id="d", event_date=event_date, title=id, **fields)


def test_each_range_has_its_own_occurrences():
    lists = lists_of([event("a", rrule="FREQ=DAILY")])
    for last, count in (("2024-01-25", 6), ("2024-01-20", 1), ("2024-01-25", 6), ("2024-01-22", 3)):
        assert len(expanded(lists, "2024-01-20", last)) == count


def test_texts_that_look_like_json_stay_as_they_are():
    text = '"event_date":"2024-01-20","end_date":""}'
    series = event("s", rrule="FREQ=DAILY", end_date="2024-01-21", description=text, location=text)
    (found,) = expanded(lists_of([series]), "2024-02-02", "2024-02-02", limit=1)[1:]
    assert (found["description"], found["location"]) == (text, text)
    assert (found["event_date"], found["end_date"], found["occurrence_date"]) == (
        "2024-02-02", "2024-02-03", "2024-02-02",
    )  # fmt: skip


def test_too_many_occurrences_are_refused_and_the_limit_is_named(monkeypatch):
    monkeypatch.setattr(expansion, "MOST_OCCURRENCES", 20)
    lists = lists_of([event("a", rrule="FREQ=DAILY"), event("b", rrule="FREQ=DAILY")])
    assert len(expanded(lists, "2024-01-20", "2024-01-29")) == 20
    with pytest.raises(ValidationFailed, match="20번 넘게") as refusal:
        expanded(lists, "2024-01-20", "2024-01-30")
    assert refusal.value.details[0]["rule"] == "range_too_large"


def test_a_list_of_occurrences_is_kept_until_the_department_changes():
    store = Kept(snapshot_of([event("a", rrule="FREQ=DAILY")]))
    lists = EventLists(store)
    wanted = EventFilter(first="2024-01-20", last="2024-01-22", expand=True)

    def listed():
        return lists.list_events("d", wanted, lambda _position: False)

    first = listed()
    assert listed() is first
    later = Change(revision=2, type=ChangeType.EVENT_CREATED, entity=event("b"), at="")
    store.snapshot = store.snapshot.after([later])
    assert [e["id"] for e in json.loads(b"[" + b",".join(listed().events) + b"]")] == ["a", "b", "a", "a"]


def test_a_long_list_of_occurrences_is_written_while_it_is_sent_and_not_kept():
    series = [event(f"{n}", rrule="FREQ=DAILY", description="가" * 9_000) for n in range(6)]
    lists = lists_of(series)
    wanted = EventFilter(first="2024-01-20", last="2024-02-20", expand=True)
    found = lists.list_events("d", wanted, lambda _position: False)
    assert not isinstance(found.events, tuple)
    written = list(found.events)
    assert sum(map(len, written)) > KEPT_LIST_BYTES
    assert len(json.loads(b"[" + b",".join(written) + b"]")) == 6 * 32


def test_pages_of_large_occurrences_are_shorter_than_wanted():
    series = [event(f"{n}", rrule="FREQ=DAILY", description="가" * 9_000) for n in range(4)]
    found = pages(
        lists_of(series), EventFilter(first="2024-01-20", last="2024-02-20", expand=True, limit=2_500)
    )
    assert len(found) > 1
    assert len(joined(found)) == 4 * 32
