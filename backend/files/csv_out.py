"""Writes events as CSV that Excel opens with a double click, and that can be imported again."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from domain import Event
from files.csv_cells import escape_cell
from files.csv_columns import ORIGINAL_DATE, UID, WRITTEN
from turns import in_turns

BLOCK_CHARACTERS = 64 * 1024

_OF_SERIES = frozenset({"rrule", "exdates", UID, ORIGINAL_DATE})


def write_table(rows: Iterable[Event | Mapping[str, Any]], *, occurrences: bool = False) -> Iterator[bytes]:
    """Yield a CSV file in blocks: UTF-8 with a byte order mark, lines that end in CRLF, all cells quoted.

    A row is an event, or its fields as a mapping. With `occurrences` the rows are dates of series: what makes
    them series is left out, so that an import makes single events of them.
    """
    buffer = io.StringIO(newline="")
    # All quoted: a semicolon or tab in a cell begins no new one where a program separates by those.
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(WRITTEN.values())
    yield codecs.BOM_UTF8
    for row in in_turns(rows):
        fields = _fields(row)
        is_of_series = bool(fields.get("rrule") or fields.get("recurring_event_id"))
        left_out = _OF_SERIES if occurrences and is_of_series else frozenset()
        writer.writerow(["" if name in left_out else _cell(fields.get(name, "")) for name in WRITTEN])
        if buffer.tell() >= BLOCK_CHARACTERS:
            yield _take(buffer)
    yield _take(buffer)


def _fields(row: Event | Mapping[str, Any]) -> Mapping[str, Any]:
    return {**row.public(), UID: row.uid} if isinstance(row, Event) else row


def _cell(value: str | tuple[str, ...] | list[str]) -> str:
    if not value:
        return ""
    return escape_cell(value if isinstance(value, str) else ", ".join(value))


def _take(buffer: io.StringIO) -> bytes:
    block = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return block
