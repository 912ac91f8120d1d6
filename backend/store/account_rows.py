"""The items of the `accounts` table, and accounts' changes in the log: mapping to and from records.

Sends nothing. An attribute has the name of its field; a field without one has its default.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from people import RECORDS, AccountsChange, Act, Purpose, Record, Role, Scope
from store.items import Item, number, number_of, string, text

TTL_ATTRIBUTE = "expires_at"

NOT_STORED = ("id", "revision", "unknown")
"""Fields of a record without an attribute of their own; the first two are in the key, or told by the log."""
_KEPT_APART = ("kind", "id", "revision")

_ACTS = {act.value: act for act in Act}
_READERS = {"Scope": Scope, "Purpose": Purpose}
_FIELDS: Mapping[str, list[tuple[str, str]]] = {
    kind: [
        (one.name, str(getattr(one.type, "__name__", one.type)))
        for one in fields(record)
        if one.name not in NOT_STORED
    ]
    for kind, record in RECORDS.items()
}
"""The names of a record's stored fields and their types, by kind."""


def record_key(kind: str, id: str) -> dict[str, Any]:
    return {"kind": string(kind), "id": string(id)}


def record_to_item(record: Record) -> dict[str, Any]:
    return {**record_key(record.kind, record.id), **_attributes(record), "revision": number(record.revision)}


def record_from_item(item: Item) -> Record | None:
    """Read a record; None if this server does not know its kind, or one of its values."""
    record_type = RECORDS.get(text(item, "kind"))
    return None if record_type is None else _read(record_type, item, number_of(item, "revision"))


def records_of_kind(kind: str) -> dict[str, Any]:
    """Query parameters for all records of a kind."""
    return {
        "KeyConditionExpression": "kind = :k",
        "ExpressionAttributeValues": {":k": string(kind)},
    }


def change_to_map(change: AccountsChange) -> dict[str, Any]:
    """Return the attributes of a change in the row of its commit."""
    puts = [
        {**record_key(record.kind, record.id), **(_attributes(record) if record.logged else {})}
        for record in change.puts
    ]
    return {
        "type": string(change.type.value),
        "at": string(change.at),
        "by": string(change.by),
        "by_name": string(change.by_name),
        "write_id": string(change.write_id),
        "about": {"M": {name: string(value) for name, value in change.about.items()}},
        "puts": {"L": [{"M": attributes} for attributes in puts]},
        "removes": {"L": [{"M": record_key(kind, id)} for kind, id in change.removes]},
    }


def change_from_map(attributes: Item, revision: int) -> AccountsChange | None:
    """Read a change; None if this server does not know its kind, or cannot read one of its records."""
    act = _ACTS.get(text(attributes, "type"))
    puts = []
    for stored in attributes.get("puts", {}).get("L", []):
        record_type = RECORDS.get(text(stored["M"], "kind"))
        if record_type is None:
            return None
        if record_type.logged:
            record = _read(record_type, stored["M"], revision)
            if record is None:
                return None
            puts.append(record)
    if act is None:
        return None
    removes = [stored["M"] for stored in attributes.get("removes", {}).get("L", [])]
    about = attributes.get("about", {}).get("M", {})
    return AccountsChange(
        revision=revision,
        type=act,
        puts=tuple(puts),
        removes=tuple((text(key, "kind"), text(key, "id")) for key in removes),
        about={name: text(about, name) for name in about},
        at=text(attributes, "at"),
        by=text(attributes, "by"),
        by_name=text(attributes, "by_name"),
        write_id=text(attributes, "write_id"),
    )


def _attributes(record: Record) -> dict[str, Any]:
    known = {name: _typed(getattr(record, name)) for name, _ in _FIELDS[record.kind]}
    return {**record.unknown, **known}


def _typed(value: Any) -> Mapping[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return number(value)
    if isinstance(value, tuple):
        return {"L": [string(one) for one in value]}
    return string(str(value))


def _read(record_type: type[Record], item: Item, revision: int) -> Record | None:
    stored = dict(_FIELDS[record_type.kind])
    try:
        found = {name: _value(annotation, item[name]) for name, annotation in stored.items() if name in item}
    except ValueError:  # a role, scope or purpose of a newer server: it allows nothing here
        return None
    unknown = {name: item[name] for name in item if name not in stored and name not in _KEPT_APART}
    return record_type(id=text(item, "id"), revision=revision, unknown=unknown, **found)


def _value(annotation: str, stored: Mapping[str, Any]) -> Any:
    if annotation == "bool":
        return bool(stored.get("BOOL"))
    if annotation == "int":
        return int(stored.get("N", "0"))
    if annotation == "Role":
        return Role(int(stored["N"]))
    if annotation.startswith("tuple"):
        return tuple(one["S"] for one in stored.get("L", []))
    return _READERS.get(annotation, str)(stored.get("S", ""))
