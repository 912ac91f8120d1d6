"""Reads the fields that calendars before 1.5 do not have, in the forms in which other programs wrote them.

What cannot be read stays as it is: the shapes of the API refuse it. Reads no file and no table.
"""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from domain import UID_MAX, Event
from migration.left_out import RowRefused
from migration.source_dates import DateReading, names_a_day, read_date
from text_times import read_times

DEPARTMENT_FIELDS = frozenset({"timezone", "color"})
EVENT_FIELDS = (
    "end_date",
    "start_time",
    "end_time",
    "location",
    "category",
    "rrule",
    "exdates",
    "recurring_event_id",
    "original_date",
    "ical_uid",
)
CLOCKS = frozenset({"start_time", "end_time"})

_DATES_OF_CLOCKS = (("start_time", "event_date"), ("end_time", "end_date"))


def value_of(event: Event, name: str) -> Any:
    """Return one of the `EVENT_FIELDS`."""
    return event.imported_uid if name == "ical_uid" else getattr(event, name)


def with_values(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of an event under the names of the arguments of `Event`."""
    arguments = {"ical_uid": "_imported_uid"}
    return {arguments.get(name, name): value for name, value in event.items()}


def split_moments(fields: dict[str, Any], zone: tzinfo) -> None:
    """Take date and clock apart where a program wrote both into `start_time` or `end_time`."""
    for clock, day in _DATES_OF_CLOCKS:
        written = fields.get(clock)
        reading = read_date(written, zone) if isinstance(written, str) and names_a_day(written) else None
        if reading:
            fields[clock] = reading.clock
            fields.setdefault(day, written if day == "event_date" else reading.date)


def read_later_fields(fields: dict[str, Any], begin: DateReading, zone: tzinfo) -> None:
    """Replace dates and clocks by the forms of the API; `begin` is what `event_date` says."""
    _read_end(fields, begin, zone)
    for clock, _ in _DATES_OF_CLOCKS:
        start, end = read_times(fields[clock]) if isinstance(fields.get(clock), str) else ("", "")
        if start and not end:
            fields[clock] = start
    if isinstance(days := fields.get("exdates"), list):
        fields["exdates"] = [_day(day, zone) for day in days]
    elif days == "":
        fields["exdates"] = []


def _read_end(fields: dict[str, Any], begin: DateReading, zone: tzinfo) -> None:
    """Read `end_date`, and both clocks from the dates if no other field has them."""
    written = fields.get("end_date")
    reading = _reading(written, zone)
    if reading is None:
        return
    fields["end_date"] = reading.date
    if begin.clock and reading.clock and not any(map(fields.get, ("time", *CLOCKS))):
        fields |= {"start_time": begin.clock, "end_time": reading.clock}


def _reading(written: Any, zone: tzinfo) -> DateReading | None:
    readable = isinstance(written, str | int | float) and not isinstance(written, bool)
    return read_date(written, zone) if readable else None


def _day(written: Any, zone: tzinfo) -> Any:
    reading = _reading(written, zone)
    return reading.date if reading else written


def take_original_date(fields: dict[str, Any], reference: str, zone: tzinfo) -> str:
    """Remove `original_date` from the fields and read it; `reference` names the series, `""` if none does.

    Raises `RowRefused`.
    """
    written = fields.pop("original_date", "")
    reading = _reading(written, zone)
    if bool(reference) != (written != ""):
        raise RowRefused("recurring_event_id와 original_date는 함께 있어야 합니다.")
    if reference and reading is None:
        raise RowRefused(f"original_date: 날짜 '{written}'은(는) 없는 날짜이거나 읽을 수 없습니다.")
    if reference and fields.get("rrule"):
        raise RowRefused("rrule: 반복 일정의 하루를 바꾼 이벤트는 따로 반복할 수 없습니다.")
    return reading.date if reading else ""


def take_ical_uid(fields: dict[str, Any]) -> str:
    """Remove the UID of an imported event from the fields and return it. Raises `RowRefused`."""
    uid = fields.pop("ical_uid", "")
    if not isinstance(uid, str) or len(uid) > UID_MAX:
        raise RowRefused(f"ical_uid: {UID_MAX}자 이하의 문자열이어야 합니다.")
    return uid
