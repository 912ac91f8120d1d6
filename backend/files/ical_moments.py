"""Dates and times of iCalendar properties, and their local form in the zone of a department."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TypeAlias
from zoneinfo import ZoneInfo

from icalendar.prop import vDuration

from files.entry_texts import quoted
from files.ical_properties import Property, Unreadable
from files.zones_in_files import FileZones

DAY = timedelta(days=1)

Moment: TypeAlias = date | datetime
"""A date, or an aware time in the zone in which the file gives it."""

_MOMENT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z?))?")


class Clock:
    """What the times of a calendar mean: in which zones they are, and what they are in the department's."""

    def __init__(self, department: ZoneInfo, zones: FileZones, floating: str) -> None:
        """`floating` names the zone of times without one; empty for the department's."""
        self.department = department
        """`ZoneInfo` gives the same object for the same name."""
        self._zones = zones
        self._floating = (zones.find(floating) if floating else None) or department

    def read(self, name: str, found: Property) -> Moment:
        """Return the moment that a property says. Raises `Unreadable`."""
        return self._read(name, found, found.value)

    def read_list(self, name: str, found: Property) -> Iterator[Moment]:
        """Yield the moments that a property lists; of a period its begin. Raises `Unreadable`."""
        for value in found.value.split(","):
            if value.strip():
                yield self._read(name, found, value.partition("/")[0])

    def local(self, moment: datetime) -> datetime:
        """Return a time in the department's zone, without zone and seconds. Raises `Unreadable`."""
        try:
            # In its own zone a time stays as it is, even one that the clocks skip.
            return moment.astimezone(self.department).replace(tzinfo=None, second=0)
        except OverflowError:
            raise Unreadable("시각을 부서의 시간대로 바꾸면 달력(1년~9999년)을 벗어납니다.") from None

    def local_date(self, moment: Moment) -> date:
        return self.local(moment).date() if isinstance(moment, datetime) else moment

    def _read(self, name: str, found: Property, value: str) -> Moment:
        match = _MOMENT.fullmatch(value.strip().upper())
        if match is None:
            raise _unreadable(name, value)
        year, month, day, hour, minute, second = (int(digits or 0) for digits in match.groups()[:6])
        try:
            moment = datetime(year, month, day, hour, minute, min(second, 59))  # noqa: DTZ001 - its zone follows
        except ValueError:
            raise _unreadable(name, value) from None
        if match[4] is None:
            return moment.date()
        return moment.replace(tzinfo=UTC if match[7] else self._zone(found))

    def _zone(self, found: Property) -> tzinfo:
        name = found.parameters.get("TZID", "")
        if not name:
            return self._floating
        zone = self._zones.find(name)
        if zone is None:
            raise Unreadable(f"시간대 '{quoted(name)}'이(가) 어느 시간대인지 알 수 없습니다.")
        return zone


def read_duration(found: Property) -> timedelta:
    """Return how long an event lasts, perhaps less than nothing. Raises `Unreadable`."""
    try:
        return vDuration(found.value.strip().upper()).td
    except (ValueError, OverflowError):
        raise _unreadable("DURATION", found.value) from None


def later(moment: Moment, length: timedelta) -> Moment:
    """Return the moment that comes so much later: days by the clock, shorter times as they pass.

    Raises `Unreadable`.
    """
    try:
        if not isinstance(moment, datetime) or not length % DAY:
            return moment + length
        return (moment.astimezone(UTC) + length).astimezone(moment.tzinfo)
    except OverflowError:
        raise Unreadable("달력(1년~9999년)을 벗어나는 날짜가 있습니다.") from None


def own_date(moment: Moment) -> date:
    """Return the date of a moment in its own zone."""
    return moment.date() if isinstance(moment, datetime) else moment


def _unreadable(name: str, value: str) -> Unreadable:
    return Unreadable(f"{name}의 값 '{quoted(value)}'을(를) 읽을 수 없습니다.")
