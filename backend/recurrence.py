"""The dates of a series: its first date, and those that its rule gives after it.

Dates only, from year 1 to 9999: times and zones matter in files alone. The first date is an occurrence even
if the rule does not match it. COUNT then does not count it: RFC 5545 leaves that open, dateutil and ical.js
agree.
"""

from calendar import isleap, monthrange
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cached_property, lru_cache
from itertools import islice
from typing import Literal

from rrule_text import Rule
from rule_days import EVERY_DAY, Frequency, day_pattern

COUNT_YEARS = 400
"""After so many years a rule with a COUNT ends: each of them has to be walked through."""


def occurrences(rule: Rule, start: date, first: date, last: date, most: int | None = None) -> list[date]:
    """Return the dates of a series from `first` to `last`, both included, sorted; at most `most`."""
    return list(islice(_series(rule, start).dates(first, last), most))


def is_occurrence(rule: Rule, start: date, day: date) -> bool:
    return bool(occurrences(rule, start, day, day))


def last_occurrence(rule: Rule, start: date) -> date | None:
    """Return the last date of a series; None if it has no end."""
    return None if rule.count is None and rule.until is None else _series(rule, start).last_date()


def count_before(rule: Rule, start: date, day: date) -> int:
    """Return how many dates of a series come before a day."""
    return _series(rule, start).count_before(day)


def matches_start(rule: Rule, start: date) -> bool:
    """Return whether the rule itself gives the first date of the series.

    If not, other programs show that date only when a file names it beside the rule (RDATE).
    """
    return _series(rule, start).matches_start


def rest_from(rule: Rule, start: date, day: date) -> Rule:
    """Return the rule of a new series that begins on a later occurrence: COUNT becomes what is left of it."""
    if rule.count is None:
        return rule
    uncounted = 0 if matches_start(rule, start) else 1
    return replace(rule, count=rule.count - count_before(rule, start, day) + uncounted)


class _Series:
    """A rule with its first date. The days of years come from the BYxxx parts, INTERVAL skips some here.

    So no past has to be walked through, except to count.
    """

    def __init__(self, rule: Rule, start: date) -> None:
        self._rule = rule
        self._start = start
        self._first_day = start.toordinal()
        self._pattern = day_pattern(rule.frequency, rule.by, rule.week_start, start)
        self._until = (rule.until or date.max).toordinal()

    @cached_property
    def matches_start(self) -> bool:
        january_1 = date(self._start.year, 1, 1).toordinal()
        days = self._days_of(self._start.year, january_1) >> (self._first_day - january_1)
        return self._first_day <= self._until and bool(days & 1)

    @cached_property
    def _last_day(self) -> int:
        if self._rule.count is None:
            return self._until
        return self._day_of_count(self._rule.count - self.matches_start)

    def dates(self, first: date, last: date) -> Iterator[date]:
        if first <= self._start <= last:
            yield self._start
        for day_0, days in self._years(first.toordinal(), min(last.toordinal(), self._last_day)):
            for day in _set_bits(days):
                yield date.fromordinal(day_0 + day)

    def last_date(self) -> date:
        for day_0, days in self._years(self._first_day, self._last_day, -1):
            return date.fromordinal(day_0 + days.bit_length() - 1)
        return self._start

    def count_before(self, day: date) -> int:
        after_start = sum(
            days.bit_count()
            for _, days in self._years(self._first_day, min(day.toordinal() - 1, self._last_day))
        )
        return after_start + (self._start < day)

    def _day_of_count(self, count: int) -> int:
        """Return the day on which the rule has given so many dates after the start, or has to end."""
        if not count:
            return self._first_day
        last_day = date(min(self._start.year + COUNT_YEARS, date.max.year), 12, 31).toordinal()
        for day_0, days in self._years(self._first_day, last_day):
            if count <= days.bit_count():
                return day_0 + next(islice(_set_bits(days), count - 1, None))
            count -= days.bit_count()
        return last_day

    def _years(self, first_day: int, last_day: int, step: Literal[1, -1] = 1) -> Iterator[tuple[int, int]]:
        """Yield the days in a range that the rule gives after the start, as bits, and the day of bit 0.

        One pair for each year that has any, the last year first when `step` is -1. Days that are not bits are
        numbered as by `date.toordinal`.
        """
        first_day = max(first_day, self._first_day + 1)
        if first_day > last_day:
            return
        years = range(date.fromordinal(first_day).year, date.fromordinal(last_day).year + 1)
        for year in years[::step]:
            january_1 = date(year, 1, 1).toordinal()
            day_0 = max(first_day, january_1)
            within = (1 << min(last_day - day_0 + 1, 366)) - 1
            days = self._days_of(year, january_1) >> (day_0 - january_1) & within
            if days:
                yield day_0, days

    def _days_of(self, year: int, january_1: int) -> int:
        return self._pattern.days_of(year) & self._in_interval(year, january_1)

    def _in_interval(self, year: int, january_1: int) -> int:
        interval = self._rule.interval
        if interval == 1:
            return EVERY_DAY
        if self._rule.frequency == Frequency.DAILY:
            return _recurring_bits((self._first_day - january_1) % interval, interval, 1)
        if self._rule.frequency == Frequency.WEEKLY:
            week = self._first_day - (self._start.weekday() - self._rule.week_start) % 7
            # From 6 days before the year: its first days can be the end of a week.
            return _recurring_bits((week - january_1 + 6) % (7 * interval) - 6, 7 * interval, 7)
        if self._rule.frequency == Frequency.MONTHLY:
            months = 12 * (self._start.year - year) + self._start.month - 1
            return _recurring_months(months % interval, interval, isleap(year))
        return 0 if (year - self._start.year) % interval else EVERY_DAY


@lru_cache(8_192)
def _series(rule: Rule, start: date) -> _Series:
    return _Series(rule, start)


@lru_cache(1_024)
def _recurring_bits(first: int, step: int, length: int) -> int:
    """Return the bits of a year with as many set, every so many from `first` on, which is -6 at least."""
    bits = 0
    for position in range(first, 366, step):
        bits |= ((1 << length) - 1) << (position + 6)
    return bits >> 6


@lru_cache(1_024)
def _recurring_months(first: int, step: int, of_leap_year: bool) -> int:
    january_1 = date(2000 if of_leap_year else 2001, 1, 1)
    bits = 0
    for month in range(1 + first, 13, step):
        begin = january_1.replace(month=month)
        bits |= ((1 << monthrange(begin.year, month)[1]) - 1) << (begin - january_1).days
    return bits


def _set_bits(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
