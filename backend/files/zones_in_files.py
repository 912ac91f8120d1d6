"""The time zones that an iCalendar file names: IANA's names, those of Windows, Outlook and others, offsets.

A zone goes by its name. Of its VTIMEZONE only an offset that never changes is read: rules would have to be
followed through all years, and hostile files hold thousands.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from files.ical_properties import read_properties
from turns import in_turns

NAME_MAX = 200

_WINDOWS = {name.lower(): zone for name, zone in WINDOWS_TO_OLSON.items()}
_OTHERS = {
    "대한민국 표준시": "Asia/Seoul",
    "서울": "Asia/Seoul",
    "kst": "Asia/Seoul",
    "coordinated universal time": "UTC",
}
_OFFSET = re.compile(r"(?:UTC|GMT)([+-])([0-9]{1,2})(?::?([0-9]{2}))?", re.IGNORECASE)
_DISPLAY_NAME = re.compile(r"\((?:UTC|GMT)[^)]*\)\s*(.+)", re.IGNORECASE)
"""As Outlook shows zones: `(UTC+09:00) Seoul`, `(UTC-05:00) Eastern Time (US & Canada)`."""
_COUNTRIES = " (us & canada)"
_OF_BLOCK = frozenset({"TZID", "X-LIC-LOCATION"})
_OFFSET_TO = re.compile(r"^TZOFFSETTO[^:\n]*:([+-])([0-9]{2})([0-9]{2})", re.MULTILINE | re.IGNORECASE)


class FileZones:
    """The zones of one file, given the texts of its VTIMEZONE components."""

    def __init__(self, blocks: Sequence[str]) -> None:
        self._blocks = blocks
        self._own: Mapping[str, str] | None = None
        self._found: dict[str, tzinfo | None] = {}

    def find(self, name: str) -> tzinfo | None:
        """Return the zone that a TZID or X-WR-TIMEZONE names; None for an unknown one."""
        name = name.strip().strip('"').strip()
        if name not in self._found:
            self._found[name] = find_zone(name) or self._find_own(name)
        return self._found[name]

    def _find_own(self, name: str) -> tzinfo | None:
        if self._own is None:
            self._own = dict(self._named_blocks())
        block = self._own.get(name)
        if block is None:
            return None
        place = read_properties(block, _OF_BLOCK).first("X-LIC-LOCATION")
        return (find_zone(place.value.strip()) if place else None) or _constant_offset(block)

    def _named_blocks(self) -> Iterator[tuple[str, str]]:
        for block in in_turns(self._blocks):
            name = read_properties(block, _OF_BLOCK).first("TZID")
            if name:
                yield name.value.strip(), block


@lru_cache(1_024)
def find_zone(name: str) -> tzinfo | None:
    """Return the zone of a name, in upper or lower case; None for one that says too little."""
    if len(name) > NAME_MAX:
        return None
    name = name.lower()
    zone = _known_name(name)
    if zone:
        return ZoneInfo(zone)
    if offset := _OFFSET.fullmatch(name):
        return _offset_zone(offset)
    if shown := _DISPLAY_NAME.fullmatch(name):
        zone = _shown_zone(shown[1])
        return ZoneInfo(zone) if zone else None
    # `/mozilla.org/20050126_1/Asia/Seoul`: others put their own name before that of the zone.
    parts = name.split("/")
    tails = ("/".join(parts[-length:]) for length in (3, 2, 1) if length < len(parts))
    zone = next((_iana_names()[tail] for tail in tails if tail in _iana_names()), None)
    return ZoneInfo(zone) if zone else None


def _known_name(name: str) -> str | None:
    return _iana_names().get(name) or _WINDOWS.get(name) or _OTHERS.get(name)


def _shown_zone(places: str) -> str | None:
    """Return the zone of the places that a display name lists; they all have the same time."""
    if places.endswith(_COUNTRIES):
        return _WINDOWS.get(places.removesuffix(_COUNTRIES).replace(" time", " standard time"))
    if zone := _known_name(places):
        return zone
    cities = (city.strip().replace(" ", "_") for city in places.split(","))
    return next((_city_names()[city] for city in cities if city in _city_names()), None)


@cache
def _iana_names() -> Mapping[str, str]:
    # `localtime` is the zone of this machine.
    return {name.lower(): name for name in sorted(available_timezones() - {"localtime"})}


@cache
def _city_names() -> Mapping[str, str]:
    return {name.rpartition("/")[2]: zone for name, zone in _iana_names().items() if "/" in name}


def _offset_zone(match: re.Match[str]) -> tzinfo | None:
    offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if offset >= timedelta(days=1):
        return None
    return timezone(-offset if match[1] == "-" else offset) if offset else UTC


def _constant_offset(block: str) -> tzinfo | None:
    """Return the zone of a VTIMEZONE that has one offset only; None for others."""
    offset: tzinfo | None = None
    for match in in_turns(_OFFSET_TO.finditer(block)):
        other = _offset_zone(match)
        if other is None or (offset is not None and other != offset):
            return None
        offset = other
    return offset
