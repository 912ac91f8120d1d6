"""How an event of an iCalendar file is repeated: its rule, and the dates that are removed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

from files.ical_moments import Clock, Moment, later, own_date
from files.ical_properties import Properties, Unreadable
from recurrence import is_occurrence
from rrule_text import Rule, RuleError, parse_rule
from rule_checks import sort_weekdays
from rule_days import Frequency

RECURRENCE_PROPERTIES = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE"})
LISTED_MAX = 1_000
"""Dates that RDATE or EXDATE may list; a series keeps fewer."""


def read_recurrence(properties: Properties, clock: Clock, start: Moment) -> dict[str, Any]:
    """Return `rrule`, as events have it, and `exdates`, sorted ISO dates.

    Raises `Unreadable` for what no rule of an event can say.
    """
    if properties.all("EXRULE"):
        raise Unreadable("제외 규칙(EXRULE)이 있는 반복은 가져올 수 없습니다.")
    rules = {found.value.strip() for found in properties.all("RRULE")}
    if len(rules) > 1:
        raise Unreadable("반복 규칙(RRULE)이 둘 이상인 일정은 가져올 수 없습니다.")
    rule = _read_rule(rules.pop(), clock, start) if rules else None
    _check_added(properties, clock, start, rule)
    if rule is None:
        return {"rrule": "", "exdates": ()}
    shift = clock.local_date(start) - own_date(start)
    removed = {
        clock.local_date(moment if isinstance(moment, datetime) else later(moment, shift))
        for moment in _listed("EXDATE", properties, clock)
    }
    return {"rrule": str(rule), "exdates": tuple(day.isoformat() for day in sorted(removed))}


def _read_rule(text: str, clock: Clock, start: Moment) -> Rule:
    """Read a rule where the event takes place, as that is where it counts its days."""
    try:
        if not isinstance(start, datetime):
            return parse_rule(text, clock.department)
        rule = parse_rule(text, start.tzinfo or UTC, f"{start:%H:%M}")
        return rule if start.tzinfo is clock.department else _moved(rule, clock, start)
    except RuleError as error:
        raise Unreadable(str(error)) from None


def _moved(rule: Rule, clock: Clock, start: datetime) -> Rule:
    """Return a rule of another zone in that of the department: its dates may be the days before or after.

    The times of all occurrences become that of the first, whatever the clocks do in either zone.
    """
    shift = clock.local_date(start) - start.date()
    if any(clock.local_date(moment) - moment.date() != shift for moment in _through_the_year(start)):
        raise Unreadable("다른 시간대의 반복이라 부서의 시간대에서는 날짜가 서머타임에 따라 달라집니다.")
    if not shift:
        return rule
    is_of_weeks = rule.frequency in (Frequency.DAILY, Frequency.WEEKLY)
    if not is_of_weeks or any(rule.by._replace(day=())):
        raise Unreadable("다른 시간대의 반복이라 부서의 시간대에서는 반복 규칙과 날짜가 맞지 않습니다.")
    weekdays = tuple((ordinal, (weekday + shift.days) % 7) for ordinal, weekday in rule.by.day)
    try:
        moved = replace(
            rule,
            by=rule.by._replace(day=sort_weekdays(weekdays)),
            week_start=(rule.week_start + shift.days) % 7,
            until=rule.until + shift if rule.until else None,
        )
    except OverflowError:
        raise Unreadable("반복이 달력(1년~9999년)을 벗어납니다.") from None
    return parse_rule(str(moved))


def _through_the_year(start: datetime) -> Iterator[datetime]:
    return (start.replace(month=month, day=1) for month in range(1, 13))


def _check_added(properties: Properties, clock: Clock, start: Moment, rule: Rule | None) -> None:
    """Refuse added dates (RDATE), but for those that the rule gives anyway, and the first."""
    first = clock.local_date(start)
    for moment in _listed("RDATE", properties, clock):
        day = clock.local_date(moment)
        is_given = day == first or (rule and is_occurrence(rule, first, day))
        if not is_given or _time_of(moment, clock) != _time_of(start, clock):
            raise Unreadable("규칙에 없는 날짜를 더한 반복(RDATE)은 가져올 수 없습니다.")


def _time_of(moment: Moment, clock: Clock) -> time | None:
    return clock.local(moment).time() if isinstance(moment, datetime) else None


def _listed(name: str, properties: Properties, clock: Clock) -> Iterator[Moment]:
    found = properties.all(name)
    if sum(listed.value.count(",") + 1 for listed in found) > LISTED_MAX:
        raise Unreadable(f"{name}에 날짜가 너무 많습니다. {LISTED_MAX:,}개까지 읽을 수 있습니다.")
    for listed in found:
        yield from clock.read_list(name, listed)
