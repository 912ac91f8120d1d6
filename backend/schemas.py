"""The shapes that clients send: their fields, limits and the Korean sentence for each broken rule.

Every check of input is here, for REST, Socket.IO and the migration alike.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from domain import EventFilter, parse_page_token
from errors import InvalidId, ValidationFailed

NAME_MAX = 100
TITLE_MAX = 200
DESCRIPTION_MAX = 10_000
TIME_MAX = 50
URL_MAX = 2_048
CHANGES_MAX = 1_000
PAGE_MAX = 2_500
KEY_MAX = 255
BODY_MAX = 1024 * 1024
MARKS_MAX = 30
MARKED_MAX = 1_000
"""Longer texts may hold no more combining marks in a row: sorting a run takes the square of its length."""
DETAILS_MAX = 100

ECHOED = frozenset({"id", "department_id", "created_at", "last_modified", "updated_at", "revision"})
"""Fields of answers that a client may send back; the server knows better and ignores them."""

UUID_PATTERN = r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
_UUID = re.compile(UUID_PATTERN)
_CONTROL = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
"""Control characters that are no white space."""
_UNFIT = re.compile(rf"[{_CONTROL}\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs."""

# What the OpenAPI document says of texts, in what all dialects of regular expressions share. The server
# itself reads texts by the functions below.
_BLANK = r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Control characters and white space."""
_SEPARATORS = (
    r"/?#@:\[\]\u2047-\u2049\u2100\u2101\u2105\u2106\u2a74"
    r"\ufe13\ufe16\ufe55\ufe56\ufe5f\ufe6b\uff03\uff0f\uff1a\uff1f\uff20"
)
"""What ends a part of an address, and what `urlsplit` refuses because NFKC makes it such."""
_PART = f"[^{_BLANK}{_SEPARATORS}]"
TEXT_PATTERN = f"^[^{_CONTROL}]*$"
FILLED_PATTERN = f"^[^{_CONTROL}]*[^{_BLANK}][^{_CONTROL}]*$"
URL_PATTERN = (
    f"^(?:[Hh][Tt][Tt][Pp][Ss]?://(?:{_PART}+(?::{_PART}*)?@)?{_PART}+(?::{_PART}*)?(?:[/?#][^{_BLANK}]*)?)?$"
)

_MESSAGES = {
    "missing": "필수 항목입니다.",
    "extra_forbidden": "알 수 없는 항목입니다.",
    "string_type": "문자열이어야 합니다.",
    "string_too_short": "비워 둘 수 없습니다.",
    "string_pattern_mismatch": "올바른 UUID여야 합니다.",
    "string_too_long": "{max_length}자 이하여야 합니다.",
    "int_type": "정수여야 합니다.",
    "int_parsing": "정수여야 합니다.",
    "greater_than_equal": "{ge} 이상이어야 합니다.",
    "less_than_equal": "{le} 이하여야 합니다.",
    "model_type": "JSON 객체여야 합니다.",
    "model_attributes_type": "JSON 객체여야 합니다.",
}


def leave_out_what_is_empty(schema: dict[str, Any]) -> None:
    """Name no default and no null: a generated client would send them, and blank the field of an entity."""
    for field in schema.get("properties", {}).values():
        if field.get("default") in ("", None):
            field.pop("default", None)
        variants = [variant for variant in field.pop("anyOf", ()) if variant != {"type": "null"}]
        field.update(*variants)


class Shape(BaseModel):
    """Base of all input: strict types, unknown fields named as errors, our own error for broken rules."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, json_schema_extra=leave_out_what_is_empty
    )
    ignored: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _drop_ignored(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if key not in cls.ignored}
        return data

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate input of any type. Raises `ValidationFailed` with every broken rule."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            details = [_detail(e) for e in error.errors(include_url=False)[:DETAILS_MAX]]
            raise ValidationFailed(details) from error

    def given(self) -> dict[str, Any]:
        """Return the fields that the client sent."""
        return self.model_dump(exclude_unset=True)


def _detail(error: Mapping[str, Any]) -> dict[str, str]:
    rule = str(error["type"])
    template = _MESSAGES.get(rule)
    message = template.format(**error.get("ctx", {})) if template else str(error["msg"])
    field = ".".join(str(part) for part in error["loc"]) or "body"
    return {"field": field, "rule": rule, "message": message}


def _clean(value: Any) -> Any:
    """Normalise text to NFC and trim it, before it is measured; refuse what no text field may hold."""
    if not isinstance(value, str):
        return value
    if _UNFIT.search(value):
        raise PydanticCustomError("invalid_character", "쓸 수 없는 제어 문자가 있습니다.")
    value = value.strip()
    if len(value) > MARKED_MAX and _has_long_run_of_marks(value):
        raise PydanticCustomError("invalid_character", "결합 문자가 너무 많이 이어져 있습니다.")
    return unicodedata.normalize("NFC", value)


def _has_long_run_of_marks(text: str) -> bool:
    """Tell whether text exceeds what Unicode's Stream-Safe Text Format allows (UAX #15)."""
    marks = bytes(unicodedata.combining(char) > 0 for char in text)
    return bytes([True] * (MARKS_MAX + 1)) in marks


