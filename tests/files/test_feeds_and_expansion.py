"""What programs show of a feed over ten years is what the server lists: a whole department, four ways.

The server's own expansion, ical.js, Python's icalendar with dateutil's rules, and dateutil alone.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from dateutil.rrule import rrulestr

from domain import Department, Event, EventFilter
from files.ical_out import write_calendar
from ical_reading import parsed, shown_by_ical_js
from in_process import decoded
from services.expansion import is_listed_by_date, merged, occurrences_in, written
from services.series_index import SeriesIndex

FIRST, LAST = date(2026, 1, 1), date(2035, 12, 31)
LONGEST_DAYS = 399

Shown = tuple[str, str]
"""The date on which something begins, and its title."""


def events() -> list[Event]:
    made = []
    rules = {
        "FREQ=WEEKLY;BYDAY=MO,TH": "2026-01-05",
        "FREQ=MONTHLY;BYDAY=-1FR": "2026-01-30",
        "FREQ=DAILY;INTERVAL=10;COUNT=200": "2026-01-01",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=2SU": "2026-03-08",
        "FREQ=MONTHLY;BYMONTHDAY=-1;UNTIL=20310101": "2026-01-31",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=2": "2026-01-02",
    }
    for number, (rrule, begin) in enumerate(rules.items()):
        for clock in ("", "14:00"):
            id = f"series-{number}-{clock}"
            dates = on_rule(rrule, begin)
            fields = {"department_id": "d", "start_time": clock}
            removed, moved_dates = tuple(dates[3:30:9]), dates[5:40:11]
            series = Event(id=id, title=id, event_date=begin, rrule=rrule, exdates=removed, **fields)
            moved = [
                Event(
                    id=f"moved-{day}-{id}",
                    title=f"moved {id}",
                    event_date=later(day, 1),
                    recurring_event_id=id,
                    original_date=day,
                    **fields,
                )
                for day in moved_dates
            ]
            made += [series, *moved]
    made.append(
        Event(id="trip", department_id="d", title="trip", event_date="2026-05-04", end_date="2026-05-06")
    )
    made.append(Event(id="one", department_id="d", title="one", event_date="2027-01-01", start_time="09:00"))
    return sorted(made, key=Event.order)


def later(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


def on_rule(rrule: str, begin: str) -> list[str]:
    found = rrulestr(rrule, dtstart=datetime.fromisoformat(begin))
    until = datetime.combine(LAST, datetime.min.time())
    return [day.date().isoformat() for day in found.between(datetime.fromisoformat(begin), until, inc=True)]


def by_server(events: list[Event]) -> Iterator[Shown]:
    index = SeriesIndex().changed((), events)
    begin = FIRST
    while begin <= LAST:
        end = min(begin + timedelta(LONGEST_DAYS), LAST)
        wanted = EventFilter(first=begin.isoformat(), last=end.isoformat(), expand=True)
        by_date = [
            event
            for event in events
            if begin.isoformat() <= event.event_date <= end.isoformat()
            and is_listed_by_date(event, index, wanted)
        ]
        occurrences = occurrences_in(index, wanted, lambda _event: True)
        for one in decoded(written(merged([by_date], occurrences))):
            if one["event_date"] >= begin.isoformat():  # what began before is of the range before
                yield one["event_date"], one["title"]
        begin = end + timedelta(1)


def by_ical_js(content: bytes) -> Iterator[Shown]:
    for one in shown_by_ical_js([(content, FIRST.isoformat(), LAST.isoformat())])[0]:
        yield one.begin[:10], one.title


def by_python(content: bytes) -> Iterator[Shown]:
    components = parsed(content)
    replaced = {(str(c["UID"]), day_of(c["RECURRENCE-ID"].dt)) for c in components if "RECURRENCE-ID" in c}
    for component in components:
        uid, begin = str(component["UID"]), day_of(component["DTSTART"].dt)
        if "RRULE" not in component:
            yield begin, str(component["SUMMARY"])
            continue
        lists = component.get("EXDATE", [])
        removed = {
            day_of(one.dt) for many in (lists if isinstance(lists, list) else [lists]) for one in many.dts
        }
        rule = re.sub("(UNTIL=[0-9]{8})T[0-9]{6}Z", r"\1", component["RRULE"].to_ical().decode())
        for day in on_rule(rule, begin):
            if day not in removed and (uid, day) not in replaced:
                yield day, str(component["SUMMARY"])


def day_of(moment: date) -> str:
    return moment.isoformat()[:10]


def by_dateutil(events: list[Event]) -> Iterator[Shown]:
    replaced = {(event.recurring_event_id, event.original_date) for event in events}
    for event in events:
        for day in on_rule(event.rrule, event.event_date) if event.rrule else [event.event_date]:
            if day not in event.exdates and (event.id, day) not in replaced:
                yield day, event.title


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/New_York", "UTC"])
def test_everybody_shows_the_same_occurrences(zone):
    department = events()
    expected = sorted(by_dateutil(department))
    assert len(expected) > 3_000
    content = write_calendar(Department(id="d", name="개발팀", timezone=zone), department)
    assert sorted(by_server(department)) == expected
    assert sorted(by_ical_js(content)) == expected
    assert sorted(by_python(content)) == expected
