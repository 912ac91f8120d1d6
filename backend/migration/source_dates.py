"""Reads the dates, times of day and timestamps of old files."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from domain import timestamp

_DATE = re.compile(
    r"(\d{4})\s*(?:[-/.]|년)\s*(\d{1,2})\s*(?:[-/.]|월)\s*(\d{1,2})\s*(?:[.일]|(?=[T\s])|$)\s*(.*)", re.ASCII
)
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})()", re.ASCII)
_CLOCK = re.compile(
    r"T?(?P<before>오전|오후|AM|PM)?\s*"
    r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:[.,]\d+)?)?\s*"
    r"(?P<after>AM|PM)?\s*"
    r"(?:(?P<utc>Z|UTC|GMT)|(?P<sign>[+-])(?P<hours>[01]\d|2[0-3])(?::?(?P<minutes>[0-5]\d))?)?",
    re.ASCII | re.IGNORECASE,
)
_UNIX_TIME = re.compile(r"-?\d{9,13}(?:\.\d+)?", re.ASCII)
"""Seconds or milliseconds since 1970, from 1973 on: at least nine digits, since eight are a date."""
_DOTNET = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/", re.ASCII)
_MILLISECONDS_FROM = 100_000_000_000
"""Numbers from this one on are milliseconds: in seconds it is the year 5138, in milliseconds 1973."""


@dataclass(frozen=True, slots=True)
class DateReading:
    """A date field as a calendar in one time zone shows it.

    `date` is the day there, as `2024-01-20`; `clock` is the time of day as Korean text, `""` for a whole day.
    `written_date` is the day in the zone in which the field was written, `""` for a count since 1970.
    `written` is a normal form that does not depend on the calendar's zone: it is equal for equal moments.
    """

    date: str
    clock: str
    written_date: str
    written: str


def read_date(value: str | float, zone: tzinfo) -> DateReading | None:
    """Read a date field: a day, a day and a clock, or a moment; None if the day or the time does not exist.

    A value with a zone or an offset, or a count since 1970, is a moment and is converted to `zone`; any other
    value is local time there. The first moment of a day means the whole day, since programs write a day so.
    """
    text = _number_text(value) if isinstance(value, int | float) else value.strip()
    try:
        if _DOTNET.fullmatch(text):
            return _read_in_zone(read_timestamp(text), "", zone)
        if _UNIX_TIME.fullmatch(text):
            return _read_in_zone(read_timestamp(float(text)), "", zone)
        return _read_written(text, zone)
    except (ValueError, OverflowError):  # the day does not exist, or datetime cannot hold it
        return None


def _number_text(number: float) -> str:
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)


def _read_written(text: str, zone: tzinfo) -> DateReading | None:
    match = _DATE.fullmatch(text) or _COMPACT_DATE.fullmatch(text)
    if not match:
        return None
    day = date(int(match[1]), int(match[2]), int(match[3]))
    written_date = day.isoformat()
    if not match[4]:
        return DateReading(written_date, "", written_date, written_date)
    clock = _CLOCK.fullmatch(match[4])
    since_midnight = _since_midnight(clock) if clock else None
    if clock is None or since_midnight is None:
        return None
    if clock["utc"] or clock["sign"]:
        moment = datetime.combine(day, time(), _offset(clock)) + since_midnight
        return _read_in_zone(moment, written_date, zone)
    korean = _korean_clock(since_midnight) if since_midnight else ""
    written = f"{written_date}T{since_midnight // timedelta(seconds=1)}" if since_midnight else written_date
    return DateReading(written_date, korean, written_date, written)


def _read_in_zone(moment: datetime | None, written_date: str, zone: tzinfo) -> DateReading | None:
    if moment is None:
        return None
    moment = moment.astimezone(UTC).replace(microsecond=0)
    local = moment.astimezone(zone)
    # Compares moments, not clocks: where summer time begins at midnight, the day begins at 1:00.
    begins = datetime.combine(local.date(), time(), zone).astimezone(UTC)
    clock = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    korean = "" if moment == begins else _korean_clock(clock)
    return DateReading(local.date().isoformat(), korean, written_date, timestamp(moment))


def _since_midnight(clock: re.Match[str]) -> timedelta | None:
    """Return the time since midnight to the second; None for a time that does not exist, such as 25:00."""
    hour = int(clock["hour"])
    if half_day := (clock["before"] or clock["after"] or "").upper():
        if hour > 12 or (clock["before"] and clock["after"]):
            return None
        hour = hour % 12 + (12 if half_day in ("오후", "PM") else 0)
    found = timedelta(hours=hour, minutes=int(clock["minute"]), seconds=int(clock["second"] or 0))
    return found if found <= timedelta(days=1) else None


def _offset(clock: re.Match[str]) -> timezone:
    if clock["utc"]:
        return UTC
    offset = timedelta(hours=int(clock["hours"]), minutes=int(clock["minutes"] or 0))
    return timezone(-offset if clock["sign"] == "-" else offset)


def _korean_clock(since_midnight: timedelta) -> str:
    """Write `오후 2:30`, with seconds only where there are some; the end of a day is `24:00`."""
    minutes, seconds = divmod(int(since_midnight.total_seconds()), 60)
    hour, minute = divmod(minutes, 60)
    if hour == 24:
        return "24:00"
    half_day = "오전" if hour < 12 else "오후"
    return f"{half_day} {(hour + 11) % 12 + 1}:{minute:02d}" + (f":{seconds:02d}" if seconds else "")


def names_a_day(text: str) -> bool:
    """Return whether text has the form of a date, even of a day that does not exist."""
    text = text.strip()
    if not _COMPACT_DATE.fullmatch(text):
        return bool(_DATE.fullmatch(text))
    return read_date(text, UTC) is not None  # eight digits that are no date are the number of a department


def read_timestamp(value: str | float) -> datetime | None:
    """Read a timestamp: ISO with or without zone, `/Date(ms)/` of .NET, or seconds or ms since 1970.

    Returns it in UTC, None if it is unreadable. Without a zone it is UTC, as SQLite's CURRENT_TIMESTAMP is.
    """
    try:
        if isinstance(value, str) and (match := _DOTNET.fullmatch(value.strip())):
            return _since_1970(int(match[1]) / 1000)
        if not isinstance(value, str):
            return _since_1970(value / 1000 if abs(value) >= _MILLISECONDS_FROM else value)
        moment = datetime.fromisoformat(value.strip().replace("/", "-"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _since_1970(seconds: float) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None
