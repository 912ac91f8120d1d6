"""Content lines of iCalendar: text escaped, lines folded. Knows no component.

Written here because icalendar 7.3 turns a backslash before `N` in a text into a line break
(`icalendar.parser.string._escape_char`), and takes twenty times as long to fold.
"""

import re
from collections.abc import Iterable

LINE_OCTETS = 75
"""RFC 5545, section 3.1: the most octets of a line, without its line break."""

_UNWRITABLE = re.compile(r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ud800-\udfff]")
"""Control characters other than tab and line feed, and halves of surrogate pairs: no file may hold them."""


def text_line(name: str, text: str) -> str:
    r"""Return a property with a value of the type TEXT; line breaks become `\n`, control characters go."""
    value = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    value = value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")
    return f"{name}:{_UNWRITABLE.sub('', value)}"


def raw_line(name: str, value: str) -> str:
    """Return a property whose value is not escaped, such as a URI; whatever could end the line goes."""
    return f"{name}:{_UNWRITABLE.sub('', value).replace(chr(10), '')}"


def content_lines(lines: Iterable[str]) -> bytes:
    """Return lines as they stand in a file: UTF-8, folded, each with its line break."""
    return b"".join([_folded(line.encode()) + b"\r\n" for line in lines])


def _folded(line: bytes) -> bytes:
    """Fold a line without cutting a character in two, which programs that decode each line could not read."""
    if len(line) <= LINE_OCTETS:
        return line
    pieces, begin, room = [], 0, LINE_OCTETS
    while begin + room < len(line):
        end = begin + room
        while line[end] & 0b1100_0000 == 0b1000_0000:  # not the first octet of a character
            end -= 1
        pieces.append(line[begin:end])
        begin, room = end, LINE_OCTETS - 1  # a space begins each further line
    return b"\r\n ".join([*pieces, line[begin:]])
