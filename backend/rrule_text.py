"""Recurrence rules as text: RFC 5545's RRULE values, read, checked, and written in one form.

What rules may say is in `rule_checks.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NoReturn, Self

from rule_checks import RuleError as RuleError
from rule_checks import check_parts, common_form, from_the_front, refuse, sort_weekdays
from rule_days import NO_PARTS, WEEKDAYS, ByParts, Frequency, day_pattern

RULE_MAX = 500
COUNT_MAX = 36_600
"""A daily event for a hundred years. Programs that subscribe walk through all of them."""
INTERVAL_MAX = 9_998
"""There are no two years that are further apart."""

_WEEKDAY = re.compile(rf"([+-]?[0-9]{{1,2}})?({'|'.join(WEEKDAYS)})")
_NUMBER = re.compile(r"[+-]?[0-9]{1,3}")
_UNTIL = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?")
_BY_NUMBERS = {
    "BYMONTH": ("month", 12, False),
    "BYWEEKNO": ("week_no", 53, True),
    "BYYEARDAY": ("year_day", 366, True),
    "BYMONTHDAY": ("month_day", 31, True),
    "BYSETPOS": ("set_pos", 366, True),
}
"""The parts that list numbers: their field, the highest number, and whether they may count from the end."""
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "WKST", *_BY_NUMBERS}
_FINER_THAN_DAYS = {"HOURLY", "MINUTELY", "SECONDLY"}
_TIME_PARTS = {"BYHOUR", "BYMINUTE", "BYSECOND"}
_OTHER_CALENDARS = {"RSCALE", "SKIP"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A recurrence rule over dates, as `parse_rule` makes it: checked, sorted, without what has no effect."""

    frequency: Frequency
    interval: int = 1
    by: ByParts = NO_PARTS
    count: int | None = None
    """How many dates the rule gives. A first date of the series that it does not match is not counted."""
    until: date | None = None
    """The last date it may give."""
    week_start: int = 0
    """0 for Monday."""

    def __str__(self) -> str:
        """Write the rule without `RRULE:`. Equal rules have equal texts, and `parse_rule` reads them back."""
        parts = [
            ("FREQ", self.frequency.value),
            ("INTERVAL", str(self.interval) if self.interval > 1 else ""),
            ("BYMONTH", _join(self.by.month)),
            ("BYWEEKNO", _join(self.by.week_no)),
            ("BYYEARDAY", _join(self.by.year_day)),
            ("BYDAY", ",".join(f"{ordinal or ''}{WEEKDAYS[weekday]}" for ordinal, weekday in self.by.day)),
            ("BYMONTHDAY", _join(self.by.month_day)),
            ("BYSETPOS", _join(self.by.set_pos)),
            ("COUNT", str(self.count or "")),
            ("UNTIL", self.until.isoformat().replace("-", "") if self.until else ""),
            ("WKST", WEEKDAYS[self.week_start] if self.week_start else ""),
        ]
        return ";".join(f"{name}={value}" for name, value in parts if value)

    def ending_before(self, day: date) -> Self:
        """Return the rule with the dates before a day only: UNTIL instead of COUNT."""
        eve = day - timedelta(days=1)
        return replace(self, count=None, until=min(eve, self.until or eve))


@lru_cache(4_096)
def parse_rule(text: str, zone: tzinfo = UTC, start_time: str = "") -> Rule:
    """Read an RRULE value, with or without `RRULE:`, in upper or lower case.

    Args:
        text: At most `RULE_MAX` characters.
        zone: The zone of the series; an UNTIL in UTC becomes a date in it.
        start_time: `HH:MM` at which the series begins, empty for all day. An UNTIL that has a time excludes
            its date when it comes before this.

    Raises:
        RuleError: The text is no such value, has parts that are not supported, or matches no date ever.
    """
    parts = _split(text)
    frequency = _frequency(parts.get("FREQ"))
    if "COUNT" in parts and "UNTIL" in parts:
        refuse("COUNT와 UNTIL은 함께 쓸 수 없습니다. 하나만 쓰세요.")
    by = ByParts(
        day=_weekdays(parts["BYDAY"]) if "BYDAY" in parts else (),
        **{
            field: _numbers(name, parts[name]) for name, (field, _, _) in _BY_NUMBERS.items() if name in parts
        },
    )
    week_start = _week_start(parts.get("WKST", "MO"))
    check_parts(frequency, by)
    by = common_form(frequency, by, week_start)
    interval = _bounded("INTERVAL", parts.get("INTERVAL", "1"), INTERVAL_MAX)
    if not by.week_no and (frequency != Frequency.WEEKLY or interval == 1):
        week_start = 0
    rule = Rule(
        frequency=frequency,
        interval=interval,
        by=by,
        count=_bounded("COUNT", parts["COUNT"], COUNT_MAX) if "COUNT" in parts else None,
        until=_until(parts["UNTIL"], zone, start_time) if "UNTIL" in parts else None,
        week_start=week_start,
    )
    # A series that is split gets an UNTIL, for which there has to be room.
    if len(str(replace(rule, count=None, until=date.max))) > RULE_MAX:
        _refuse_length()
    several = sum(map(bool, by)) > 1  # One part alone always matches.
    if several and not day_pattern(frequency, by, week_start, date(2000, 1, 1)).matches_ever():
        refuse("이 규칙에 맞는 날짜는 없습니다.")
    return rule


