"""A department as an iCalendar file, which is what feeds hold and programs import."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

from domain import Department, Event
from files.css_colors import nearest_color_name
from files.ical_event import UTC_NAMES, event_block
from files.ical_text import content_lines, text_line
from files.time_zone_blocks import time_zone_block

REFRESH_INTERVAL = "PT1H"
"""How often programs should ask again; those that know neither property for it have a rate of their own."""

_END = content_lines(["END:VCALENDAR"])


@dataclass(frozen=True, slots=True)
class Contents:
    """What has to be known of the events of a file before the first of them is written."""

    series: Mapping[str, Event]
    """The series in the file, by id."""
    years: tuple[int, int] | None
    """The first and the last in which an event with a clock time begins; None if there is none."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        series: dict[str, Event] = {}
        years: list[int] = []
        for event in events:
            if event.rrule:
                series[event.id] = event
            if event.start_time and (year := event.event_date[:4]).isdecimal():
                years.append(int(year))
        return cls(series, (min(years), max(years)) if years else None)


def write_calendar(department: Department, events: Sequence[Event]) -> bytes:
    """Return a file with events of a department, in the order in which they are given."""
    return b"".join(calendar_parts(department, events, Contents.of(events)))


def calendar_parts(
    department: Department,
    events: Iterable[Event],
    contents: Contents,
    block: Callable[[Event, ZoneInfo, Event | None], bytes] = event_block,
) -> Iterator[bytes]:
    """Yield the file that `write_calendar` returns: its head, a part for each event, its end.

    Whoever writes it often passes a `block` that keeps what `event_block` returned: it stays the same while
    the event, the zone and the series (its UID and `start_time`) do.
    """
    zone = department.zone
    yield _head(department, zone, contents.years)
    for event in events:
        yield block(event, zone, contents.series.get(event.recurring_event_id))
    yield _END


def _head(department: Department, zone: ZoneInfo, years: tuple[int, int] | None) -> bytes:
    color = department.color
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//department-calendar//department-calendar//KO",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        text_line("NAME", department.name),
        text_line("X-WR-CALNAME", department.name),
        f"X-WR-TIMEZONE:{zone.key}",
        *([f"COLOR:{nearest_color_name(color)}", f"X-APPLE-CALENDAR-COLOR:{color}"] if color else []),
        f"REFRESH-INTERVAL;VALUE=DURATION:{REFRESH_INTERVAL}",
        f"X-PUBLISHED-TTL:{REFRESH_INTERVAL}",
    ]
    if years is None or zone.key in UTC_NAMES:
        return content_lines(lines)
    return content_lines(lines) + time_zone_block(zone, *years)
