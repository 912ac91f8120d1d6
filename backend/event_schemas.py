"""The shapes of calendar entries that clients send. What belongs together in them is in `event_fields`."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from field_types import (
    TEXT_PATTERN,
    ChosenId,
    Description,
    IsoDate,
    TimeText,
    Title,
    Url,
    clean_line,
    clean_text,
    described,
    iso_date,
)
from rrule_text import RULE_MAX, RuleError, parse_rule
from schemas import READ_ONLY, Input

LOCATION_MAX = 200
CATEGORY_MAX = 30
EXDATES_MAX = 400
CLOCK_PATTERN = "^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9])?$"
_CLOCK = re.compile(CLOCK_PATTERN)


def _optional_date(value: str) -> str:
    return value and iso_date(value)


def _clock(value: str) -> str:
    if _CLOCK.fullmatch(value):
        return value
    raise PydanticCustomError("invalid_clock", "00:00부터 23:59까지의 HH:MM 형식이어야 합니다.")


def _rule(value: str) -> str:
    """Return a rule as it is; its last date depends on the event, so that it is settled there."""
    try:
        if value:
            parse_rule(value)
    except RuleError as error:
        raise PydanticCustomError("invalid_rrule", "{reason}", {"reason": str(error)}) from error
    return value


def _in_order(dates: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(dates)))


EndDate = Annotated[
    str,
    BeforeValidator(clean_line),
    AfterValidator(_optional_date),
    described("^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})?$", "2024-01-20", "마지막 날짜. 하루면 빈 값"),
]
StartTime = Annotated[
    str,
    BeforeValidator(clean_line),
    AfterValidator(_clock),
    described(CLOCK_PATTERN, "14:00", "부서의 시간대로 시작하는 시각"),
]
EndTime = Annotated[
    str,
    BeforeValidator(clean_line),
    AfterValidator(_clock),
    described(CLOCK_PATTERN, "15:30", "끝나는 시각. end_date 없이 시작보다 이르면 다음 날"),
]
Location = Annotated[
    str,
    StringConstraints(max_length=LOCATION_MAX),
    BeforeValidator(clean_line),
    described(TEXT_PATTERN, "회의실 3층"),
]
Category = Annotated[
    str,
    StringConstraints(max_length=CATEGORY_MAX),
    BeforeValidator(clean_line),
    described(TEXT_PATTERN, "회의"),
]
Rrule = Annotated[
    str,
    StringConstraints(max_length=RULE_MAX),
    BeforeValidator(clean_line),
    AfterValidator(_rule),
    described(TEXT_PATTERN, "", "반복 규칙(RFC 5545). 예: `FREQ=WEEKLY;BYDAY=MO`"),
]
_Exdate = Annotated[
    str,
    BeforeValidator(clean_text),
    AfterValidator(iso_date),
    # Without the format `date`: generated C# clients take times for the dates of a list.
    described("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2024-01-20"),
]
Exdates = Annotated[
    tuple[_Exdate, ...],
    Field(
        strict=False,  # JSON has lists only
        max_length=EXDATES_MAX,
        description="반복에서 빠진 날짜",
        json_schema_extra={"examples": [[]]},
    ),
    AfterValidator(_in_order),
]


class EventChange(Input):
    """The fields of a calendar entry to change; what is left out stays."""

    ignored = READ_ONLY
    event_date: IsoDate = ""
    title: Title = ""
    description: Description = ""
    time: TimeText = ""
    url: Url = ""
    end_date: EndDate = ""
    start_time: StartTime = ""
    end_time: EndTime = ""
    location: Location = ""
    category: Category = ""
    rrule: Rrule = ""
    exdates: Exdates = ()


class EventNew(EventChange):
    """A calendar entry to create."""

    ignored = READ_ONLY - {"id"}
    id: ChosenId | None = Field(default=None, exclude_if=lambda value: value is None)
    event_date: IsoDate
    title: Title