def _refuse_length() -> NoReturn:
    refuse(f"반복 규칙은 {RULE_MAX}자 이하여야 합니다.")


def _join(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _split(text: str) -> dict[str, str]:
    if len(text) > RULE_MAX:
        _refuse_length()
    value = text.strip().upper().removeprefix("RRULE:").removesuffix(";")
    parts: dict[str, str] = {}
    for part in value.split(";"):
        name, equals, content = (piece.strip() for piece in part.partition("="))
        if not (name and equals and content):
            refuse("반복 규칙은 'FREQ=WEEKLY;BYDAY=MO'처럼 RFC 5545의 형식으로 써야 합니다.")
        if name in parts:
            refuse(f"{name} 항목이 두 번 나옵니다.")
        if name in _TIME_PARTS:
            refuse(f"{name} 항목은 쓸 수 없습니다. 시각은 일정의 시작 시각으로 정합니다.")
        if name in _OTHER_CALENDARS:
            refuse(f"{name} 항목은 쓸 수 없습니다. 반복 규칙은 그레고리력(양력)만 따릅니다.")
        if name not in _PARTS:
            refuse(f"반복 규칙에 알 수 없는 항목이 있습니다: {name[:20]}")
        parts[name] = content
    return parts


def _frequency(value: str | None) -> Frequency:
    if value is None:
        refuse("반복 규칙에 FREQ 항목이 없습니다.")
    if value in _FINER_THAN_DAYS:
        refuse("하루보다 짧은 간격(HOURLY, MINUTELY, SECONDLY)으로는 반복할 수 없습니다.")
    if value not in Frequency.__members__:
        refuse("FREQ는 DAILY, WEEKLY, MONTHLY, YEARLY 가운데 하나여야 합니다.")
    return Frequency(value)


def _bounded(name: str, value: str, highest: int) -> int:
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= highest):
        refuse(f"{name} 값은 1부터 {highest:,}까지의 정수여야 합니다.")
    return int(value)


def _until(value: str, zone: tzinfo, start_time: str) -> date:
    match = _UNTIL.fullmatch(value)
    try:
        if not match:
            raise ValueError(value)
        moment = datetime.strptime(match[1] + (match[2] or "235959"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - local
        if match[3]:
            moment = moment.replace(tzinfo=UTC).astimezone(zone)
        excluded = timedelta(days=1 if f"{moment:%H:%M}" < start_time else 0)
        return moment.date() - excluded
    except (ValueError, OverflowError):
        raise RuleError("UNTIL은 '20261231'이나 '20261231T145959Z'처럼 써야 합니다.") from None


def _numbers(name: str, value: str) -> tuple[int, ...]:
    _, highest, from_the_end = _BY_NUMBERS[name]
    texts = [text.strip() for text in value.split(",")]
    numbers = {int(text) for text in texts if _NUMBER.fullmatch(text)}
    lowest = -highest if from_the_end else 1
    if not all(map(_NUMBER.fullmatch, texts)) or not all(lowest <= n <= highest and n for n in numbers):
        also = f"이나 -{highest}부터 -1" if from_the_end else ""
        refuse(f"{name}에는 1부터 {highest}{also}까지의 정수를 쉼표로 나누어 써야 합니다.")
    return tuple(sorted(numbers, key=from_the_front))


def _weekdays(value: str) -> tuple[tuple[int, int], ...]:
    days = set()
    for text in value.split(","):
        match = _WEEKDAY.fullmatch(text.strip())
        if not match or (match[1] and not 1 <= abs(int(match[1])) <= 53):
            refuse(
                "BYDAY에는 MO, TU, WE, TH, FR, SA, SU를 쉼표로 나누어 써야 합니다. 예: MO,WE 또는 2TU, -1FR"
            )
        days.add((int(match[1] or 0), WEEKDAYS.index(match[2])))
    return sort_weekdays(days)


def _week_start(value: str) -> int:
    if value not in WEEKDAYS:
        refuse("WKST는 MO, TU, WE, TH, FR, SA, SU 가운데 하나여야 합니다.")
    return WEEKDAYS.index(value)
