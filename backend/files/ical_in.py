"""Reads iCalendar files, of any program and within limits, as entries of a department's calendar."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from files.entries import Entry
from files.ical_components import cut_components
from files.ical_entry import EventReader, ReadEvent
from files.ical_unfolding import unfolded_text
from files.zones_in_files import FileZones
from turns import in_turns

EVENTS_PER_TURN = 5
"""They take 0.3 ms; hostile ones a hundred."""

_OTHERS = {"VTODO": "할 일", "VJOURNAL": "일지"}
_DUPLICATE = "같은 UID의 같거나 더 새로운 항목이 파일에 또 있습니다."


def read_calendar(content: bytes, zone: ZoneInfo, most: int | None) -> list[Entry]:
    """Return the entries of a file, with times in the zone of the department.

    What cannot be read of an entry is its reason. Lets others run meanwhile. Raises `FileRefused`, and
    `TooManyEntries` for more than `most` events.
    """
    components = cut_components(unfolded_text(content), most)
    reader = EventReader(zone, FileZones(components.zones))
    read = [reader.read(block) for block in in_turns(components.events, EVENTS_PER_TURN)]
    others = [
        Entry(fields={"title": f"{name} {count:,}개"}, reason=f"{name}({kind})은(는) 가져오지 않습니다.")
        for kind, name in _OTHERS.items()
        if (count := components.others[kind])
    ]
    return [*_without_duplicates(read), *others]


def _without_duplicates(read: Sequence[ReadEvent]) -> Iterable[Entry]:
    """Yield the entries, with a reason for those of which the file has a newer version."""
    newest: dict[tuple[str, str], int] = {}
    for index, (entry, version, competes) in enumerate(in_turns(read)):
        key = entry.uid, entry.original_date
        if competes and (key not in newest or version > read[newest[key]].version):
            newest[key] = index
    for index, (entry, _, competes) in enumerate(in_turns(read)):
        if competes and newest[entry.uid, entry.original_date] != index:
            entry = replace(entry, reason=_DUPLICATE, cancelled=False)
        yield entry
