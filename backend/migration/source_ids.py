"""The ids of departments and events of the old files: their own, or derived from what the files say."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from domain import lasting_form
from migration.later_fields import EVENT_FIELDS
from migration.source_dates import DateReading

NAMESPACE = uuid.UUID("6f1c64f0-2f0e-5d1b-9c52-0d7d3a4f8e21")
"""The namespace of every id that the migration derives. It must never change: every run has to derive the
same ids."""

_UUID = re.compile(
    r"(?:urn:uuid:)?[{(]?[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}[)}]?",
    re.ASCII | re.IGNORECASE,
)


def stable_id(kind: str, text: str) -> str:
    """Return a UUID in canonical form; for any other text return a UUIDv5 derived from kind and text."""
    if _UUID.fullmatch(text):
        return str(uuid.UUID(text.strip("()")))
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{text}"))


def own_event_id(department_id: str, own_id: str) -> str:
    """Return the id of an event that has one in its file; two departments may both have an event 1."""
    return stable_id("event", own_id if _UUID.fullmatch(own_id) else f"{department_id}:{own_id}")


def _content_id(department_id: str, fields: Mapping[str, Any], moments: Mapping[str, Any]) -> str:
    """Derive the id of an event that has none; equal content in any order of fields gives the same id."""
    return stable_id("event-content", repr((department_id, sorted(lasting_form(fields).items()), moments)))


def content_ids(
    department_id: str, fields: dict[str, Any], reading: DateReading, moments: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the id of an event that has none, and the one that earlier versions derived if it is another."""
    event_id = _content_id(department_id, fields | {"event_date": reading.written}, moments)
    fixed = {name: value for name, value in fields.items() if name not in EVENT_FIELDS}
    if len(lasting_form(fields)) > len(fixed):
        return event_id, _content_id(department_id, fixed | {"event_date": reading.written}, moments)
    former_id = _content_id(department_id, fields | {"event_date": reading.written_date}, moments)
    return event_id, former_id if reading.written_date and former_id != event_id else ""
