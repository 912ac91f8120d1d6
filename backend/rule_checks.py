"""What the parts of a recurrence rule may say together, and the form that programs read alike."""

from collections.abc import Iterable
from typing import NoReturn

from rule_days import ByParts, Frequency


class RuleError(ValueError):
    """The text is no recurrence rule that this server can keep; says why in Korean."""


def refuse(message: str) -> NoReturn:
    raise RuleError(message)


def from_the_front(number: int) -> tuple[bool, int]:
    """Return the sort key of numbers that may count from the end, for the order `1,15,-1`."""
    return number < 0, number


def sort_weekdays(days: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(days, key=lambda day: (from_the_front(day[0]), day[1])))


def check_parts(frequency: Frequency, by: ByParts) -> None:
    """Refuse what RFC 5545, 3.3.10, forbids, and what has no meaning."""
    ordinals = [abs(ordinal) for ordinal, _ in by.day if ordinal]
    of_months = frequency == Frequency.MONTHLY or bool(by.month)
    if by.week_no and frequency != Frequency.YEARLY:
        refuse("BYWEEKNO는 FREQ=YEARLY와만 쓸 수 있습니다.")
    if by.year_day and frequency != Frequency.YEARLY:
        refuse("BYYEARDAY는 FREQ=YEARLY와만 쓸 수 있습니다.")
    if by.month_day and frequency == Frequency.WEEKLY:
        refuse("BYMONTHDAY는 FREQ=WEEKLY와 함께 쓸 수 없습니다.")
    if ordinals and frequency not in (Frequency.MONTHLY, Frequency.YEARLY):
        refuse("BYDAY의 순서(예: 2TU)는 FREQ=MONTHLY나 FREQ=YEARLY와만 쓸 수 있습니다.")
    if ordinals and by.week_no:
        refuse("BYDAY의 순서(예: 2TU)는 BYWEEKNO와 함께 쓸 수 없습니다.")
    if ordinals and of_months and max(ordinals) > 5:
        refuse("한 달에 같은 요일은 다섯 번까지입니다. BYDAY의 순서는 -5부터 5까지여야 합니다.")
    if ordinals and len(ordinals) < len(by.day) and not of_months:
        refuse("BYDAY에 순서가 있는 요일과 없는 요일을 섞으려면 BYMONTH도 써야 합니다.")
    if by.set_pos and not any(by._replace(set_pos=())):
        refuse("BYSETPOS는 다른 BY 항목과 함께 써야 합니다.")
    if by.set_pos and frequency == Frequency.WEEKLY and by.month:
        refuse("FREQ=WEEKLY에서는 BYSETPOS와 BYMONTH를 함께 쓸 수 없습니다.")


def common_form(frequency: Frequency, by: ByParts, week_start: int) -> ByParts:
    """Return parts of the same meaning, without what dateutil or ical.js reads in a way of its own.

    Raises:
        RuleError: BYSETPOS names only positions that no set has.
    """
    by = _with_common_positions(frequency, by, week_start)
    return by._replace(day=_ordinals_alone(by.day))


def _with_common_positions(frequency: Frequency, by: ByParts, week_start: int) -> ByParts:
    """Drop positions that no set has, and say those of weeks by BYDAY: all weeks have the same set.

    There, ical.js ignores BYSETPOS, and dateutil counts in the first week from the first date.
    """
    of_month = min(5 * len(by.day) or 31, len(by.month_day) or 31)
    sizes = {Frequency.DAILY: 1, Frequency.WEEKLY: len(by.day), Frequency.MONTHLY: of_month}
    largest = sizes.get(frequency, 366)
    positions = tuple(position for position in by.set_pos if abs(position) <= largest)
    if by.set_pos and not positions:
        refuse("BYSETPOS의 순서에 해당하는 날짜가 없습니다.")
    if frequency == Frequency.DAILY:
        return by._replace(set_pos=())
    if frequency == Frequency.WEEKLY and positions:
        week = sorted(by.day, key=lambda day: (day[1] - week_start) % 7)
        chosen = {week[position - 1 if position > 0 else position] for position in positions}
        return by._replace(day=sort_weekdays(chosen), set_pos=())
    return by._replace(set_pos=positions)


def _ordinals_alone(days: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Say `MO,1TU` of months as `1MO,1TU,2MO,…`: dateutil takes the days that are both, which are none."""
    if not any(ordinal for ordinal, _ in days):
        return days
    return sort_weekdays(
        {(each, weekday) for ordinal, weekday in days for each in ((ordinal,) if ordinal else range(1, 6))}
    )
