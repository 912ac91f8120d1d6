"""What the readers of files hand on: the entries of a file, and why a whole file is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from errors import CalendarError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a file, as read: good, or with the reason for which it is skipped."""

    uid: str = ""
    """The UID in iCalendar; empty for a row of a table without one."""
    original_date: str = ""
    """Of an entry that replaces an occurrence of its series: the ISO date of that occurrence."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The fields of an event that the file has. They break no rule of the format; the limits of `schemas` are
    still to be checked. Of a skipped entry as many as could be read."""
    reason: str = ""
    """Why the entry is skipped, as a Korean sentence; empty for a good one."""
    is_partial: bool = False
    """Whether what its fields leave out stays as it is; else it is empty."""
    cancelled: bool = False
    """Whether the occurrence on `original_date` does not take place."""


class FileRefused(CalendarError):
    """The file as a whole cannot be read; the message says why."""

    code = "file_refused"
    status = 400
    message = "파일을 읽을 수 없습니다."


class TooManyEntries(CalendarError):
    """The file has more entries than the caller takes."""

    code = "too_many_entries"
    status = 413
    message = "파일에 항목이 너무 많습니다."

    def __init__(self, most: int) -> None:
        super().__init__(f"{self.message} 한 번에 {most:,}개까지 가져올 수 있습니다.")
