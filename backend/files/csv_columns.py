"""The columns of CSV files: the names that are written, and all under which they are recognised."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DATE = "event_date"
TITLE = "title"
UID = "uid"
ORIGINAL_DATE = "original_date"
ALL_DAY = "all_day"
COLUMNS_MAX = 256
"""Columns that are looked at. Cells in columns beyond are those without a name."""

WRITTEN = {
    DATE: "날짜",
    "time": "시간",
    TITLE: "제목",
    "description": "내용",
    "location": "장소",
    "end_date": "종료일",
    "start_time": "시작 시각",
    "end_time": "종료 시각",
    "category": "분류",
    "url": "주소(URL)",
    "rrule": "반복",
    "exdates": "제외일",
    UID: "UID",
    ORIGINAL_DATE: "반복 원래 날짜",
}
"""The columns in the order in which they are written: first those of a weekly report."""

_OTHER_NAMES = {
    DATE: "일자, 일시, 시작일, 시작 날짜, 시작 일자, date, start, start date, event date, day",
    "time": "시각, 일정 시간, time, event time",
    TITLE: "일정, 일정명, 일정 제목, 행사, 행사명, 회의명, 건명, title, subject, summary, event, name",
    "description": "설명, 메모, 비고, 상세, 상세 내용, 세부 내용, description, memo, note, notes, details",
    "location": "위치, 회의실, location, place, where, venue",
    "end_date": "종료 날짜, 종료 일자, 끝 날짜, 마감일, end, end date",
    "start_time": "시작 시간, start time",
    "end_time": "종료 시간, 끝 시간, 끝 시각, end time",
    "category": "범주, 범주 항목, 구분, 종류, category, categories",
    "url": "주소 URL, 링크, 웹 주소, 홈페이지, url, link, website",
    "rrule": "반복 규칙, rrule, recurrence",
    "exdates": "반복 제외일, exdate, exdates",
    UID: "ical uid",
    ORIGINAL_DATE: "원래 날짜, original date, recurrence id",
    ALL_DAY: "하루 종일, 종일, all day, all day event",
}
"""Names that people use, and those of Outlook and Google in Korean and English."""

_NO_LETTER = re.compile(r"[\W_]+")


def _fold(name: str) -> str:
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", name).casefold())


_FIELDS = {
    _fold(name): field
    for field in (*WRITTEN, ALL_DAY)
    for name in (WRITTEN.get(field, ""), *_OTHER_NAMES.get(field, "").split(","))
    if name
}


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a file hold."""

    names: Sequence[str]
    places: Mapping[str, int]
    """The index of the column of each field."""

    @property
    def missing(self) -> list[str]:
        """The names of the columns without which there are no events."""
        return [WRITTEN[field] for field in (DATE, TITLE) if field not in self.places]

    @property
    def unread(self) -> list[str]:
        """The names of columns of which nothing is read: unknown ones, and second ones for the same field."""
        read = set(self.places.values())
        return [name for index, name in enumerate(self.names) if name and index not in read]

    @property
    def is_english(self) -> bool:
        return self.names[self.places[DATE]].isascii()

    def name_of(self, field: str) -> str:
        """Return the name that the file gives to the column of a field."""
        return self.names[self.places[field]]

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """Return the cell of each field, empty where the row is too short."""
        return {field: row[index] if index < len(row) else "" for field, index in self.places.items()}

    def is_named(self, index: int) -> bool:
        return index < len(self.names) and bool(self.names[index])


def read_columns(header: Sequence[str]) -> Columns:
    """Recognise columns by their names in any order, whatever their case, spaces and signs; first come."""
    names = [" ".join(name.split()) for name in header[:COLUMNS_MAX]]
    places: dict[str, int] = {}
    for index, name in enumerate(names):
        if field := _FIELDS.get(_fold(name)):
            places.setdefault(field, index)
    return Columns(names, places)
