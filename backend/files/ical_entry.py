"""A VEVENT of an iCalendar file as an entry: who it is, what it says, or why it is skipped."""

import hashlib
import json
import re
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from icalendar.parser import split_on_unescaped_comma

from domain import UID_MAX
from field_types import is_web_address
from files.entries import Entry, FileRefused
from files.entry_texts import event_text, with_line
from files.ical_components import Block
from files.ical_moments import Clock
from files.ical_properties import Properties, Unreadable, read_properties
from files.ical_recurrence import RECURRENCE_PROPERTIES, read_recurrence
from files.ical_times import TIME_PROPERTIES, read_start, read_times_of_event
from files.zones_in_files import FileZones

UNTITLED = "(제목 없음)"
CATEGORIES_READ = 1_000
"""Characters of a list of categories, of which only the first counts."""

_VERSION_PROPERTIES = frozenset({"SEQUENCE", "LAST-MODIFIED"})
_PROPERTIES = (
    _VERSION_PROPERTIES
    | {
        "UID",
        "RECURRENCE-ID",
        "STATUS",
        "SUMMARY",
        "DESCRIPTION",
        "X-ALT-DESC",
        "LOCATION",
        "CATEGORIES",
        "URL",
    }
    | TIME_PROPERTIES
    | RECURRENCE_PROPERTIES
)
_HEADER_PROPERTIES = frozenset({"VERSION", "METHOD", "X-WR-TIMEZONE"})
_ANSWERS = frozenset({"REPLY", "COUNTER", "DECLINECOUNTER", "REFRESH"})
_NUMBER = re.compile("[0-9]{1,9}")
_TIMESTAMP = re.compile("[0-9]{8}T[0-9]{6}Z")


class Version(NamedTuple):
    """Which of several entries with one UID is the newest: the one with the greatest."""

    sequence: int
    modified: str


class ReadEvent(NamedTuple):
    entry: Entry
    version: Version
    competes: bool
    """Whether of this and others with the same UID and occurrence only one can count."""


class EventReader:
    """Reads the events of one file for a department in a zone."""

    def __init__(self, department: ZoneInfo, zones: FileZones) -> None:
        self._department = department
        self._zones = zones
        self._calendars: dict[str, tuple[str, Clock]] = {}

    def read(self, block: Block) -> ReadEvent:
        method, clock = self._calendar(block.header)
        properties = read_properties(block.text, _PROPERTIES)
        uid = _uid(properties)
        fields = _texts(properties)
        original_date = reason = ""
        is_cancelled = method == "CANCEL" or properties.word("STATUS") == "CANCELLED"
        try:
            if not block.is_whole:
                raise Unreadable("파일이 끊겨 있습니다: 이 일정의 END:VEVENT가 없습니다.")
            if properties.problem:
                raise Unreadable(properties.problem)
            if method in _ANSWERS:
                raise Unreadable(f"초대에 대한 답장(METHOD:{method})은 일정이 아닙니다.")
            original_date = _original_date(properties, clock)
            if not (is_cancelled and original_date):
                start = read_start(properties, clock)
                fields["event_date"] = clock.local_date(start).isoformat()
                fields |= read_times_of_event(properties, clock, start)
                fields |= read_recurrence(properties, clock, start)
                if original_date and fields["rrule"]:
                    raise Unreadable("반복 일정의 한 회차만 바꾸는 일정에 반복 규칙(RRULE)이 있습니다.")
        except Unreadable as error:
            reason = event_text(str(error))
        competes = not reason
        if is_cancelled and not original_date:
            reason = reason or "취소된 일정입니다."
        return ReadEvent(
            Entry(
                uid=uid,
                original_date=original_date,
                fields=fields,
                reason=reason,
                cancelled=is_cancelled and not reason,
            ),
            _version(properties),
            competes,
        )

    def _calendar(self, header: str) -> tuple[str, Clock]:
        """Return what a calendar is sent for, and what its times mean. Raises `FileRefused`."""
        if header not in self._calendars:
            properties = read_properties(header, _HEADER_PROPERTIES)
            if properties.word("VERSION") == "1.0":
                raise FileRefused("옛 형식인 vCalendar 1.0 파일입니다. iCalendar(.ics)로 내보내 주세요.")
            zone = properties.first("X-WR-TIMEZONE")
            clock = Clock(self._department, self._zones, zone.value if zone else "")
            self._calendars[header] = properties.word("METHOD"), clock
        return self._calendars[header]


def _original_date(properties: Properties, clock: Clock) -> str:
    found = properties.first("RECURRENCE-ID")
    if found is None:
        return ""
    if "RANGE" in found.parameters:
        raise Unreadable("한 회차와 그 뒤를 모두 바꾸는 일정(RANGE=THISANDFUTURE)은 가져올 수 없습니다.")
    return clock.local_date(clock.read("RECURRENCE-ID", found)).isoformat()


def _texts(properties: Properties) -> dict[str, Any]:
    description = _text(properties, "DESCRIPTION") or _text(properties, "X-ALT-DESC")
    url = properties.first("URL")
    address = event_text(url.value) if url else ""
    if not is_web_address(address):
        description, address = with_line(description, address), ""
    return {
        "title": _text(properties, "SUMMARY") or UNTITLED,
        "description": description,
        "location": _text(properties, "LOCATION"),
        "category": _first_category(properties),
        "url": address,
    }


def _text(properties: Properties, name: str) -> str:
    found = properties.first(name)
    return event_text(found.text) if found else ""


def _first_category(properties: Properties) -> str:
    for found in properties.all("CATEGORIES"):
        for category in split_on_unescaped_comma(found.value[:CATEGORIES_READ]):
            if cleaned := event_text(category):
                return cleaned
    return ""


def _uid(properties: Properties) -> str:
    """Return the UID; in place of none, or of a longer one than is kept, the hash of what the entry says."""
    found = properties.first("UID")
    uid = event_text(found.text) if found else ""
    if uid and len(uid) <= UID_MAX:
        return uid
    said = [
        [name, [[each.value, sorted(each.parameters.items())] for each in listed]]
        for name, listed in sorted(properties)
        if name not in _VERSION_PROPERTIES
    ]
    return hashlib.sha256((uid or json.dumps(said)).encode()).hexdigest()


def _version(properties: Properties) -> Version:
    sequence, modified = properties.word("SEQUENCE"), properties.word("LAST-MODIFIED")
    return Version(
        int(sequence) if _NUMBER.fullmatch(sequence) else 0,
        modified if _TIMESTAMP.fullmatch(modified) else "",
    )
