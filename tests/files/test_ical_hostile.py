"""Files that somebody made to cost the server time or memory: none costs more than its size allows."""

import pytest

from calendar_files import SEOUL, event
from files.entries import TooManyEntries
from files.ical_in import read_calendar

SIZE = 2 * 1024 * 1024
HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\n"
BEGIN = f"{HEAD}BEGIN:VEVENT\nUID:1\n"
END = "\nEND:VEVENT\nEND:VCALENDAR\n"
MOMENT = "20260302T090000"


def filled(head, unit, end=END):
    """Return a file of `SIZE` with a head, one unit again and again, and an end."""
    room = SIZE - len((head + end).encode())
    return (head + unit * (room // len(unit.encode())) + end).encode()


def zone(*rules):
    return "BEGIN:VTIMEZONE\nTZID:x\n" + "\n".join(rules)


RULE = "BEGIN:STANDARD\nDTSTART:16010101T000000\nRRULE:FREQ=SECONDLY\nTZOFFSETTO:+0900\nEND:STANDARD\n"
IN_ZONE = f"END:VTIMEZONE\nBEGIN:VEVENT\nDTSTART;TZID=x:{MOMENT}{END}"
SERIES = (
    "\n".join(event(f"DTSTART:{MOMENT}", "RRULE:FREQ=DAILY", "RDATE:" + ",".join([MOMENT] * 1_000))) + "\n"
)

ONE_ENTRY = {
    "components without end": (filled(BEGIN, "BEGIN:A\n", ""), "끊겨"),
    "components within components": (filled(BEGIN, "BEGIN:VALARM\n"), "줄이 너무 많습니다"),
    "properties": (filled(BEGIN, "DTSTART:1\n"), "속성이 너무 많습니다"),
    "unknown properties": (filled(BEGIN, "A:1\n"), "줄이 너무 많습니다"),
    "bare line breaks in a text": (filled(f"{BEGIN}DESCRIPTION:a\n", "a\n"), "줄이 너무 많습니다"),
    "folds": (filled(f"{BEGIN}DESCRIPTION:", "\n "), "DTSTART"),
    "folds with empty lines": (filled(f"{BEGIN}DESCRIPTION:", "\n\r\n "), "DTSTART"),
    "one long text": (filled(f"{BEGIN}DESCRIPTION:", "\\n"), "DESCRIPTION 줄이 너무 길거나"),
    "one long parameter": (filled(f"{BEGIN}SUMMARY;A=", '"a"'), "SUMMARY 줄이 너무 길거나"),
    "parameters without value": (filled(f"{BEGIN}SUMMARY", ";"), "SUMMARY 줄이 너무 길거나"),
    "open quotes": (filled(f"{BEGIN}DTSTART", ';A="'), "DTSTART 줄이 너무 길거나"),
    "added dates": (filled(f"{BEGIN}DTSTART:{MOMENT}\nRDATE:", f"{MOMENT},"), "RDATE 줄이 너무 길거나"),
    "removed dates": (
        filled(f"{BEGIN}DTSTART:{MOMENT}\nRRULE:FREQ=DAILY\n", f"EXDATE:{MOMENT}\n"),
        "속성이 너무 많습니다",
    ),
    "rules of a zone": (filled(HEAD + zone(), RULE, IN_ZONE), ""),
    "zones": (filled(HEAD, zone(RULE + "END:VTIMEZONE\n"), zone(RULE + IN_ZONE)), ""),
}


@pytest.mark.parametrize("kind", ONE_ENTRY)
def test_a_hostile_event_costs_only_itself(kind):
    content, reason = ONE_ENTRY[kind]
    (entry,) = read_calendar(content, SEOUL, 2_000)
    assert reason in entry.reason
    assert bool(reason) == bool(entry.reason)


@pytest.mark.parametrize("unit", ["BEGIN:VCALENDAR\n", "\n", "\r", "A:1\n", "END:VEVENT\n", "BEGIN:VTODO\n"])
def test_a_calendar_of_nothing_has_no_events(unit):
    entries = read_calendar(filled(HEAD, unit, ""), SEOUL, 2_000)
    assert [entry.uid for entry in entries] in ([], [""])


@pytest.mark.parametrize("unit", ["BEGIN:VEVENT\n", "BEGIN:VEVENT\nEND:VEVENT\n", SERIES])
def test_events_are_counted_before_they_are_read(unit):
    with pytest.raises(TooManyEntries):
        read_calendar(filled(HEAD, unit), SEOUL, 100)
