"""Cuts the text of an iCalendar file into its components: nothing is parsed, nothing recurses."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from files.entries import FileRefused, TooManyEntries
from turns import in_turns

_BOUNDARY = re.compile(r"^(BEGIN|END):([A-Z0-9-]+)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_CUT = frozenset({"VEVENT", "VTIMEZONE", "VTODO", "VJOURNAL"})


class Block(NamedTuple):
    """The content lines between the first and the last of a component."""

    text: str
    header: str
    """The properties of its calendar."""
    is_whole: bool
    """Whether its last line is there."""


@dataclass(slots=True)
class Components:
    """What a file holds; it may be several calendars."""

    events: list[Block] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    """How many there are of the other kinds that people enter."""


def cut_components(text: str, most: int | None) -> Components:
    """Cut the text of a file; components within an entry, such as alarms, stay in it.

    Raises `FileRefused` for what is no calendar, `TooManyEntries` for more than `most` events.
    """
    return _Cutter(text, most).cut()


class _Cutter:
    def __init__(self, text: str, most: int | None) -> None:
        self._text = text
        self._most = most
        self._found = Components()
        self._header = ""
        self._open = ""
        """The kind of the component that has begun at `_begin`."""
        self._begin = 0

    def cut(self) -> Components:
        is_calendar = False
        for line in in_turns(_BOUNDARY.finditer(self._text)):
            kind = line[2].upper()
            if self._open == "VCALENDAR":
                self._header = self._text[self._begin : line.start()]
                self._open = ""
            if line[1].upper() == "END":
                if kind == self._open:
                    self._close(line.start(), is_whole=True)
            elif kind in _CUT or kind == "VCALENDAR":
                self._close(line.start(), is_whole=False)
                self._open, self._begin = kind, line.end()
                is_calendar = is_calendar or kind in ("VCALENDAR", "VEVENT")
        if not is_calendar:
            raise FileRefused("iCalendar(.ics) 파일이 아닙니다. BEGIN:VCALENDAR로 시작해야 합니다.")
        self._close(len(self._text), is_whole=False)
        return self._found

    def _close(self, end: int, *, is_whole: bool) -> None:
        kind, self._open = self._open, ""
        if kind == "VEVENT":
            if self._most is not None and len(self._found.events) == self._most:
                raise TooManyEntries(self._most)
            self._found.events.append(Block(self._text[self._begin : end], self._header, is_whole))
        elif kind == "VTIMEZONE":
            self._found.zones.append(self._text[self._begin : end])
        elif kind in _CUT:
            self._found.others[kind] += 1
