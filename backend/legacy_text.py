"""Repairs of text that another program decoded wrongly, and readings of old dates and times."""

import re
from datetime import UTC, date, datetime, timedelta

import ftfy
import ftfy.bad_codecs  # registers sloppy-windows-1252

MISREAD_TIMES = 3

_SUSPECT = re.compile("[\x80-\u052f\u2010-\u25ff]")
"""What mis-decoded bytes look like; Hangul, Hanja and ASCII alone are never looked at: ftfy is slow."""
_HIGH_PAIRS = re.compile("(?:[\xa1-\xfe]{2})+")
_FOREIGN = re.compile("[^\x00-\x7f]+")
_HANGUL = re.compile("[가-힣]+")
_REPLACED = "\N{REPLACEMENT CHARACTER}"

_DATE = re.compile(
    r"(\d{4})\s*(?:[-/.]|년)\s*(\d{1,2})\s*(?:[-/.]|월)\s*(\d{1,2})\s*(?:[.일]|(?=[T\s])|$)\s*(.*)", re.ASCII
)
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})()", re.ASCII)
_CLOCK = re.compile(r"T?\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?", re.ASCII | re.I)
_DOTNET = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/", re.ASCII)
_MILLISECONDS_FROM = 100_000_000_000
"""Numbers of seconds since 1970 reach this in the year 5138, numbers of milliseconds did in 1973."""


def repair(text: str) -> str:
    """Undo wrong decoding: UTF-8 taken for a Western code page, any number of times, or CP949 once.

    Text that is fine stays as it is, and so does text whose repair would lose characters.
    """
    if not _SUSPECT.search(text):
        return text
    if hangul := _from_utf8(text) or _from_cp949(text):
        return hangul
    mended = ftfy.fix_encoding(text)
    return text if mended.count(_REPLACED) > text.count(_REPLACED) else mended


def _from_utf8(text: str) -> str:
    """Undo UTF-8 read as a Western code page until Hangul appears; `""` if none does.

    ftfy judges by how bad text looks, and finds a third of all Hangul syllables not bad enough. Text
    that is valid UTF-8 of Hangul from end to end is no accident.
    """
    for _ in range(MISREAD_TIMES):
        for codec in ("latin-1", "sloppy-windows-1252"):
            try:
                text = text.encode(codec).decode()
            except UnicodeError:
                continue
            break
        else:
            return ""
        if _HANGUL.search(text):
            return text
    return ""


def _from_cp949(text: str) -> str:
    """Undo CP949 read as Latin-1, which ftfy does not know; `""` unless all of it turns into Hangul."""
    runs = _FOREIGN.findall(text)
    if sum(map(len, runs)) < 4 or not all(map(_HIGH_PAIRS.fullmatch, runs)):
        return ""  # fewer letters may be a word of another language
    try:
        if not _HANGUL.fullmatch("".join(runs).encode("latin-1").decode("cp949")):
            return ""
        return text.encode("latin-1").decode("cp949")
    except UnicodeError:
        return ""


def read_date(text: str) -> str | None:
    """Return the day that is written, as `2024-01-20`; None when it is no date or no such day exists.

    Of an ISO timestamp the written day counts, in whatever zone it was written.
    """
    text = text.strip()
    match = _DATE.fullmatch(text) or _COMPACT_DATE.fullmatch(text)
    if not match or (match[4] and not _CLOCK.fullmatch(match[4])):
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        return None


def names_a_day(text: str) -> bool:
    """Tell whether text is written as a date, be there such a day or not."""
    return bool(_DATE.fullmatch(text.strip()) or read_date(text))


def read_moment(value: str | float) -> datetime | None:
    """Read a timestamp: ISO with or without zone, `/Date(ms)/` of .NET, or seconds or ms since 1970.

    Without a zone it is UTC, as SQLite's CURRENT_TIMESTAMP is. None when it cannot be read.
    """
    if isinstance(value, str) and (match := _DOTNET.fullmatch(value.strip())):
        return _since_1970(int(match[1]) / 1000)
    try:
        if not isinstance(value, str):
            return _since_1970(value / 1000 if abs(value) >= _MILLISECONDS_FROM else value)
        moment = datetime.fromisoformat(value.strip().replace("/", "-"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _since_1970(seconds: float) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None
