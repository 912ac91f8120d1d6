"""Repetition in iCalendar: ical.js shows the occurrences that dateutil counts, at the right moment."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from domain import Department, Event
from files.ical_out import write_calendar
from ical_reading import Shown, shown_by_ical_js

YEARS = ("2026-01-01", "2035-12-31")
RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3;COUNT=40",
    "FREQ=DAILY;UNTIL=20260331",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=MO",
    "FREQ=WEEKLY;UNTIL=20271101",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;BYDAY=2TU",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=30",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=1,15",
    "FREQ=YEARLY",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "FREQ=YEARLY;BYMONTH=1,7;BYMONTHDAY=25",
    "FREQ=YEARLY;INTERVAL=4;COUNT=3",
]
FIRST_DATES = ["2026-01-05", "2026-03-29", "2032-02-29"]
ALL_RULES = [
    (rule, first)
    for rule in RULES
    for first in FIRST_DATES
    # From the 29th of February ical.js goes on to the 1st of March.
    if (rule, first) != ("FREQ=YEARLY", "2032-02-29")
]
RULES_ELSEWHERE = [("FREQ=WEEKLY;BYDAY=MO,WE,FR", "2026-01-05"), ("FREQ=MONTHLY;BYDAY=-1FR", "2026-01-05")]
ZONES = ["Asia/Seoul", "America/New_York", "Europe/Berlin", "Australia/Sydney", "Africa/Casablanca", "UTC"]


def series(rrule: str, event_date: str, clock: str = "", **fields) -> Event:
    return Event(
        id="5e41e5",
        department_id="d",
        title="주간 회의",
        event_date=event_date,
        rrule=rrule,
        start_time=clock,
        **fields,
    )


def calendar(*events: Event, zone: str = "Asia/Seoul") -> bytes:
    return write_calendar(Department(id="d", name="개발팀", timezone=zone), events)


def dates(event: Event, last: str = YEARS[1]) -> list[str]:
    """Return the dates of a series as dateutil counts them, and the first one."""
    first = datetime.fromisoformat(event.event_date)
    rule = rrulestr(event.rrule, dtstart=first)
    on_rule = rule.between(first, datetime.fromisoformat(last), inc=True)
    return sorted({day.date().isoformat() for day in [first, *on_rule]} - set(event.exdates))


def moment(day: str, clock: str, zone: str) -> int:
    return int(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone)).timestamp())


def shown(*events: Event, zone: str = "Asia/Seoul") -> list[Shown]:
    return shown_by_ical_js([(calendar(*events, zone=zone), *YEARS)])[0]


@pytest.mark.parametrize(
    ("zone", "rules"), [(zone, ALL_RULES if zone == "Asia/Seoul" else RULES_ELSEWHERE) for zone in ZONES]
)
def test_a_series_is_shown_on_its_dates_over_ten_years(zone, rules):
    events = [series(*rule, clock) for rule in rules for clock in ("", "09:30")]
    found = shown_by_ical_js([(calendar(event, zone=zone), *YEARS) for event in events])
    for event, occurrences in zip(events, found, strict=True):
        begins = [(one.begin.removesuffix("Z"), one.seconds) for one in occurrences]
        assert begins == [
            (f"{day}T09:30:00", moment(day, "09:30", zone)) if event.start_time else (day, None)
            for day in dates(event)
        ], (event.rrule, event.event_date)


@pytest.mark.parametrize("clock", ["", "00:00", "09:30", "23:59"])
def test_the_last_date_of_a_series_is_shown_and_none_after_it(clock):
    event = series("FREQ=DAILY;UNTIL=20261101", "2026-10-30", clock)
    for found in shown_by_ical_js([(calendar(event, zone=zone), *YEARS) for zone in ZONES]):
        assert [one.begin[:10] for one in found] == ["2026-10-30", "2026-10-31", "2026-11-01"]


@pytest.mark.parametrize("clock", ["", "14:00"])
def test_a_removed_occurrence_is_not_shown(clock):
    event = series("FREQ=WEEKLY;COUNT=4", "2026-01-05", clock, exdates=("2026-01-12", "2026-01-26"))
    assert [one.begin[:10] for one in shown(event)] == ["2026-01-05", "2026-01-19"]


@pytest.mark.parametrize(("clock", "new_clock"), [("", ""), ("14:00", "16:30"), ("14:00", ""), ("", "10:00")])
def test_a_replaced_occurrence_is_shown_instead_of_the_one_of_the_series(clock, new_clock):
    replacement = Event(
        id="4e91ace",
        department_id="d",
        title="옮긴 회의",
        event_date="2026-01-14",
        start_time=new_clock,
        recurring_event_id="5e41e5",
        original_date="2026-01-12",
    )
    found = shown(series("FREQ=WEEKLY;COUNT=3", "2026-01-05", clock), replacement)
    time, new_time = (f"T{text}:00" if text else "" for text in (clock, new_clock))
    assert [(one.title, one.original, one.begin) for one in found] == [
        ("주간 회의", f"2026-01-05{time}", f"2026-01-05{time}"),
        ("옮긴 회의", f"2026-01-12{time}", f"2026-01-14{new_time}"),
        ("주간 회의", f"2026-01-19{time}", f"2026-01-19{time}"),
    ]


def test_a_replacement_without_its_series_is_shown_by_itself():
    fields = {"recurring_event_id": "5e41e5", "original_date": "2026-01-12"}
    events = [
        Event(id=f"4e91ace{n}", department_id="d", title=f"회의 {n}", event_date=f"2026-01-1{n}", **fields)
        for n in (4, 5)
    ]
    assert [(one.title, one.begin) for one in shown(*events)] == [
        ("회의 4", "2026-01-14"),
        ("회의 5", "2026-01-15"),
    ]


def test_the_length_of_each_occurrence_is_that_of_the_first():
    night = series("FREQ=WEEKLY;COUNT=2", "2026-01-05", "22:00", end_time="01:00")
    trip = series("FREQ=MONTHLY;COUNT=2", "2026-01-05", end_date="2026-01-07")
    assert [one.end for one in shown(night)] == ["2026-01-06T01:00:00", "2026-01-13T01:00:00"]
    assert [one.end for one in shown(trip)] == ["2026-01-08", "2026-02-08"]


@pytest.mark.parametrize(
    ("zone", "day"), [("America/New_York", "2026-03-08"), ("Europe/Berlin", "2026-03-29")]
)
def test_times_around_the_change_of_the_clocks_are_the_right_moments(zone, day):
    change = date.fromisoformat(day)
    around = [(change + timedelta(days=n)).isoformat() for n in (-1, 0, 1)]
    clocks = ["00:30", "01:30", "03:00", "03:30", "04:30", "23:30"]
    events = [series("FREQ=DAILY;COUNT=3", around[0], clock) for clock in clocks]
    found = shown_by_ical_js([(calendar(event, zone=zone), *YEARS) for event in events])
    assert [[one.seconds for one in occurrences] for occurrences in found] == [
        [moment(day, clock, zone) for day in around] for clock in clocks
    ]


def test_a_time_that_the_clocks_skip_or_show_twice_stays_as_it_is():
    skipped = series("FREQ=DAILY;UNTIL=20260309", "2026-03-07", "02:30")
    twice = series("FREQ=DAILY;UNTIL=20261101", "2026-10-31", "01:30")
    for event in (skipped, twice):
        assert [one.original[:10] for one in shown(event, zone="America/New_York")] == dates(event)
    text = calendar(skipped, twice, zone="America/New_York").decode()
    assert "DTSTART;TZID=America/New_York:20260307T023000" in text
    assert "UNTIL=20261101T063000Z" in text  # the second 01:30 of that night
