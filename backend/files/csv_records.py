"""Reads the bytes of a CSV file as rows of cells below a header: encoding, separator, quotes."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from files.csv_columns import Columns, read_columns
from files.entries import FileRefused
from text_encoding import Undecodable, decode_text
from turns import in_turns

SEPARATORS = ",;\t"
HEADER_ROWS = 30
"""Among so many first rows the header is looked for: tables often have a heading."""
EMPTY_ROWS_MAX = 1_048_576
"""As many as a sheet of Excel has. Nothing else limits the rows that are passed over."""
ROW_MAX = 1_000_000
"""Characters of a row. A row is parsed in one go, in which nothing else in this process goes on."""
NAMES_SHOWN = 20
NAME_SHOWN = 30

_SEPARATOR_LINE = re.compile(r"sep=([,;|\t])[\r\n]", re.IGNORECASE)
"""What Excel takes for the separator, not for a row."""


class Row(NamedTuple):
    """A row with its number in the file, counted from 1 as spreadsheets do."""

    number: int
    cells: list[str]

    @property
    def is_empty(self) -> bool:
        return not any(map(str.strip, self.cells))


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file whose header is known."""

    columns: Columns
    rows: Iterator[Row]
    """Those below the header that are not empty. Raises `FileRefused` at a row that cannot be read."""


def open_table(content: bytes) -> Table:
    """Find the header of a CSV file. Raises `FileRefused` if it cannot be read or has no date or title."""
    text = _decode(content)
    named = _SEPARATOR_LINE.match(text)
    best: tuple[Columns, str, int] | None = None
    for separator in named[1] if named else SEPARATORS:
        for row in islice(_readable(_rows(text, separator)), HEADER_ROWS):
            if row.is_empty:
                continue
            columns = read_columns(row.cells)
            if best is None or _rank(columns) > _rank(best[0]):
                best = columns, separator, row.number
    if best is None:
        raise FileRefused('빈 파일이거나, 첫 행의 따옴표(")가 짝이 맞지 않거나 첫 행이 너무 깁니다.')
    columns, separator, number = best
    if columns.missing:
        raise FileRefused(
            f"열 이름이 있는 행을 찾지 못했습니다. 없는 열: {', '.join(columns.missing)}. "
            f"찾은 열: {_shown(columns.names)}"
        )
    return Table(columns, _filled(islice(_rows(text, separator), number, None)))


def _decode(content: bytes) -> str:
    try:
        return decode_text(content)
    except Undecodable as error:
        if error.encoding:
            raise FileRefused(
                f"{error.encoding.upper()} 파일이 {error.offset:,}번째 바이트에서 깨져 있습니다."
            ) from error
        raise FileRefused(
            f"파일의 글자를 읽을 수 없습니다: {error.line}행 {error.column}열이 UTF-8도 CP949도 아닙니다. "
            "엑셀에서 'CSV UTF-8'로 다시 저장하세요."
        ) from error


def _rank(columns: Columns) -> tuple[bool, int, int]:
    return not columns.missing, len(columns.places), len(columns.names)


def _shown(names: Sequence[str]) -> str:
    shown = [name[:NAME_SHOWN] for name in names if name][:NAMES_SHOWN]
    return ", ".join(shown) or "없음"


class _Lines:
    """The lines of a text, for `csv.reader`. Ends in `csv.Error` within a row that is too long."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.number = 0
        """How many lines have been read."""
        self._row_length = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            self._row_length += len(line)
            if self._row_length > ROW_MAX:
                raise csv.Error("row too long")
            yield line

    def begin_row(self) -> None:
        self._row_length = 0

    def skip_line(self) -> None:
        self._lines.readline()
        self.number += 1


def _rows(text: str, separator: str) -> Iterator[Row]:
    """Yield all rows. Raises `FileRefused`.

    Strict, since a quote without its partner would hide all that follows.
    """
    lines = _Lines(text)
    if _SEPARATOR_LINE.match(text):
        lines.skip_line()
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t", strict=True)
    begins = lines.number + 1
    try:
        for number, cells in enumerate(in_turns(reader), 1):
            begins = lines.number + 1
            lines.begin_row()
            yield Row(number, cells)
    except csv.Error as error:
        raise FileRefused(
            f"{begins:,}번째 줄에서 시작하는 행을 읽을 수 없습니다: "
            '따옴표(")의 짝이 맞지 않거나 행이 너무 깁니다.'
        ) from error


def _filled(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows that are not empty. Raises `FileRefused` for too many that are."""
    empty = 0
    for row in rows:
        if not row.is_empty:
            yield row
        elif (empty := empty + 1) > EMPTY_ROWS_MAX:
            raise FileRefused(f"빈 행이 {EMPTY_ROWS_MAX:,}개보다 많습니다.")


def _readable(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows up to the first that cannot be read: by the wrong separator the quotes may not match."""
    try:
        yield from rows
    except FileRefused:
        return
