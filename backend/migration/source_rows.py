"""Turns the rows of the old files into entities: field names, ids, departments, dates, limits.

A row that breaks a rule is refused with a Korean reason. Reads no file and no table.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from domain import LATER_DEFAULTS, Department, Event, timestamp
from errors import ValidationFailed
from event_schemas import EventNew
from migration import later_fields
from migration.left_out import RowRefused
from migration.source_dates import DateReading, names_a_day, read_date, read_timestamp
from migration.source_files import Row
from migration.source_ids import content_ids, own_event_id, stable_id
from migration.text_repair import repair_text
from schemas import DepartmentNew
from services.event_fields import settle
from text_order import fold_text
from text_times import time_order

UNKNOWN_AT = "1970-01-01T00:00:00.000Z"
"""The timestamp of a row that has none. It is fixed so that every run makes the same item."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_EVENT_ALIASES = {
    "event_id": "id",
    "department": "department_id",
    "department_name": "department_id",
    "date": "event_date",
    "name": "title",
    "event_time": "time",
    "updated_at": "last_modified",
    "start_date": "event_date",
    "start": "start_time",
    "end": "end_time",
    "place": "location",
    "venue": "location",
    "recurrence_rule": "rrule",
}
_DEPARTMENT_ALIASES = {"department_id": "id", "department_name": "name", "last_modified": "updated_at"}
_EVENT_FIELDS = frozenset(
    {"id", "department_id", "created_at", "last_modified", *EventNew.model_fields, *later_fields.EVENT_FIELDS}
)
_DEPARTMENT_FIELDS = frozenset({"id", "created_at", "updated_at", *DepartmentNew.model_fields})


@dataclass(slots=True)
class Remarks:
    """What the operator is told besides rows left out: fields left behind, text repaired, dates converted.

    `left_behind` counts fields and values that are not migrated, by their Korean description; `repairs` the
    repaired texts. `clocks` counts the times of day that were copied from a date into `time`,
    `clashing_clocks` those that were not, because `time` has another content. `moved_days` counts the dates
    that fall on another day in the calendar's time zone than in the zone in which they were written.
    `on_repair` is called with location, text before and text after.
    """

    left_behind: Counter[str] = field(default_factory=Counter)
    repairs: int = 0
    clocks: int = 0
    clashing_clocks: int = 0
    moved_days: int = 0
    on_repair: Callable[[str, str, str], None] = lambda _location, _before, _after: None


@dataclass(frozen=True, slots=True)
class SourceDepartment:
    """A department as its file has it.

    `references` are the ids under which rows of events may name it; `assumed` names the timestamps that the
    file does not have, `given` the fields of `later_fields` that it has.
    """

    entity: Department
    references: tuple[str, ...]
    assumed: frozenset[str]
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """An event as its file has it; `assumed` and `given` as in `SourceDepartment`.

    The migration derives an id for a row that has none. Earlier versions read no later fields, the first
    neither clocks nor time zones, and so derived another id: `former_id` is that id, `""` if it is the same.
    """

    entity: Event
    assumed: frozenset[str]
    former_id: str = ""
    given: frozenset[str] = frozenset()


class KnownDepartments:
    """Finds the department that the row of an event names: by its id, its former integer id, or its name."""

    def __init__(self) -> None:
        self._by_reference: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        self._zones: dict[str, str] = {}
        self._refused: set[str] = set()

    def add(self, department: Department, references: tuple[str, ...] = ()) -> None:
        self._by_reference.setdefault(department.id, department.id)
        for reference in references:
            self._by_reference.setdefault(reference, department.id)
        self._by_name.setdefault(fold_text(department.name), department.id)
        self._zones.setdefault(department.id, department.timezone)

    def refuse(self, references: tuple[str, ...]) -> None:
        self._refused.update(references)

    def with_name(self, name: str) -> str | None:
        return self._by_name.get(fold_text(name))

    def zone(self, department_id: str) -> ZoneInfo:
        return ZoneInfo(self._zones[department_id])

    def find(self, reference: str) -> str:
        """Return the id of the department that a reference names. Raises `RowRefused`."""
        derived_id = stable_id("department", reference)
        found = self._by_reference.get(reference) or self._by_reference.get(derived_id)
        if found := found or self.with_name(reference):
            return found
        if reference in self._refused:
            raise RowRefused(f"부서 '{reference}'의 행을 옮기지 못해 이 이벤트도 옮기지 못했습니다.")
        raise RowRefused(f"부서 '{reference}'을(를) 찾을 수 없습니다.")


