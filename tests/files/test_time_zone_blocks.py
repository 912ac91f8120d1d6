"""VTIMEZONE: short, and with the same clocks as the zone itself."""

import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain import Department, Event
from files.ical_out import write_calendar
from files.time_zone_blocks import time_zone_block
from ical_reading import shown_by_ical_js

ZONES = [
    "Asia/Seoul",
    "America/New_York",
    "America/Santiago",
    "Europe/Berlin",
    "Europe/Dublin",
    "Asia/Jerusalem",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Africa/Cairo",
    "America/Nuuk",
    "Pacific/Apia",
]


def block(zone: str, first: int, last: int) -> list[str]:
    return time_zone_block(ZoneInfo(zone), first, last).decode().splitlines()


def test_the_block_of_seoul_is_a_few_lines():
    assert block("Asia/Seoul", 2026, 2031) == [
        "BEGIN:VTIMEZONE",
        "TZID:Asia/Seoul",
        "BEGIN:STANDARD",
        "DTSTART:20260101T000000",
        "TZNAME:KST",
        "TZOFFSETFROM:+0900",
        "TZOFFSETTO:+0900",
        "END:STANDARD",
        "END:VTIMEZONE",
    ]


def test_the_clocks_of_a_zone_are_two_rules_without_an_end():
    assert block("America/New_York", 2026, 2026) == [
        "BEGIN:VTIMEZONE",
        "TZID:America/New_York",
        "BEGIN:DAYLIGHT",
        "DTSTART:20250309T020000",
        "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU",
        "TZNAME:EDT",
        "TZOFFSETFROM:-0500",
        "TZOFFSETTO:-0400",
        "END:DAYLIGHT",
        "BEGIN:STANDARD",
        "DTSTART:20251102T020000",
        "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU",
        "TZNAME:EST",
        "TZOFFSETFROM:-0400",
        "TZOFFSETTO:-0500",
        "END:STANDARD",
        "END:VTIMEZONE",
    ]


def test_a_rule_that_was_given_up_ends_with_its_last_change():
    rules = [line for line in block("America/New_York", 1990, 2026) if line.startswith("RRULE")]
    assert rules == [
        "RRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=1SU;UNTIL=20060402T070000Z",
        "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU;UNTIL=20061029T060000Z",
        "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU",
        "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU",
    ]


@pytest.mark.parametrize(
    ("zone", "rule"),
    [
        ("Asia/Jerusalem", "FREQ=YEARLY;BYMONTH=3;BYDAY=FR;BYMONTHDAY=23,24,25,26,27,28,29"),
        ("America/Santiago", "FREQ=YEARLY;BYMONTH=4;BYDAY=SU;BYMONTHDAY=2,3,4,5,6,7,8"),
    ],
)
def test_a_weekday_that_counts_from_a_day_of_the_month_on_is_a_rule_too(zone, rule):
    assert f"RRULE:{rule}" in block(zone, 2026, 2026)


@pytest.mark.parametrize("years", [(1, 9999), (1900, 1900), (9999, 9999)])
@pytest.mark.parametrize("zone", ["Asia/Seoul", "Europe/Berlin", "Africa/Casablanca"])
def test_no_year_makes_a_block_long(zone, years):
    assert len(block(zone, *years)) < 300
    assert len(block("Asia/Seoul", *years)) < 40


@pytest.mark.parametrize("zone", ZONES)
def test_times_of_many_years_are_the_moments_of_the_zone(zone):
    chance, days = random.Random(zone), (date(2026, 1, 1), date(2036, 12, 31))
    moments = [
        datetime.combine(days[0], datetime.min.time()) + timedelta(minutes=chance.randrange(11 * 365 * 1440))
        for _ in range(400)
    ]
    moments += [around for change in changes(zone) for around in (change - HOUR, change + HOUR)]
    moments = [moment for moment in moments if is_shown_once(moment, zone)]
    events = [
        Event(
            id=str(number),
            department_id="d",
            title=str(number),
            event_date=moment.date().isoformat(),
            start_time=f"{moment:%H:%M}",
        )
        for number, moment in enumerate(moments)
    ]
    content = write_calendar(Department(id="d", name="d", timezone=zone), events)
    [found] = shown_by_ical_js([(content, "2000-01-01", "2100-01-01")])
    assert [one.seconds for one in found] == [
        int(moment.replace(tzinfo=ZoneInfo(zone)).timestamp()) for moment in moments
    ]


HOUR = timedelta(hours=1)


def changes(zone: str) -> list[datetime]:
    """Return the local hours, by the clocks after them, in which a zone changes its clocks."""
    hours = [datetime(2026, 1, 1) + HOUR * n for n in range(3 * 366 * 24)]  # noqa: DTZ001 - local ones
    offsets = [hour.replace(tzinfo=ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hours[n] for n in range(1, len(hours)) if offsets[n - 1] != offsets[n]]


def is_shown_once(moment: datetime, zone: str) -> bool:
    """Tell whether clocks show a local time, and do so once."""
    return len({moment.replace(tzinfo=ZoneInfo(zone), fold=fold).utcoffset() for fold in (0, 1)}) == 1
