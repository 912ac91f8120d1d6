"""The days of a year that the BYxxx parts of a recurrence rule name, by dateutil.

Knows neither INTERVAL, COUNT and UNTIL (recurrence.py) nor the text of rules (rrule_text.py).
"""

import calendar
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from functools import lru_cache, reduce
from operator import or_
from typing import NamedTuple

from dateutil import rrule

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
"""As RFC 5545 writes them, in the order of `date.weekday`."""

_CYCLE = 400
"""After as many years the Gregorian calendar repeats itself, weekdays included."""
_NEVER_AGAIN = date.max.year
"""An interval after which dateutil ends. Without it a rule that matches no day would run to the year 9999."""
EVERY_DAY = -1
"""The days of a year as bits, all of them set."""
_ALL_WEEKDAYS = tuple((0, weekday) for weekday in range(7))


class Frequency(StrEnum):
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


class ByParts(NamedTuple):
    """The BYxxx parts of a rule; an absent one is empty."""

    month: tuple[int, ...] = ()
    week_no: tuple[int, ...] = ()
    year_day: tuple[int, ...] = ()
    day: tuple[tuple[int, int], ...] = ()
    """Pairs of an ordinal, 0 for every week, and a weekday, 0 for Monday."""
    month_day: tuple[int, ...] = ()
    set_pos: tuple[int, ...] = ()


NO_PARTS = ByParts()


class DayPattern(NamedTuple):
    """What decides which days of a year match."""

    by: ByParts
    sets_of_months: bool
    """Whether BYSETPOS counts in each month, not in the year."""
    week_start: int
    """WKST, which BYWEEKNO needs; 0 for Monday."""

    def days_of(self, year: int) -> int:
        """Return the days of a year that match, as bits: bit 0 is 1 January."""
        return _matching_days(self, _similar_year(year % _CYCLE))

    def matches_ever(self) -> bool:
        return any(self.days_of(year) for year in range(_CYCLE))


def day_pattern(frequency: Frequency, by: ByParts, week_start: int, start: date) -> DayPattern:
    """Return the pattern of a rule; what the rule leaves open comes from its first date (RFC 5545, 3.3.10).

    Daily and weekly rules must have no BYSETPOS: `rule_checks.common_form` leaves none there.
    """
    if not (by.week_no or by.year_day or by.day or by.month_day):
        if frequency == Frequency.DAILY:
            by = by._replace(day=_ALL_WEEKDAYS)
        elif frequency == Frequency.WEEKLY:
            by = by._replace(day=((0, start.weekday()),))
        elif frequency == Frequency.MONTHLY:
            by = by._replace(month_day=(start.day,))
        else:
            by = by._replace(month=by.month or (start.month,), month_day=(start.day,))
    if (
        frequency == Frequency.MONTHLY
        and not by.month
        and (by.set_pos or any(ordinal for ordinal, _ in by.day))
    ):
        by = by._replace(month=tuple(range(1, 13)))  # ordinals and sets are of months then
    monthly_sets = frequency == Frequency.MONTHLY and bool(by.set_pos)
    return DayPattern(by, monthly_sets, week_start if by.week_no else 0)


@lru_cache(_CYCLE)
def _similar_year(year: int) -> int:
    """Return a year with the same calendar, one for all years of its kind.

    There are 14 kinds, so a rule is expanded as often at most; and dateutil stays off the years 1 and 9999,
    beyond which it would look.
    """

    def kind(of_year: int) -> tuple[int, bool]:
        return date(of_year, 1, 1).weekday(), calendar.isleap(of_year)

    wanted = kind(2000 + year)
    return next(similar for similar in range(2000, 2000 + _CYCLE) if kind(similar) == wanted)


@lru_cache(4_096)
def _matching_days(pattern: DayPattern, year: int) -> int:
    by = pattern.by
    if by.set_pos:
        periods = [(month,) for month in by.month] if pattern.sets_of_months else [by.month]
        sets = [_expand(by._replace(month=months), pattern.week_start, year) for months in periods]
        return reduce(or_, sets)
    days = EVERY_DAY
    for alternatives in _conditions(by):
        days &= reduce(or_, [_expand(parts, pattern.week_start, year) for parts in alternatives])
    return days


def _conditions(by: ByParts) -> Iterator[list[ByParts]]:
    """Yield alternatives, one of each of which a day has to match, when there is no BYSETPOS.

    Different rules share them, so that few are expanded for many rules.
    """
    if by.month:
        yield [ByParts(month=by.month, day=_ALL_WEEKDAYS)]
    if by.week_no:
        yield [ByParts(week_no=by.week_no)]
    if by.year_day:
        yield [ByParts(year_day=by.year_day)]
    if by.month_day:
        yield [ByParts(month_day=by.month_day)]
    if by.day:
        yield [ByParts(month=by.month if day[0] else (), day=(day,)) for day in by.day]


# dateutil 2.9 takes the days before the first week of some years for week 53 instead of 52, and the other way
# round. So do the programs that are built on it.
@lru_cache(4_096)
def _expand(by: ByParts, week_start: int, year: int) -> int:
    january_1 = date(year, 1, 1)
    matches = rrule.rrule(
        rrule.YEARLY,
        dtstart=january_1,
        interval=_NEVER_AGAIN,
        wkst=week_start,
        bymonth=by.month or None,
        byweekno=by.week_no or None,
        byyearday=by.year_day or None,
        byweekday=[rrule.weekday(weekday, ordinal or None) for ordinal, weekday in by.day] or None,
        bymonthday=by.month_day or None,
        bysetpos=by.set_pos or None,
    )
    return reduce(or_, (1 << (match.toordinal() - january_1.toordinal()) for match in matches), 0)
