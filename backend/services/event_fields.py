"""What belongs together in the fields of an event: `time` and the clock times, the dates, rule and exdates.

Pure: it stores nothing and reads nothing.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, timedelta, tzinfo
from typing import Any

from domain import Event
from errors import ValidationFailed
from rrule_text import RuleError, parse_rule
from text_times import read_times, write_times

_BLANK = Event(id="", department_id="", event_date="", title="")


def settle(
    before: Event | None, fields: Mapping[str, Any], zone: Callable[[], tzinfo] = lambda: UTC
) -> dict[str, Any]:
    """Return the fields of a request with those that follow from them; `before` is None for a new event.

    A field that is sent as it stands counts as not sent: clients send back whole what they were given.
    `zone` is asked for the zone of the department only if a new rule comes with the fields. Settling the
    result again changes nothing. Raises `ValidationFailed`.
    """
    edit = _Edit(before or _BLANK, fields)
    if before:
        _settle_dates(edit, before)
    _settle_times(edit)
    if edit.changes("rrule") and edit.value("rrule"):
        edit.put(rrule=_rule(edit, zone()))
    if edit.changes("rrule") and not edit.value("rrule") and not edit.changes("exdates"):
        edit.put(exdates=())
    _check(edit)
    return edit.fields


class _Edit:
    """The fields of an event on their way from one state to the next."""

    def __init__(self, before: Event, fields: Mapping[str, Any]) -> None:
        self.before = before
        self.fields = dict(fields)
        self._changed = {name for name, value in fields.items() if value != getattr(before, name, None)}

    def changes(self, *names: str) -> bool:
        """Tell whether the request itself changes one of these fields."""
        return not self._changed.isdisjoint(names)

    def touches(self, *names: str) -> bool:
        """Tell whether one of these fields will be another than before."""
        return any(self.value(name) != getattr(self.before, name) for name in names)

    def value(self, name: str) -> Any:
        """Return a field as it will be."""
        return self.fields.get(name, getattr(self.before, name))

    def put(self, **values: Any) -> None:
        """Set fields that follow from others; those that are as they should be are left alone."""
        self.fields |= {name: value for name, value in values.items() if value != self.value(name)}


def _settle_dates(edit: _Edit, before: Event) -> None:
    """Move what else has a date when the event is moved."""
    if not edit.changes("event_date") or not (before.end_date or before.exdates):
        return
    by = date.fromisoformat(edit.value("event_date")) - date.fromisoformat(before.event_date)
    if before.end_date and not edit.changes("end_date"):
        edit.put(end_date=_moved(before.end_date, by))
    if not edit.changes("exdates"):
        edit.put(exdates=tuple(_moved(day, by) for day in before.exdates))


def _moved(day: str, by: timedelta) -> str:
    try:
        return (date.fromisoformat(day) + by).isoformat()
    except OverflowError as error:
        message = "end_date나 exdates가 함께 움직일 수 없는 날짜입니다."
        raise ValidationFailed.of("event_date", "invalid_date", message) from error


def _settle_times(edit: _Edit) -> None:
    if edit.changes("start_time") and not edit.value("start_time") and not edit.changes("end_time"):
        edit.put(end_time="")
    if edit.changes("start_time", "end_time"):
        wanted = (edit.value("start_time"), edit.value("end_time"))
        if not edit.changes("time") and read_times(edit.value("time")) != wanted:
            edit.put(time=write_times(*wanted))
    elif edit.changes("time"):
        start, end = read_times(edit.value("time"))
        edit.put(start_time=start, end_time=end)
    if not edit.changes("start_time", "end_time", "end_date") and _ends_before_it_starts(edit):
        edit.put(end_date="")  # `time` of a client that knows no `end_date` lasts into the night


def _rule(edit: _Edit, zone: tzinfo) -> str:
    try:
        return str(parse_rule(edit.value("rrule"), zone, edit.value("start_time")))
    except RuleError as error:
        raise ValidationFailed.of("rrule", "invalid_rrule", str(error)) from error


def _check(edit: _Edit) -> None:
    """Refuse what does not fit together. What was stored before, perhaps by another server, may stay."""
    if edit.touches("start_time", "end_time") and edit.value("end_time") and not edit.value("start_time"):
        raise ValidationFailed.of("end_time", "needs_start_time", "start_time이 있어야 합니다.")
    if edit.touches("event_date", "end_date") and "" < edit.value("end_date") < edit.value("event_date"):
        raise ValidationFailed.of("end_date", "range_reversed", "event_date보다 빠를 수 없습니다.")
    if edit.touches("start_time", "end_time", "end_date") and _ends_before_it_starts(edit):
        message = "end_date가 event_date와 같으면 start_time보다 늦어야 합니다."
        raise ValidationFailed.of("end_time", "range_reversed", message)
    if edit.touches("rrule") and edit.value("rrule") and edit.before.recurring_event_id:
        raise ValidationFailed.of(
            "rrule", "is_occurrence", "반복 일정의 하루를 바꾼 이벤트는 따로 반복할 수 없습니다."
        )
    if edit.touches("rrule", "exdates") and edit.value("exdates") and not edit.value("rrule"):
        raise ValidationFailed.of("exdates", "needs_rrule", "rrule이 있는 이벤트에만 쓸 수 있습니다.")


def _ends_before_it_starts(edit: _Edit) -> bool:
    """Tell whether an event that is said to last one day ends before that day's start."""
    if edit.value("end_date") != edit.value("event_date"):
        return False
    return bool("" < edit.value("end_time") <= edit.value("start_time"))
