"""The items of departments and events: keys, queries for them, and the mapping to and from entities.

Items have the typed values (`{"S": ...}`) of boto3's low-level client. Sends nothing.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, TypeAlias

from domain import DEFAULT_TIMEZONE, Attributes, Department, Event, EventKey
from text_times import read_times

Item: TypeAlias = Mapping[str, Mapping[str, Any]]
"""A DynamoDB record: attribute names and typed values."""

NAME_INDEX = "name-index"
DATE_INDEX = "department-date-index"

_EVENT_TEXTS = (
    "id",
    "department_id",
    "event_date",
    "title",
    "description",
    "time",
    "url",
    "created_at",
    "last_modified",
)
_EVENT_OPTIONAL = ("location", "category", "rrule", "recurring_event_id", "original_date")
"""Texts that are stored only if there are any."""
_DEPARTMENT_TEXTS = ("id", "name", "description", "created_at", "updated_at")
_DEPARTMENT_OPTIONAL = ("timezone", "color")
_EVENT_LOGGED = tuple(name for name in _EVENT_TEXTS if name != "department_id")
_EVENT_BASIC = frozenset({*_EVENT_TEXTS, "revision"})
_EVENT_ATTRIBUTES = _EVENT_BASIC | {
    *_EVENT_OPTIONAL,
    "days",
    "timed_as",
    "start_time",
    "end_time",
    "exdates",
    "ical_uid",
}
_DEPARTMENT_ATTRIBUTES = frozenset({*_DEPARTMENT_TEXTS, *_DEPARTMENT_OPTIONAL, "revision"})


def text(item: Item, name: str) -> str:
    value: str = item.get(name, {}).get("S", "")
    return value


def number_of(item: Item, name: str) -> int:
    return int(item.get(name, {}).get("N", "0"))


def string(value: str) -> dict[str, str]:
    return {"S": value}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def event_from_item(item: Item) -> Event:
    """Read an event; what older servers did not write is `""`, a missing revision is 0."""
    texts: dict[str, Any] = {n: text(item, n) for n in _EVENT_TEXTS}
    start, end = read_times(texts["time"])
    revision = number_of(item, "revision")
    if item.keys() <= _EVENT_BASIC:
        return Event(**texts, start_time=start, end_time=end, revision=revision)
    # An older server may have changed `time` or `event_date` since, and left these attributes as they were.
    if "timed_as" in item and text(item, "timed_as") == texts["time"]:
        start, end = text(item, "start_time"), text(item, "end_time")
    has_end = "days" in item and not ("" < end <= start and number_of(item, "days") == 0)
    return Event(
        **texts,
        start_time=start,
        end_time=end,
        end_date=_days_after(texts["event_date"], number_of(item, "days")) if has_end else "",
        **{n: text(item, n) for n in _EVENT_OPTIONAL},
        exdates=tuple(text(item, "exdates").split()),
        revision=revision,
        _imported_uid=text(item, "ical_uid"),
        _unknown=_unknown_attributes(item, _EVENT_ATTRIBUTES),
    )


def _days_after(iso_date: str, days: int) -> str:
    """Return the date so many days later; empty if there is no such date."""
    try:
        return (date.fromisoformat(iso_date) + timedelta(days)).isoformat()
    except (ValueError, OverflowError):
        return ""


def department_from_item(item: Item) -> Department:
    """Read a department, as `event_from_item` reads an event."""
    return Department(
        **{n: text(item, n) for n in _DEPARTMENT_TEXTS},
        timezone=text(item, "timezone") or DEFAULT_TIMEZONE,
        color=text(item, "color"),
        revision=number_of(item, "revision"),
        _unknown=_unknown_attributes(item, _DEPARTMENT_ATTRIBUTES),
    )


def _unknown_attributes(item: Item, known: frozenset[str]) -> Attributes:
    unknown = item.keys() - known
    return {name: item[name] for name in unknown} if unknown else None


def entity_to_item(entity: Event | Department) -> dict[str, Any]:
    texts = _EVENT_TEXTS if isinstance(entity, Event) else _DEPARTMENT_TEXTS
    return {
        **(entity.unknown or {}),
        **{name: string(getattr(entity, name)) for name in texts},
        **_optional_attributes(entity),
        "revision": number(entity.revision),
    }


def entity_to_map(entity: Event | Department) -> dict[str, Any]:
    """Return an entity as a row of its log holds it: without what the row says, and without empty texts."""
    texts = _EVENT_LOGGED if isinstance(entity, Event) else _DEPARTMENT_TEXTS
    logged = {name: string(value) for name in texts if (value := getattr(entity, name))}
    return {**(entity.unknown or {}), **logged, **_optional_attributes(entity)}


def _optional_attributes(entity: Event | Department) -> dict[str, Any]:
    """Return the attributes that are stored only where they say something.

    They stay right when an older server, which does not know them, changes `event_date` or `time`: the last
    day is stored as a number of days, and clock times with the text beside which they were set.
    """
    if isinstance(entity, Department):
        zone = "" if entity.timezone == DEFAULT_TIMEZONE else entity.timezone
        return {n: string(v) for n, v in (("timezone", zone), ("color", entity.color)) if v}
    attributes: dict[str, Any] = {n: string(v) for n in _EVENT_OPTIONAL if (v := getattr(entity, n))}
    if entity.end_date:
        span = date.fromisoformat(entity.end_date) - date.fromisoformat(entity.event_date)
        attributes["days"] = number(span.days)
    if (entity.start_time, entity.end_time) != read_times(entity.time):
        times = {"timed_as": entity.time, "start_time": entity.start_time, "end_time": entity.end_time}
        attributes |= {name: string(value) for name, value in times.items()}
    if entity.exdates:
        attributes["exdates"] = string(" ".join(entity.exdates))
    if entity.imported_uid:
        attributes["ical_uid"] = string(entity.imported_uid)
    return attributes


def event_key(key: EventKey) -> dict[str, Any]:
    return {"id": string(key.id), "department_id": string(key.department_id)}


def department_key(department_id: str) -> dict[str, Any]:
    return {"id": string(department_id)}


def events_of_department(department_id: str, first: str | None, last: str | None) -> dict[str, Any]:
    """Query parameters for a department's events in the date index, within inclusive ISO dates."""
    condition, values = "department_id = :d", {":d": string(department_id)}
    if first is not None or last is not None:
        condition += " AND event_date BETWEEN :first AND :last"
        values |= {":first": string(first or "0000-00-00"), ":last": string(last or "9999-99-99")}
    return {
        "IndexName": DATE_INDEX,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
    }


