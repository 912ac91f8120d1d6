"""Reads CSV files that people keep, that Excel saves, and that Outlook and this server write, as entries."""

import re
from datetime import date, timedelta
from typing import Any

from domain import UID_MAX
from files.csv_cells import unescape_cell
from files.csv_columns import ALL_DAY, DATE, ORIGINAL_DATE, TITLE, UID, Columns
from files.csv_records import Row, open_table
from files.entries import Entry, TooManyEntries
from files.entry_texts import quoted
from text_dates import DateOrder, ReadDate, find_date_order, read_date_text
from text_times import ClockTimes, read_times
from turns import in_turns

_TEXTS = (TITLE, "description", "location", "category", "url", "rrule")
_TIMES = ("time", "start_time", "end_time")
_MIDNIGHT = "00:00"
_YES = frozenset({"true", "yes", "y", "1", "o", "예", "참"})
_FORMS = {"date": "2026-03-02", "clock": "14:00"}
_LIST_SEPARATOR = re.compile(r"[,;\n]+")


def read_table(content: bytes, most: int | None) -> list[Entry]:
    """Read the entries of a CSV file; those that cannot be imported have a reason.

    A field is there if the file has its column; but in rows without a UID, what is empty among the times is
    left out, so that it is derived from the others. Raises `FileRefused`, and `TooManyEntries` for more than
    `most`.
    """
    table = open_table(content)
    rows: list[Row] = []
    for row in table.rows:
        if most is not None and len(rows) == most:
            raise TooManyEntries(most)
        rows.append(row)
    reader = _RowReader(table.columns, rows)
    return [reader.entry(row) for row in in_turns(rows)]


def list_unread_columns(content: bytes) -> list[str]:
    """Return the names of the columns of a CSV file of which `read_table` reads nothing."""
    return open_table(content).columns.unread


class _BadRow(ValueError):
    """A row cannot be imported; the text says why."""


class _RowReader:
    """Reads the rows of one table. Their dates tell together what order they are written in."""

    def __init__(self, columns: Columns, rows: list[Row]) -> None:
        self._columns = columns
        places = [columns.places[field] for field in (DATE, "end_date") if field in columns.places]
        self._order = find_date_order(
            (row.cells[place] for row in in_turns(rows) for place in places if place < len(row.cells)),
            DateOrder.MONTH_FIRST if columns.is_english else DateOrder.UNKNOWN,
        )

    def entry(self, row: Row) -> Entry:
        cells = {field: unescape_cell(cell) for field, cell in self._columns.cells(row.cells).items()}
        uid = cells.get(UID, "").strip()
        fields: dict[str, Any] = {field: cells[field] for field in _TEXTS if field in cells}
        original_date = reason = ""
        try:
            self._refuse_unnamed(row)
            if len(uid) > UID_MAX:
                raise _BadRow(f"'{self._columns.name_of(UID)}' 칸은 {UID_MAX}자 이하여야 합니다.")
            fields |= self._times_and_dates(cells)
            if "exdates" in cells:
                fields["exdates"] = self._read_dates("exdates", cells["exdates"])
            original_date = self._read_date(ORIGINAL_DATE, cells.get(ORIGINAL_DATE, ""))
            if not cells[TITLE].strip():
                raise _BadRow(f"'{self._columns.name_of(TITLE)}' 칸이 비어 있습니다.")
        except _BadRow as error:
            reason = f"{row.number}행: {error}"
        if not uid:
            fields = {field: value for field, value in fields.items() if value or field not in _TIMES}
        return Entry(uid=uid, original_date=original_date, fields=fields, reason=reason)

    def _refuse_unnamed(self, row: Row) -> None:
        for index, cell in enumerate(row.cells):
            if not self._columns.is_named(index) and cell.strip():
                raise _BadRow(f"열 이름이 없는 {index + 1}번째 칸에 '{quoted(cell)}'이(가) 있습니다.")

    def _times_and_dates(self, cells: dict[str, str]) -> dict[str, str]:
        event_date, begins = self._read_moment(DATE, cells[DATE])
        if not event_date:
            raise _BadRow(f"'{self._columns.name_of(DATE)}' 칸이 비어 있습니다.")
        end_date, ends = self._read_moment("end_date", cells.get("end_date", ""))
        found = {DATE: event_date} | ({"end_date": end_date} if "end_date" in cells else {})
        if cells.get(ALL_DAY, "").strip().lower() in _YES:
            if end_date > event_date and self._read_clock("end_time", cells.get("end_time", "")) == _MIDNIGHT:
                # Outlook's all-day events last until midnight of the day after.
                found["end_date"] = (date.fromisoformat(end_date) - timedelta(1)).isoformat()
            return found | dict.fromkeys(_TIMES, "")
        for field in ("start_time", "end_time"):
            if field in cells:
                found[field] = self._read_clock(field, cells[field])
        if "time" in cells:
            found["time"] = cells["time"]
        if begins:
            self._add_begin(found, begins)
        if ends:
            self._add_end(found, ends)
        if found.get("end_time") and not found.get("start_time"):
            found["start_time"] = read_times(found.get("time", "")).start
        return found

    def _add_begin(self, found: dict[str, str], written: str) -> None:
        """Add the time of day that stands behind the date."""
        if found.get("time") or found.get("start_time"):
            known = found.get("start_time") or read_times(found["time"]).start
            if read_times(written) != (known, ""):
                raise _BadRow(f"날짜 뒤의 시각 '{quoted(written)}'이(가) 시간 칸의 시각과 다릅니다.")
            return
        found["time"] = written
        for field in ("start_time", "end_time"):
            if not found.get(field):
                found.pop(field, None)

    def _add_end(self, found: dict[str, str], written: str) -> None:
        """Add the time of day that stands behind the last date."""
        clock = self._read_clock("end_date", written)
        if found.get("end_time", "") not in ("", clock):
            raise _BadRow(f"종료일 뒤의 시각 '{quoted(written)}'이(가) 종료 시각 칸과 다릅니다.")
        found["end_time"] = clock

    def _read_clock(self, field: str, cell: str) -> str:
        if not cell.strip():
            return ""
        times = read_times(cell.strip())
        if not times.start or times.end:
            raise self._unreadable(field, cell, "clock")
        return times.start

    def _read_moment(self, field: str, cell: str) -> ReadDate:
        """Return the date of a cell, empty if it is, and the clock time behind it unless it is midnight.

        Midnight is what programs write behind a date without a time.
        """
        if not cell.strip():
            return ReadDate("")
        found = read_date_text(cell, self._order)
        times = read_times(found.rest) if found else ClockTimes()
        if found is None or (found.rest and not times.start):
            raise self._unreadable(field, cell, "date")
        return found._replace(rest="") if times == (_MIDNIGHT, "") else found

    def _read_date(self, field: str, cell: str) -> str:
        day, rest = self._read_moment(field, cell)
        if rest:
            raise self._unreadable(field, cell, "date")
        return day

    def _read_dates(self, field: str, cell: str) -> tuple[str, ...]:
        return tuple(self._read_date(field, part) for part in _LIST_SEPARATOR.split(cell) if part.strip())

    def _unreadable(self, field: str, cell: str, kind: str) -> _BadRow:
        name = self._columns.name_of(field)
        return _BadRow(
            f"'{name}' 칸의 '{quoted(cell)}'을(를) 읽을 수 없습니다. {_FORMS[kind]}처럼 적어 주세요."
        )
