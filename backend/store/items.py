"""The items of departments and events: keys, queries for them, and the mapping to and from entities.

Items have the typed values (`{"S": ...}`) of boto3's low-level client. Sends nothing.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from domain import Attributes, Department, Event, EventKey

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
_DEPARTMENT_TEXTS = ("id", "name", "description", "created_at", "updated_at")
_EVENT_LOGGED = tuple(name for name in _EVENT_TEXTS if name != "department_id")
_EVENT_ATTRIBUTES = frozenset({*_EVENT_TEXTS, "revision"})
_DEPARTMENT_ATTRIBUTES = frozenset({*_DEPARTMENT_TEXTS, "revision"})


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
    return Event(
        **{n: text(item, n) for n in _EVENT_TEXTS},
        revision=number_of(item, "revision"),
        _unknown=_unknown_attributes(item, _EVENT_ATTRIBUTES),
    )


def department_from_item(item: Item) -> Department:
    """Read a department, as `event_from_item` reads an event."""
    return Department(
        **{n: text(item, n) for n in _DEPARTMENT_TEXTS},
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
        "revision": number(entity.revision),
    }


def entity_to_map(entity: Event | Department) -> dict[str, Any]:
    """Return an entity as a row of its log holds it: without what the row says, and without empty texts."""
    texts = _EVENT_LOGGED if isinstance(entity, Event) else _DEPARTMENT_TEXTS
    logged = {name: string(value) for name in texts if (value := getattr(entity, name))}
    return {**(entity.unknown or {}), **logged}


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