class RowReader:
    """Reads rows of either file, dates in the calendar's time zone; notes repairs and omissions in `remarks`.

    With `repair=False` no text is repaired.
    """

    def __init__(self, remarks: Remarks, zone: tzinfo, *, repair: bool = True) -> None:
        self._remarks = remarks
        self._zone = zone
        self._repair = repair
        self._keys: dict[str, str] = {}

    def department(self, row: Row, departments: KnownDepartments) -> SourceDepartment:
        """Read a department. Without an id, it gets the id of the department with its name, or a derived one.

        Raises `RowRefused`.
        """
        fields, left = self._fields(row, _DEPARTMENT_FIELDS, _DEPARTMENT_ALIASES)
        key = self._key(row, row.keys[-1]) if row.keys else ""
        if key and "name" not in fields:
            fields["name"] = key
        elif key:
            fields.setdefault("id", key)
        moments, assumed = self._timestamps(fields, "created_at", "updated_at", left, "부서")
        own_id = _reference(fields.pop("id", None), "id")
        left += _take_unusable(DepartmentNew, fields, later_fields.DEPARTMENT_FIELDS)
        checked = _checked(DepartmentNew, fields)
        name = checked["name"]
        if own_id:
            department_id = stable_id("department", own_id)
        else:
            department_id = departments.with_name(name) or stable_id("department-name", fold_text(name))
        self._leave_behind("부서", left)
        entity = Department(id=department_id, **checked, **moments)
        given = later_fields.DEPARTMENT_FIELDS & fields.keys()
        return SourceDepartment(entity, (own_id,) if own_id else (), assumed, given)

    def event(self, row: Row, departments: KnownDepartments) -> SourceEvent:
        """Read an event of one of these departments. Raises `RowRefused`."""
        fields, left = self._fields(row, _EVENT_FIELDS, _EVENT_ALIASES)
        for key in reversed(row.keys):  # the row's own field wins, then the nearest key
            key = self._key(row, key)
            if names_a_day(key):
                fields.setdefault("event_date", key)
            else:
                fields.setdefault("department_id", key)
        reference = _reference(fields.pop("department_id", None), "department_id")
        if not reference:
            raise RowRefused("부서가 적혀 있지 않습니다.")
        later_fields.split_moments(fields, self._zone)
        reading = self._read_date(fields)
        later_fields.read_later_fields(fields, reading, self._zone)
        moments, assumed = self._timestamps(fields, "created_at", "last_modified", left, "이벤트")
        own_id = _reference(fields.pop("id", None), "id")
        given = _given(fields)
        series = _reference(fields.pop("recurring_event_id", None), "recurring_event_id")
        occurrence = {
            "recurring_event_id": series,
            "original_date": later_fields.take_original_date(fields, series, self._zone),
            "ical_uid": later_fields.take_ical_uid(fields),
        }
        unusable = _take_unusable(EventNew, fields, frozenset(later_fields.EVENT_FIELDS))
        checked = _checked(EventNew, fields)
        department_id = departments.find(reference)
        event_id, former_id = own_id and own_event_id(department_id, own_id), ""
        if not event_id:
            content = checked | {name: value for name, value in occurrence.items() if value}
            event_id, former_id = content_ids(department_id, content, reading, moments)
        clock = self._apply_clock(reading, checked)
        settled = _settled(checked, lambda: departments.zone(department_id), unusable)
        if not clock and given.issuperset(later_fields.EVENT_FIELDS):
            # An export, in which `time` need not say what the clock times say.
            settled |= {name: checked[name] for name in ("time", *later_fields.CLOCKS)}
        if series:
            occurrence["recurring_event_id"] = own_event_id(department_id, series)
        self._leave_behind("이벤트", left + unusable)
        later = later_fields.with_values(settled | occurrence)
        event = Event(id=event_id, department_id=department_id, **later, **moments)
        return SourceEvent(event, assumed, former_id, given.difference(unusable))

    def _read_date(self, fields: dict[str, Any]) -> DateReading:
        """Read `event_date` and replace it by its day. Raises `RowRefused`."""
        written = fields.get("event_date", "")
        if isinstance(written, bool) or not isinstance(written, str | int | float):
            raise RowRefused("event_date: 문자열이나 숫자여야 합니다.")
        if isinstance(written, str) and not written.strip():
            raise RowRefused("event_date: 필수 항목입니다.")
        reading = read_date(written, self._zone)
        if reading is None:
            raise RowRefused(f"날짜 '{written}'은(는) 없는 날짜나 시각이거나 읽을 수 없습니다.")
        fields["event_date"] = reading.date
        return reading

    def _apply_clock(self, reading: DateReading, checked: dict[str, Any]) -> str:
        """Copy a date's clock into `time` if the row has no time; otherwise count a clash if the two differ.

        Return the date's clock.
        """
        if reading.written_date and reading.written_date != reading.date:
            self._remarks.moved_days += 1
        written = checked["time"] or checked["start_time"]
        if reading.clock and not written:
            checked["time"] = reading.clock
            self._remarks.clocks += 1
        elif reading.clock and time_order(written)[0] != time_order(reading.clock)[0]:
            self._remarks.clashing_clocks += 1
        return reading.clock

    def _fields(
        self, row: Row, known: frozenset[str], aliases: Mapping[str, str]
    ) -> tuple[dict[str, Any], list[str]]:
        """Return the known fields under their present names, and the names of all other fields."""
        if not isinstance(row.content, dict):
            raise RowRefused("JSON 객체가 아닙니다.")
        fields: dict[str, Any] = {}
        aliased: list[tuple[str, str, Any]] = []
        left: list[str] = []
        for written, value in row.content.items():
            if value is None:
                continue
            if isinstance(value, str):
                value = self._repaired(f"{row.location}.{written}", value)
            name = _snake_case(written)
            if name in known and name not in fields:
                fields[name] = value
            elif name in aliases:
                aliased.append((written, aliases[name], value))
            else:
                left.append(written)
        for written, name, value in aliased:
            if fields.setdefault(name, value) is not value:
                left.append(written)
        return fields, left

    def _key(self, row: Row, key: str) -> str:
        """Repair an object key that encloses rows; report the repair once for all of them."""
        if key not in self._keys:
            self._keys[key] = self._repaired(row.location, key)
        return self._keys[key]

    def _repaired(self, location: str, text: str) -> str:
        repaired = repair_text(text) if self._repair else text
        if repaired != text:
            self._remarks.repairs += 1
            self._remarks.on_repair(location, text, repaired)
        return repaired

    def _timestamps(
        self, fields: dict[str, Any], created: str, changed: str, left: list[str], kind: str
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """Remove both timestamps from the fields and read them; a missing one gets the value of the other.

        Returns them by name, and the names of those that the file does not have.
        """
        found: dict[str, str] = {}
        for name in (created, changed):
            value = fields.pop(name, None)
            if value is None or value == "":
                continue
            readable = isinstance(value, str | int | float) and not isinstance(value, bool)
            moment = read_timestamp(value) if readable else None
            if moment is None:
                left.append(f"{name}: 읽을 수 없는 시각")
            else:
                found[name] = timestamp(moment)
        first = found.get(created) or found.get(changed) or UNKNOWN_AT
        moments: dict[str, Any] = {created: first, changed: found.get(changed, first)}
        return moments, frozenset(moments.keys() - found.keys())

    def _leave_behind(self, kind: str, names: list[str]) -> None:
        for name in names:
            self._remarks.left_behind[f"{kind} '{name}'"] += 1


@lru_cache(maxsize=1000)
def _snake_case(written: str) -> str:
    return _HUMP.sub("_", written).lower()


def _reference(value: Any, name: str) -> str:
    """Return an id or a department's name as text, `""` when there is none; 3, 3.0 and "3" are the same."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowRefused(f"{name}: 문자열이나 정수여야 합니다.")
    return str(value).strip()


def _as_text(value: Any) -> Any:
    """Return a number as text, as old programs stored titles such as 119; any other value unchanged."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _checked(shape: type[DepartmentNew] | type[EventNew], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields against the limits of the server's API. Raises `RowRefused`."""
    try:
        checked = shape.model_validate({name: _as_text(value) for name, value in fields.items()})
    except ValidationFailed as error:
        raise _refusal(error) from error
    return checked.model_dump()


def _settled(checked: dict[str, Any], zone: Callable[[], tzinfo], left: list[str]) -> dict[str, Any]:
    """Return the fields of an event with those that follow from them; those that do not fit go to `left`."""
    try:
        return settle(None, checked, zone)
    except ValidationFailed as error:
        (detail,) = error.details  # of a later field: the others always fit together
        left.append(detail["field"])
        checked[detail["field"]] = LATER_DEFAULTS[detail["field"]]
        return _settled(checked, zone, left)


def _given(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the later fields of a row; one clock stands for both."""
    given = set(later_fields.EVENT_FIELDS) & fields.keys()
    return frozenset(given if given.isdisjoint(later_fields.CLOCKS) else given | later_fields.CLOCKS)


def _take_unusable(
    shape: type[DepartmentNew] | type[EventNew], fields: dict[str, Any], later: frozenset[str]
) -> list[str]:
    """Remove the later fields that break a rule, and return their names.

    Other programs may have meant something else by them, and earlier versions moved these rows without them.
    """
    try:
        shape.model_validate({name: _as_text(value) for name, value in fields.items()})
    except ValidationFailed as error:
        broken = {str(detail["field"]).partition(".")[0] for detail in error.details} & later
        for name in broken:
            del fields[name]
        return sorted(broken)
    return []


def _refusal(error: ValidationFailed) -> RowRefused:
    return RowRefused(" ".join(f"{detail['field']}: {detail['message']}" for detail in error.details))
