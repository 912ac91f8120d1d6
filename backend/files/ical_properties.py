"""Properties of iCalendar components: content lines split into name, parameters and value, within limits."""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from icalendar.parser import Contentline, unescape_backslash

from turns import in_turns

LINES_MAX = 20_000
"""Content lines of a component."""
PROPERTIES_MAX = 1_000
"""Those of its properties that are wanted."""
VALUE_MAX = 100_000
"""Characters of a value; the texts of events are shorter."""
PARAMETERS_MAX = 500
"""Characters of the parameters of a date or time, for each of which icalendar takes 1 µs."""

_LINE = re.compile(r"[^\n]+")
_HEAD = re.compile(r'[A-Za-z0-9-]++((?:;[^:;"]*+(?:"[^"]*"[^:;"]*+)*+)*+):')
_BEGINS_PROPERTY = re.compile(r"([A-Za-z0-9-]+)[:;]")
_BROKEN = re.compile("[\ud800-\udfff]")
_TEXTS = frozenset({"SUMMARY", "DESCRIPTION", "LOCATION", "X-ALT-DESC"})
"""Properties whose text some programs write with bare line breaks."""
_MOMENTS = frozenset({"DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE"})
_UNQUOTED_ZONE = re.compile(r'(?<=;TZID=)[^";]*')


class Unreadable(ValueError):
    """An entry cannot be imported; the text says why, in Korean."""


class Property(NamedTuple):
    value: str
    """As it stands in the file."""
    parameters: Mapping[str, str]
    """By name in upper case; only dates and times have theirs."""

    @property
    def text(self) -> str:
        r"""The value as a text, with line breaks for `\n`."""
        text: str = unescape_backslash(self.value)
        return text


class Properties:
    """The properties of a component that have wanted names, in upper case."""

    def __init__(self, found: Mapping[str, list[Property]], problem: str) -> None:
        self._found = found
        self.problem = problem
        """What is wrong with one of them, in Korean; empty if all could be read."""

    def __iter__(self) -> Iterator[tuple[str, list[Property]]]:
        return iter(self._found.items())

    def first(self, name: str) -> Property | None:
        found = self._found.get(name)
        return found[0] if found else None

    def all(self, name: str) -> list[Property]:
        return self._found.get(name, [])

    def word(self, name: str) -> str:
        """Return the value of a property with one of several words, in upper case; empty without it."""
        found = self.first(name)
        return found.value.strip().upper() if found else ""


def read_properties(text: str, wanted: Collection[str]) -> Properties:
    """Read the content lines of a component, but not of the components within it."""
    reader = _Reader(wanted)
    for number, line in enumerate(in_turns(_LINE.finditer(text))):
        if number == LINES_MAX:
            reader.note(f"줄이 너무 많습니다. {LINES_MAX:,}줄까지 읽을 수 있습니다.")
            break
        reader.add(line[0])
    return reader.properties()


class _Reader:
    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._depth = 0
        """In how many components of this one the line is."""
        self._lines: list[tuple[str, Mapping[str, str], list[str]]] = []
        self._room = 0
        """How many characters the last line may still get, if it is a text."""
        self._problem = ""

    def add(self, line: str) -> None:
        begins = _BEGINS_PROPERTY.match(line)
        name = begins[1].upper() if begins else ""
        if name == "BEGIN":
            self._depth += 1
        elif name == "END":
            self._depth = max(self._depth - 1, 0)
        elif self._depth:
            return
        elif name in self._wanted:
            self._room = 0
            try:
                self._lines.append((name, *_split(name, line)))
            except ValueError:
                self.note(f"{name} 줄이 너무 길거나 올바르지 않습니다.")
                return
            if len(self._lines) > PROPERTIES_MAX:
                self._lines.pop()
                self.note(f"속성이 너무 많습니다. {PROPERTIES_MAX:,}개까지 읽을 수 있습니다.")
            elif name in _TEXTS:
                self._room = VALUE_MAX
        elif self._room and (begins is None or not begins[1].isupper()):
            self._add_to_text(line)
        else:
            self._room = 0

    def _add_to_text(self, line: str) -> None:
        self._room = max(self._room - len(line) - 1, 0)
        if self._room:
            self._lines[-1][2].append(line)
        else:
            self.note(f"{self._lines[-1][0]} 줄이 너무 깁니다.")

    def note(self, problem: str) -> None:
        self._problem = self._problem or problem

    def properties(self) -> Properties:
        found: dict[str, list[Property]] = {}
        for name, parameters, pieces in self._lines:
            value = "\n".join(pieces)
            if _BROKEN.search(value):
                self.note("글자가 깨져 있습니다. UTF-8로 다시 저장하세요.")
                value = _BROKEN.sub("\N{REPLACEMENT CHARACTER}", value)
            found.setdefault(name, []).append(Property(value, parameters))
        return Properties(found, self._problem)


def _split(name: str, line: str) -> tuple[Mapping[str, str], list[str]]:
    """Return the parameters of a line that begins with a name, and its value. Raises `ValueError`."""
    head = _HEAD.match(line, 0, VALUE_MAX)
    if head is None or len(line) - head.end() > VALUE_MAX:
        raise ValueError(name)
    parameters, value = head[1], line[head.end() :]
    if name not in _MOMENTS:
        return {}, [value]
    if ":" in value:
        # A colon in the name of a zone needs quotes, which some programs forget.
        parameters, _, value = line[len(name) :].rpartition(":")
        parameters = _UNQUOTED_ZONE.sub(r'"\g<0>"', parameters)
    return _read_parameters(parameters) if parameters else {}, [value]


@lru_cache(256)
def _read_parameters(text: str) -> Mapping[str, str]:
    """Read parameters with the semicolon before them. Raises `ValueError`."""
    if len(text) > PARAMETERS_MAX:
        raise ValueError(len(text))
    line = Contentline(f"X{text}:")  # type: ignore[no-untyped-call]
    _, parameters, _ = line.raw_parts()
    return {name.upper(): value for name, value in parameters.items() if isinstance(value, str)}
