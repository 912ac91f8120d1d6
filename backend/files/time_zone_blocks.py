"""The VTIMEZONE of a zone for the years of a file: short, and right beyond them where the clocks keep a rule.

Not by `icalendar.Timezone.from_tzid` (7.3): it lists each change of the clocks instead of the rule, and lets
summer time begin an hour late (`DTSTART:20260308T030000` for New York, where it is 02:00 until then).
"""

from bisect import bisect_left
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from files.ical_text import content_lines
from rule_days import WEEKDAYS

FIRST_YEAR = 1970
"""The tz database vouches for no earlier year, and the local mean times of then have seconds."""
LAST_YEAR = 2100
"""By then the clocks of every zone keep one rule."""
YEARS_AHEAD = 10
"""Years after the last one that are looked at: they show the rule, and cover a series without end."""
SHORTEST_RULE = 3
"""Years in which the clocks must keep a rule for it to be written as one."""

_STEP = 7 * 86_400
"""Seconds. No zone changed its clocks twice in so short a time since 1970."""
_LAST_WEEK = 0
_NUMBERS = {1: 1, 8: 2, 15: 3, _LAST_WEEK: -1, 22: 4}
"""The number that RFC 5545 has for a weekday in the seven days from a day of the month on."""


class _Change(NamedTuple):
    """A change of the clocks: what they are set from and to, and when, by the clocks before it."""

    at: datetime
    offset_from: timedelta
    offset_to: timedelta
    name: str
    daylight: bool

    def weeks(self) -> set[int]:
        """Return the first days of all seven days of the month in which the weekday falls on this date."""
        last = monthrange(self.at.year, self.at.month)[1] - 6
        weeks = set(range(max(self.at.day - 6, 1), min(self.at.day, last) + 1))
        return weeks | {_LAST_WEEK} if self.at.day >= last else weeks

    def follows(self, other: "_Change") -> bool:
        """Tell whether this is a year later, in the same month, on the same weekday at the same time."""
        return (self.at.year, self.at.month, self.at.weekday(), self.at.time()) == (
            other.at.year + 1,
            other.at.month,
            other.at.weekday(),
            other.at.time(),
        )

    def rule(self, weeks: set[int]) -> str:
        """Return the rule of changes like this one that all fall into one of these weeks."""
        plain = sorted(weeks & _NUMBERS.keys())
        day = WEEKDAYS[self.at.weekday()]
        if plain:
            return f"FREQ=YEARLY;BYMONTH={self.at.month};BYDAY={_NUMBERS[plain[0]]}{day}"
        days = ",".join(str(min(weeks) + n) for n in range(7))
        return f"FREQ=YEARLY;BYMONTH={self.at.month};BYDAY={day};BYMONTHDAY={days}"


@lru_cache(512)
def time_zone_block(zone: ZoneInfo, first_year: int, last_year: int) -> bytes:
    """Return the VTIMEZONE for times from the first year to the last.

    Where the clocks keep no rule that can be written (Africa/Casablanca, Africa/Cairo), it is right until ten
    years after the last year.
    """
    first = min(max(first_year, FIRST_YEAR), LAST_YEAR - YEARS_AHEAD)
    last = min(max(last_year, first) + YEARS_AHEAD, LAST_YEAR)
    # The changes of the year before say what holds in January.
    changes = list(_changes(zone, first - 1, last))
    lines = [f"TZID:{zone.key}"]
    if not changes or changes[0].at.year >= first:
        january = datetime(first, 1, 1, tzinfo=zone)
        lines += _observance([_change(january, january)._replace(at=january.replace(tzinfo=None))], "")
    for run, rule in sorted(_runs(changes)):
        ends = run[-1].at.year < last
        until = f";UNTIL={run[-1].at - run[-1].offset_from:%Y%m%dT%H%M%SZ}" if ends else ""
        lines += _observance(run, rule and f"RRULE:{rule}{until}")
    return content_lines(["BEGIN:VTIMEZONE", *lines, "END:VTIMEZONE"])


def _changes(zone: ZoneInfo, first_year: int, last_year: int) -> Iterator[_Change]:
    def offset(second: int) -> timedelta:
        return datetime.fromtimestamp(second, zone).utcoffset() or timedelta()

    first, last = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (first_year, last_year + 1))
    for begin in range(first, last, _STEP):
        before = offset(begin)
        if offset(begin + _STEP) != before:
            second = bisect_left(range(begin, begin + _STEP), True, key=lambda s: offset(s) != before) + begin
            yield _change(datetime.fromtimestamp(second - 1, zone), datetime.fromtimestamp(second, zone))


def _change(before: datetime, after: datetime) -> _Change:
    """Return the change of the clocks between two seconds that follow one another."""
    offset_from, offset_to = before.utcoffset() or timedelta(), after.utcoffset() or timedelta()
    # Some zones count summer time as the normal one, and winter as an hour less: Europe/Dublin.
    daylight = offset_to > offset_from and before.dst() != after.dst()
    at = before.replace(tzinfo=None) + timedelta(seconds=1)
    return _Change(at, offset_from, offset_to, after.tzname() or "", daylight)


def _runs(changes: Iterable[_Change]) -> Iterator[tuple[list[_Change], str]]:
    """Divide changes into those that one sub-component can hold, each with its yearly rule, if it has one."""
    alike: defaultdict[tuple[object, ...], list[_Change]] = defaultdict(list)
    for change in changes:
        alike[change[1:]].append(change)
    for group in alike.values():
        irregular = []
        for run, rule in _regular_runs(group):
            if len(run) < SHORTEST_RULE:
                irregular += run
            else:
                yield run, rule
        if irregular:
            yield irregular, ""


def _regular_runs(changes: Sequence[_Change]) -> Iterator[tuple[list[_Change], str]]:
    run, weeks = [changes[0]], changes[0].weeks()
    for change in changes[1:]:
        if change.follows(run[-1]) and weeks & change.weeks():
            run.append(change)
            weeks &= change.weeks()
        else:
            yield run, run[0].rule(weeks)
            run, weeks = [change], change.weeks()
    yield run, run[0].rule(weeks)


def _observance(changes: Sequence[_Change], rule: str) -> list[str]:
    first = changes[0]
    name = "DAYLIGHT" if first.daylight else "STANDARD"
    # Beside RDATE ical.js 2.2 overlooks DTSTART, and of a list it takes the first date only.
    dates = [f"RDATE:{change.at:%Y%m%dT%H%M%S}" for change in changes] if len(changes) > 1 else []
    return [
        f"BEGIN:{name}",
        f"DTSTART:{first.at:%Y%m%dT%H%M%S}",
        *([rule] if rule else dates),
        f"TZNAME:{first.name}",
        f"TZOFFSETFROM:{_offset(first.offset_from)}",
        f"TZOFFSETTO:{_offset(first.offset_to)}",
        f"END:{name}",
    ]


def _offset(offset: timedelta) -> str:
    minutes, seconds = divmod(abs(int(offset.total_seconds())), 60)
    return f"{'-' if offset < timedelta() else '+'}{minutes // 60:02}{minutes % 60:02}" + (
        f"{seconds:02}" if seconds else ""
    )