def event_with_key(key: EventKey) -> dict[str, Any]:
    """Query parameters for one event; the server's policy allows queries of events, not GetItem."""
    return {
        "KeyConditionExpression": "id = :i AND department_id = :d",
        "ExpressionAttributeValues": {":i": string(key.id), ":d": string(key.department_id)},
    }


def events_with_id(event_id: str) -> dict[str, Any]:
    """Query parameters for the events with an id, in any department."""
    return {
        "KeyConditionExpression": "id = :i",
        "ExpressionAttributeValues": {":i": string(event_id)},
    }


EVENT_KEYS: Mapping[str, Any] = {"ProjectionExpression": "id, department_id"}
"""Query parameter that fetches only what `event_key_from_item` reads."""
EVENT_REVISIONS: Mapping[str, Any] = {"ProjectionExpression": "id, revision"}
"""Query parameter that fetches only what `event_revision` reads."""


def event_key_from_item(item: Item) -> EventKey:
    return EventKey(text(item, "id"), text(item, "department_id"))


def event_revision(item: Item) -> tuple[str, int]:
    """Read an event's id and revision."""
    return text(item, "id"), number_of(item, "revision")


def unchanged_condition(revision: int) -> tuple[str, dict[str, Any]]:
    """Return the condition that an item has the revision that its writer saw, and the condition's values.

    Items of older servers have no revision, which is read as 0.
    """
    if revision == 0:
        return "attribute_exists(id) AND (attribute_not_exists(revision) OR revision = :seen)", {
            ":seen": number(0)
        }
    return "revision = :seen", {":seen": number(revision)}
