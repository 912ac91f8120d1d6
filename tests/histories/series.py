"""The series in a history: what users ask for, and how it is judged."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from domain import DELETIONS, Change, Event

RULES = ("FREQ=DAILY", "FREQ=DAILY;COUNT=6", "FREQ=DAILY;INTERVAL=2")
FOLLOWING = 0.2
"""How many requests are about all that follows, too."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks of a series: to change or remove an occurrence, or all from it on."""

    series: str
    day: str
    following: bool
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass
class SeriesRecord:
    """What was acknowledged of the series of a history."""

    known: list[str] = field(default_factory=list)
    """The ids of all series."""
    changed: dict[int, Wish] = field(default_factory=dict)
    """The wishes that were granted by an event, by its revision."""
    removed: list[Wish] = field(default_factory=list)


def new_series(rng: random.Random) -> dict[str, Any]:
    """Return the fields of a new series."""
    return {
        "title": str(rng.random()),
        "event_date": f"2024-01-{rng.randint(10, 12)}",
        "rrule": rng.choice(RULES),
    }


def wish(rng: random.Random, known: Sequence[str]) -> Wish:
    """Choose a series and one of its dates, which may be no occurrence."""
    fields = {"title": str(rng.random())}  # so that each title is created once
    if rng.random() < 0.3:
        fields["description"] = str(rng.random())
    return Wish(rng.choice(known), f"2024-01-{rng.randint(10, 18)}", rng.random() < FOLLOWING, fields)


def faults_of_state(events: Mapping[str, Event]) -> list[str]:
    """Return what is wrong with the replacements in a department."""
    replacements = [event for event in events.values() if event.recurring_event_id]
    faults = [
        f"a replacement without its series: {event.id}"
        for event in replacements
        if (series := events.get(event.recurring_event_id)) is None or not series.rrule
    ]
    replaced = {(event.recurring_event_id, event.original_date) for event in replacements}
    if len(replaced) < len(replacements):
        faults.append("an occurrence is replaced twice")
    return faults


def is_restored(event: Event, before: Event) -> bool:
    """Tell whether an event was restored as it was; a replacement may have become an event of its own."""
    alone = replace(before, recurring_event_id="", original_date="", _imported_uid="")
    stamps = {"revision": event.revision, "last_modified": event.last_modified}
    return event in (replace(before, **stamps), replace(alone, **stamps))


def faults_of_wishes(
    record: SeriesRecord, states: Sequence[Mapping[str, Event]], changes: Sequence[Change]
) -> Iterable[str]:
    """Yield what was acknowledged and is not in the log."""
    for revision, wanted in record.changed.items():
        event = changes[revision - 1].entity
        assert isinstance(event, Event)
        if any(getattr(event, name) != value for name, value in wanted.fields.items()):
            yield f"the change of an occurrence at revision {revision} is not in the log"
        if wanted.following:
            if event.id != wanted.series and event.event_date != wanted.day:
                yield f"the rest of a series at revision {revision} begins on another day"
        elif (event.recurring_event_id, event.original_date) != (wanted.series, wanted.day):
            yield f"the replacement at revision {revision} is of another occurrence"
        elif [change.entity.id for change in changes[revision : revision + 1]] != [wanted.series]:
            yield f"the replacement at revision {revision} leaves the series untouched"
        before = states[revision - 1].get(event.id)
        if before and event != replace(
            before, **wanted.fields, revision=revision, last_modified=event.last_modified
        ):
            yield f"the change of an occurrence at revision {revision} undid another"
    for wanted in record.removed:
        if not any(_removes(change, wanted) for change in changes):
            yield f"the removal of {wanted.day} was lost"


def _removes(change: Change, wanted: Wish) -> bool:
    event = change.entity
    if not isinstance(event, Event) or event.id != wanted.series:
        return False
    if change.type in DELETIONS:
        return True
    return "UNTIL" in event.rrule if wanted.following else wanted.day in event.exdates
