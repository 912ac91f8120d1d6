"""Dates as people and programs write them in tables: `2026. 3. 2.(월)`, `26.3.2`, `3/2/2026`, `46083`."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date, timedelta
from enum import Enum
from typing import NamedTuple

_LENGTH_MAX = 100
_ISO = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DASHES = str.maketrans(dict.fromkeys("‐‒–—−", "-"))
_UNITS = re.compile(r"(?<=\d)\s*[년월](?=\s*\d)", re.ASCII)
_BEHIND = (
    r"(?:\.|\s?일)?"
    r"(?:[\s,]*[(\[]?(?:[월화수목금토일](?:요일)?|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*)[)\]]?(?![가-힣a-z]))?"
    r"(?:(?:\s|T(?=\d))\s?(?P<rest>.+))?"
)
"""What may stand behind a date: a dot or unit, a day of the week, and anything more after a space."""
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}}|\d\d)\s?(?P<sign>[-./])\s?(?P<month>\d\d?)\s?(?P=sign)\s?(?P<day>\d\d?)(?!\d){_BEHIND}",
    re.ASCII | re.IGNORECASE,
)
_YEAR_LAST = re.compile(
    rf"(?P<first>\d\d?)(?P<sign>[-/])(?P<second>\d\d?)(?P=sign)(?P<year>\d{{4}}|\d\d)(?!\d){_BEHIND}",
    re.ASCII | re.IGNORECASE,
)
_COMPACT = re.compile(
    rf"(?P<year>\d{{4}}|\d\d)(?P<month>\d\d)(?P<day>\d\d){_BEHIND}", re.ASCII | re.IGNORECASE
)
_ZONE = re.compile(
    r"(?:[\d ](?:z|utc|gmt)|\+\d\d:?\d\d|:\d\d:\d\d(?:\.\d+)?-\d\d:?\d\d)$", re.ASCII | re.IGNORECASE
)
_SERIAL = re.compile(r"\d{5}(?:\.\d{1,12})?", re.ASCII)
_SERIAL_DAY_0 = date(1899, 12, 30)
"""Day 0 of Excel for the days since March 1900."""
_DAY_MINUTES = 1440


class DateOrder(Enum):
    """What stands first in dates that end with the year, as `3/2/2026`."""

    MONTH_FIRST = "month"
    DAY_FIRST = "day"
    UNKNOWN = "unknown"


class ReadDate(NamedTuple):
    """A date as `YYYY-MM-DD`, and the text that stands behind it, such as a time of day."""

    date: str
    rest: str = ""


def read_date_text(text: str, order: DateOrder = DateOrder.UNKNOWN) -> ReadDate | None:
    """Read a date; None if the text is none, if there is no such day, or if it may be one of two days: also
    with a time in a zone of its own.

    Years of two digits are of this century. Numbers of five digits count days as Excel does.
    """
    if _ISO.fullmatch(text):
        return _only([(text[:4], text[5:7], text[8:])])
    if len(text) > _LENGTH_MAX:
        return None
    text = _normalise(text)
    if _SERIAL.fullmatch(text):
        days, minute = divmod(round(float(text) * _DAY_MINUTES), _DAY_MINUTES)
        clock = f"{minute // 60:02}:{minute % 60:02}" if minute else ""
        return ReadDate((_SERIAL_DAY_0 + timedelta(days)).isoformat(), clock)
    readings: list[tuple[str, str, str]] = []
    match = _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text)
    rest = match["rest"] if match else None
    if match:
        readings.append((match["year"], match["month"], match["day"]))
    if (match := _YEAR_LAST.fullmatch(text)) and (len(match["year"]) == 4 or order is not DateOrder.UNKNOWN):
        rest = match["rest"]
        first, second = match["first"], match["second"]
        if order is not DateOrder.DAY_FIRST:
            readings.append((match["year"], first, second))
        if order is not DateOrder.MONTH_FIRST:
            readings.append((match["year"], second, first))
    if rest and _ZONE.search(rest):
        return None
    return _only(readings, rest or "")


def find_date_order(texts: Iterable[str], otherwise: DateOrder) -> DateOrder:
    """Return the order that dates of one origin show: in `3/25/2026` the month stands first.

    Returns `otherwise` if none shows it, UNKNOWN if they contradict each other.
    """
    shown = set()
    for text in texts:
        match = _YEAR_LAST.match(text.strip()[:_LENGTH_MAX])
        if match and len(match["year"]) == 4:
            if int(match["first"]) > 12:
                shown.add(DateOrder.DAY_FIRST)
            elif int(match["second"]) > 12:
                shown.add(DateOrder.MONTH_FIRST)
    if len(shown) > 1:
        return DateOrder.UNKNOWN
    return shown.pop() if shown else otherwise


def _normalise(text: str) -> str:
    """Write digits and signs in ASCII, the year's and the month's unit as a dot; one space for all white."""
    text = unicodedata.normalize("NFKC", text).translate(_DASHES)
    return _UNITS.sub(".", " ".join(text.split()).lstrip("'’‘`"))


def _only(readings: Iterable[tuple[str, str, str]], rest: str = "") -> ReadDate | None:
    """Return the one day that is meant by years, months and days; None if there is none, or more than one."""
    days = set()
    for year, month, day in readings:
        try:
            days.add(date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day)))
        except ValueError:  # no such day
            continue
    return ReadDate(days.pop().isoformat(), rest) if len(days) == 1 else None