def _clean_line(value: Any) -> Any:
    cleaned = _clean(value)
    return " ".join(cleaned.splitlines()) if isinstance(cleaned, str) else cleaned


def _iso_date(value: str) -> str:
    try:
        if date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise PydanticCustomError("invalid_date", "YYYY-MM-DD 형식의 실제 날짜여야 합니다.")


def _web_address(value: str) -> str:
    if not value:
        return value
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or any(char.isspace() for char in value):
        raise PydanticCustomError("invalid_url", "http:// 또는 https://로 시작하는 주소여야 합니다.")
    return value


def _described(pattern: str, example: str) -> Any:
    """Tell the document of a text; without the example Swagger UI makes one up from the pattern."""
    return Field(json_schema_extra={"pattern": pattern, "examples": [example]})


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=NAME_MAX),
    BeforeValidator(_clean_line),
    _described(FILLED_PATTERN, "개발팀"),
]
Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TITLE_MAX),
    BeforeValidator(_clean_line),
    _described(FILLED_PATTERN, "팀 회의"),
]
Description = Annotated[
    str,
    StringConstraints(max_length=DESCRIPTION_MAX),
    BeforeValidator(_clean),
    _described(TEXT_PATTERN, "회의실 3층"),
]
TimeText = Annotated[
    str,
    StringConstraints(max_length=TIME_MAX),
    BeforeValidator(_clean_line),
    _described(TEXT_PATTERN, "오후 2:00"),
]
Url = Annotated[
    str,
    StringConstraints(max_length=URL_MAX),
    BeforeValidator(_clean),
    AfterValidator(_web_address),
    _described(URL_PATTERN, "https://example.com/"),
]
IsoDate = Annotated[
    str,
    BeforeValidator(_clean),
    AfterValidator(_iso_date),
    Field(json_schema_extra={"format": "date", "examples": ["2024-01-20"]}),
]
ChosenId = Annotated[str, StringConstraints(pattern=UUID_PATTERN, to_lower=True)]


class DepartmentNew(Shape):
    """A department to create."""

    ignored = ECHOED
    name: Name
    description: Description = ""


class DepartmentChange(Shape):
    """The fields of a department to change; what is left out stays."""

    ignored = ECHOED
    name: Name = ""
    description: Description = ""


class EventNew(Shape):
    """A calendar entry to create."""

    ignored = ECHOED - {"id"}
    id: ChosenId | None = Field(default=None, exclude_if=lambda value: value is None)
    event_date: IsoDate
    title: Title
    description: Description = ""
    time: TimeText = ""
    url: Url = ""


class EventChange(Shape):
    """The fields of a calendar entry to change; what is left out stays."""

    ignored = ECHOED
    event_date: IsoDate = ""
    title: Title = ""
    description: Description = ""
    time: TimeText = ""
    url: Url = ""


class Query(Shape):
    """Base of query strings: text that is read as its type, and parameters of others let pass."""

    model_config = ConfigDict(strict=False, extra="ignore", populate_by_name=True)


class ListQuery(Query):
    """Which part of a list is wanted: inclusive dates, text to find, and one page of it."""

    q: Annotated[
        str,
        StringConstraints(max_length=TITLE_MAX),
        BeforeValidator(_clean),
        _described(TEXT_PATTERN, "회의"),
    ] = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] | None = None
    page_token: str = ""
    first: IsoDate | None = Field(default=None, alias="from")
    last: IsoDate | None = Field(default=None, alias="to")

    def wanted(self) -> EventFilter:
        """Return what is asked for in the terms of the domain."""
        after = parse_page_token(self.page_token)
        return EventFilter(first=self.first, last=self.last, text=self.q, limit=self.limit, after=after)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first and self.last and self.first > self.last:
            raise PydanticCustomError("range_reversed", "from은 to보다 늦을 수 없습니다.")
        return self

    @field_validator("page_token")
    @classmethod
    def _ours(cls, token: str) -> str:
        if token and parse_page_token(token) is None:
            raise PydanticCustomError("invalid_page_token", "서버가 준 page_token이 아닙니다.")
        return token


class ChangesQuery(Query):
    """Where a delta begins, and how long it may be."""

    since: Annotated[str, StringConstraints(min_length=1)]
    limit: Annotated[int, Field(ge=1, le=CHANGES_MAX)] = CHANGES_MAX


class HistoryQuery(Query):
    """Whose history is wanted."""

    event_id: Annotated[str, Field(json_schema_extra={"pattern": UUID_PATTERN})]


class LeaveMessage(Shape):
    """A Socket.IO message about one department."""

    department_id: str


class SyncMessage(LeaveMessage):
    """A Socket.IO message about one department, with the sync token its sender has reached."""

    sync_token: str = ""


def parse_id(text: str) -> str:
    """Return a UUID in its canonical lower-case form. Raises `InvalidId`."""
    if not _UUID.fullmatch(text):
        raise InvalidId()
    return text.lower()
