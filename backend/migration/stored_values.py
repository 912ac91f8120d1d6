"""What of a stored entity stays when the entity of a file replaces it: what the file does not say.

The rest is as the file has it, over whatever users have edited since.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domain import Department, Event
from errors import ValidationFailed
from migration.later_fields import DEPARTMENT_FIELDS, EVENT_FIELDS, value_of, with_values
from migration.source_rows import SourceDepartment, SourceEvent
from services.event_fields import settle

_FIXED_FIELDS = ("event_date", "title", "description", "time", "url")


def with_stored_values(source: SourceDepartment | SourceEvent, stored: Department | Event) -> Any:
    """Return the source's entity at the stored revision, with stored values where the file has none.

    A file of before 1.5 thus leaves places, rules and colours alone. Repeated on the result, it changes
    nothing.
    """
    kept = {name: getattr(stored, name) or getattr(source.entity, name) for name in source.assumed}
    if isinstance(source, SourceEvent) and isinstance(stored, Event):
        kept |= with_values(_later_values(source, stored))
    else:
        kept |= {name: getattr(stored, name) for name in DEPARTMENT_FIELDS - source.given}
    return replace(source.entity, revision=stored.revision, _unknown=stored.unknown, **kept)


def _later_values(source: SourceEvent, stored: Event) -> Mapping[str, Any]:
    """Return the later fields that the file does not have, as they are after its change to the others."""
    absent = [name for name in EVENT_FIELDS if name not in source.given]
    if not absent:
        return {}
    entity = source.entity
    if not source.given and (entity.event_date, entity.time) == (stored.event_date, stored.time):
        return {name: value_of(stored, name) for name in absent}  # spares most rows of a large file the rest
    said = (*_FIXED_FIELDS, *(name for name in EVENT_FIELDS if name in source.given))
    try:
        settled = settle(stored, {name: value_of(entity, name) for name in said})
    except ValidationFailed:
        return {}  # the stored values do not fit what the file says
    return {name: settled.get(name, value_of(stored, name)) for name in absent}
