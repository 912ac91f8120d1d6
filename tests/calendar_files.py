"""iCalendar files for tests, and what is read of them."""

from zoneinfo import ZoneInfo

from files.entries import Entry
from files.ical_in import read_calendar

SEOUL = ZoneInfo("Asia/Seoul")


def calendar(*lines, header=()):
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", *header, *lines, "END:VCALENDAR", ""]
    ).encode()  # fmt: skip


def event(*lines):
    return ["BEGIN:VEVENT", *lines, "END:VEVENT"]


def read_events(*events, header=(), zone=SEOUL):
    return read_calendar(calendar(*(line for lines in events for line in lines), header=header), zone, None)


def read_event(*lines, header=(), zone=SEOUL) -> Entry:
    """Read one event with these lines; with no DTSTART among them it begins at 9:00 on 2 March 2026."""
    if not any(line.startswith("DTSTART") for line in lines):
        lines = (*lines, "DTSTART:20260302T090000")
    (entry,) = read_events(event("UID:1", *lines), header=header, zone=zone)
    return entry


def times_of(entry):
    """Return date, last date, start and end of a good entry."""
    assert not entry.reason
    return tuple(entry.fields[name] for name in ("event_date", "end_date", "start_time", "end_time"))
