"""Reads a file of events of either kind."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from files.csv_in import read_table
from files.entries import Entry
from files.ical_in import read_calendar

ICALENDAR = "text/calendar"
CSV = "text/csv"


def read_file(content: bytes, media: str, zone: ZoneInfo, most: int | None) -> list[Entry]:
    """Return the entries of a file of one of these media types.

    `zone` is that of the department: times of iCalendar files are moved to it, those of tables are in it.
    Raises `FileRefused` for a file that cannot be read, `TooManyEntries` for more than `most`; None is all.
    """
    if media == ICALENDAR:
        return read_calendar(content, zone, most)
    return [replace(entry, is_partial=True) for entry in read_table(content, most)]
