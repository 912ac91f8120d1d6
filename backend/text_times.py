"""Times of day as people write them: put in order, read as clock times, and written in Korean.

Ordering looks at how a text begins, and stays as it is: the page tokens of lists hold its results. Reading
starts from the same match, but wants whole words (`2시간` is no clock time) and knows more of them.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

_CLOCK = re.compile(
    r"(?P<before>오전|오후|am|pm|a\.m\.|p\.m\.)?\s*"
    r"(?P<hour>[0-9]{1,2})"
    r"\s*(?P<unit>:\s*(?P<minute>[0-9]{2})|시\s*(?:(?P<minute_ko>[0-9]{1,2})\s*분|(?P<half>반))?)?"
    r"\s*(?P<after>am|pm|a\.m\.|p\.m\.)?",
    re.IGNORECASE,
)
_FIRST_HOURS = {"오전": 0, "am": 0, "오후": 12, "pm": 12}
"""The hour at which each half of the day begins."""

_DAY = 1440
_HALF_DAY = 720

# What only reading knows, in text that `_normalise` has made uniform.
_READ_LENGTH = 100
# U+1173 is what NFKC makes of the vowel that stands beside the dash on a Korean keyboard.
_LOOKALIKES = str.maketrans(dict.fromkeys("~〜∼‐‒–—―−─\u1173→", "-") | {"∶": ":"})
_SECONDS = re.compile(r"(:[0-9]{2}):[0-9]{2}(?:\.[0-9]{1,9})?(?![0-9])")
_GOES_ON = r"[0-9a-z:/]|\.[0-9]|(?!까지|부터|에|쯤|경|정도|이후|이전)[가-힣]"
_LONGER_WORD = re.compile(_GOES_ON)
_MINUTES_WITHOUT_UNIT = re.compile(rf"시 ?([0-5][0-9])(?!{_GOES_ON})")
_PART_OF_DAY = re.compile(r"(새벽|아침|점심|낮|저녁|밤) ?(?=[0-9])")
_PART_FIRST_HOURS = {"새벽": 0, "아침": 3, "점심": 7, "낮": 7, "저녁": 13, "밤": 18}
"""The hour from which on the twelve hours are counted: `밤 11시` is 23:00, `밤 1시` is 1:00."""
_NAMED = re.compile(rf"(?:정오|자정|noon|midnight)(?!{_GOES_ON})")
_NAMED_FIRST_HOURS = {"정오": 12, "noon": 12, "자정": 0, "midnight": 0}
_UNTIL = re.compile(r" ?(?:쯤|경|정도)? ?(?:(?:부터|에서) ?-?|-{1,2}>?|to) ?")
_AFTER_BARE_END = re.compile(r" ?(?:까지|[(),]|$)")


class ClockTimes(NamedTuple):
    """When an event begins and ends, each as `HH:MM`; empty when the text does not say."""

    start: str = ""
    end: str = ""


class _Clock(NamedTuple):
    """A clock time as it is written, up to the index `stop` of its text."""

    hour: int
    minute: int
    first_hour: int | None
    """Of the part of the day that is named; None if none is."""
    stop: int
    is_bare: bool = False
    """A number without anything that makes it a clock time, as in `3층`."""
    is_suffixed: bool = False
    """The half of the day stands behind: in `2-4pm` it counts for both."""
    is_padded: bool = False

    @property
    def minutes(self) -> int:
        if self.first_hour is None or self.hour > 12:
            return self.hour * 60 + self.minute
        hour = (self.hour - self.first_hour) % 12 + self.first_hour
        return hour % 24 * 60 + self.minute

    @property
    def is_of_twelve(self) -> bool:
        """Tell whether a clock with twelve hours shows this one."""
        return 1 <= self.hour <= 12


@lru_cache(4_096)
def time_order(text: str) -> tuple[int, str]:
    """Return the sort key of a free-text time: empty (all day) first, then clock times, then other text.

    Reads texts that begin like `오후 2:00`, `오후 2시 30분`, `14:00` or `2 PM`. The key is the minute of the
    day (-1 for empty, 1440 for text that begins with no clock time) and the text itself.
    """
    if not text:
        return (-1, "")
    match = _CLOCK.match(text)
    clock = match and _clock_of(match)
    if not clock or clock.is_bare:
        return (_DAY, text)
    return (clock.minutes, text)


@lru_cache(4_096)
def read_times(text: str) -> ClockTimes:
    """Return the clock times with which a text begins; empty ones for text that begins with none.

    Words that follow are passed over: `14:00 3층` and `14:00~미정` begin at 14:00 and have no end. `2시` is
    2:00. An end without a half of the day is the next time that a clock of twelve hours shows it
    (`오후 2:00~3:30`, `9시~6시`), unless the hours are those of 24 (`22:00~6:00`, `09:00~06:00`). An end that
    is not after the start belongs to the next day; `24:00` is read as an end only, as 00:00.
    """
    normal = _normalise(text)
    start = _read_clock(normal, 0)
    if start is None or start.hour == 24:
        return ClockTimes()
    end = _read_end(normal, start.stop)
    if start.is_bare and (end is None or end.is_bare):
        return ClockTimes()
    if end is None:
        return ClockTimes(_written(start.minutes))
    start_minutes = _start_before(start, end)
    return ClockTimes(_written(start_minutes), _written(_end_after(start_minutes, start, end)))


@lru_cache(4_096)
def write_times(start: str, end: str) -> str:
    """Write clock times (`HH:MM` or empty) in Korean, so that `read_times` reads the same: `오후 2:00~3:30`.

    Without a start there is nothing to write.
    """
    if not start:
        return ""
    half, clock = _in_korean(start)
    if not end:
        return f"{half} {clock}"
    end_half, end_clock = _in_korean(end)
    if half == end_half and start < end:
        return f"{half} {clock}~{end_clock}"
    return f"{half} {clock}~{end_half} {end_clock}"


def _in_korean(time: str) -> tuple[str, str]:
    hour = int(time[:2])
    return "오전" if hour < 12 else "오후", f"{hour % 12 or 12}:{time[3:]}"


def _written(minutes: int) -> str:
    hour, minute = divmod(minutes % _DAY, 60)
    return f"{hour:02}:{minute:02}"


def _clock_of(match: re.Match[str]) -> _Clock | None:
    """Return what a match says; None if there is no such time."""
    hour = int(match["hour"])
    minute = int(match["minute"] or match["minute_ko"] or (30 if match["half"] else 0))
    if hour > 24 or minute > 59:
        return None
    half_day = (match["before"] or match["after"] or "").lower().replace(".", "")
    return _Clock(
        hour,
        minute,
        _FIRST_HOURS[half_day] if half_day else None,
        match.end(),
        is_bare=not half_day and not match["unit"],
        is_suffixed=bool(match["after"] and not match["before"]),
        is_padded=match["hour"].startswith("0"),
    )


def _normalise(text: str) -> str:
    """Write characters that look alike as one, a dash for all signs of a range; leave out seconds."""
    text = unicodedata.normalize("NFKC", text[:_READ_LENGTH]).lower().translate(_LOOKALIKES)
    text = _SECONDS.sub(r"\1", " ".join(text.split()))
    return _MINUTES_WITHOUT_UNIT.sub(r"시\1분", text)


def _read_clock(text: str, at: int) -> _Clock | None:
    """Return the clock time at an index of a normalised text, or None."""
    if named := _NAMED.match(text, at):
        return _Clock(12, 0, _NAMED_FIRST_HOURS[named[0]], named.end())
    part = _PART_OF_DAY.match(text, at)
    match = _match_whole_words(text, part.end() if part else at)
    clock = match and _clock_of(match)
    if clock and part:
        return clock._replace(first_hour=_PART_FIRST_HOURS[part[1]], is_bare=False)
    return clock


def _match_whole_words(text: str, at: int) -> re.Match[str] | None:
    """Match a clock time without the beginning of a longer word: `10시 반차`, `2:00 PMO`, `2시간`, `3층`."""
    match = _CLOCK.match(text, at)
    for last in ("after", "half"):
        if match and match[last] and _LONGER_WORD.match(text, match.end()):
            match = _CLOCK.match(text, at, match.start(last))
    if match is None or match["after"] or match["half"] or match["minute_ko"]:
        return match
    if match["minute"]:
        goes_on = text[match.end("unit") : match.end("unit") + 1].isdecimal()
    elif match["unit"]:
        goes_on = text.startswith("시간", match.start("unit"))
    else:
        goes_on = _LONGER_WORD.match(text, match.end("hour")) is not None
    return None if goes_on else match


def _read_end(text: str, at: int) -> _Clock | None:
    """Return the clock time that follows on a sign of a range, or None."""
    until = _UNTIL.match(text, at)
    end = _read_clock(text, until.end()) if until else None
    if end is None or (end.hour == 24 and end.minute):
        return None
    if end.is_bare and not _AFTER_BARE_END.match(text, end.stop):
        return None
    return end


def _start_before(start: _Clock, end: _Clock) -> int:
    """Return the minute at which a range starts: in `9-5pm`, in the half from which 5 pm is ahead."""
    if not end.is_suffixed or start.first_hour is not None or not start.is_of_twelve:
        return start.minutes
    same_half = start._replace(first_hour=end.first_hour).minutes
    return same_half if same_half < end.minutes else (same_half + _HALF_DAY) % _DAY


def _end_after(start_minutes: int, start: _Clock, end: _Clock) -> int:
    """Return the minute at which a range ends, counted from the day on which it starts or from the next."""
    if end.first_hour is not None or not end.is_of_twelve:
        return end.minutes
    if start.first_hour is None and (start.is_padded or end.is_padded or not start.is_of_twelve):
        return end.minutes
    return start_minutes + ((end.minutes - start_minutes) % _HALF_DAY or _HALF_DAY)
