"""When an event of an iCalendar file takes place, as the fields of an event."""

from collections.abc import Mapping
from datetime import date, datetime, time

from files.entry_texts import event_text
from files.ical_moments import DAY, Clock, Moment, later, own_date, read_duration
from files.ical_properties import Properties, Unreadable
from text_times import read_times, write_times

TIME_PROPERTIES = frozenset(
    {"DTSTART", "DTEND", "DURATION", "X-TIME-TEXT", "X-LAST-DATE", "X-MICROSOFT-CDO-ALLDAYEVENT"}
)


def read_start(properties: Properties, clock: Clock) -> Moment:
    """Read when an event begins. Raises `Unreadable`."""
    found = properties.first("DTSTART")
    if found is None:
        raise Unreadable("시작하는 때(DTSTART)가 없습니다.")
    return _as_exchange_means(properties, clock.read("DTSTART", found))


def read_times_of_event(properties: Properties, clock: Clock, start: Moment) -> dict[str, str]:
    """Return the fields that say when an event takes place. Raises `Unreadable`."""
    end = _read_end(properties, clock, start)
    if isinstance(start, datetime):
        local_end = clock.local(end) if isinstance(end, datetime) else None
        fields = _timed(clock.local(start), local_end, _last_date(properties, clock))
    else:
        fields = _all_day(start, end)
    return {**fields, "time": _time_text(properties, fields)}


def _as_exchange_means(properties: Properties, moment: Moment) -> Moment:
    """Return the date for a midnight, if Exchange has marked the event as one that lasts all day."""
    is_all_day = properties.word("X-MICROSOFT-CDO-ALLDAYEVENT") == "TRUE"
    is_midnight = isinstance(moment, datetime) and moment.time() == time()
    return own_date(moment) if is_all_day and is_midnight else moment


def _read_end(properties: Properties, clock: Clock, start: Moment) -> Moment | None:
    if found := properties.first("DTEND"):
        end = _as_exchange_means(properties, clock.read("DTEND", found))
    elif found := properties.first("DURATION"):
        end = later(start, read_duration(found))
    else:
        return None
    if isinstance(start, datetime) != isinstance(end, datetime):
        raise Unreadable("DTSTART와 DTEND 가운데 하나에만 시각이 있습니다.")
    if end < start:
        raise Unreadable("끝나는 때가 시작하는 때보다 빠릅니다.")
    return end


def _all_day(start: date, end: Moment | None) -> dict[str, str]:
    """Return the fields of an event between dates: the end is exclusive, but some repeat the start."""
    last = end - DAY if end and end > start else start
    return {
        "event_date": start.isoformat(),
        "end_date": last.isoformat() if last > start else "",
        "start_time": "",
        "end_time": "",
    }


def _timed(start: datetime, end: datetime | None, last_date: date | None) -> dict[str, str]:
    """Return the fields of an event with local times; one without end, or of no length, has no `end_time`.

    `last_date` is that of an event that ends at no time: the midnight after it is for other programs.
    """
    is_for_others = end is None or (end.time() == time() and end.date() - DAY == last_date)
    if last_date and last_date > start.date() and is_for_others:
        last, end_time = last_date, ""
    elif end is None or end <= start:  # less, if it is when the clocks are set back
        last, end_time = start.date(), ""
    else:
        last, end_time = end.date(), f"{end:%H:%M}"
    start_time = f"{start:%H:%M}"
    is_night_after = bool(end_time) and end_time <= start_time and last - start.date() == DAY
    return {
        "event_date": start.date().isoformat(),
        "end_date": "" if last == start.date() or is_night_after else last.isoformat(),
        "start_time": start_time,
        "end_time": end_time,
    }


def _last_date(properties: Properties, clock: Clock) -> date | None:
    """Return the last date of an event that ends at no time, as this server writes it."""
    found = properties.first("X-LAST-DATE")
    return clock.local_date(clock.read("X-LAST-DATE", found)) if found else None


def _time_text(properties: Properties, fields: Mapping[str, str]) -> str:
    """Return the text beside the clock times, unless another program has moved the event since."""
    found = properties.first("X-TIME-TEXT")
    written = write_times(fields["start_time"], fields["end_time"])
    if found is None:
        return written
    text = event_text(found.text)
    says = read_times(text)
    is_other_time = bool(says.start and fields["start_time"]) and says.start != fields["start_time"]
    return written if is_other_time else text
