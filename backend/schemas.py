"""The shapes of input: fields, limits, and the Korean sentence for each broken rule.

REST, Socket.IO and the migration validate by these.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
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

from domain import EventFilter
from errors import InvalidId, ValidationFailed
from tokens import parse_number_token, parse_order_token

NAME_MAX = 100
TITLE_MAX = 200
DESCRIPTION_MAX = 10_000
TIME_MAX = 50
URL_MAX = 2_048
CHANGES_MAX = 1_000
PAGE_MAX = 2_500
NUMBERED_PAGE = 50
NUMBERED_PAGE_MAX = 200
"""Entries of a page whose token is a number: of a history, or of the deleted departments."""
KEY_MAX = 255
BODY_MAX = 1024 * 1024
TEXT_MAX = 4 * DESCRIPTION_MAX
"""Characters of a text before NFC, which makes one character of four at most. Longer texts are too long."""
COMBINING_RUN_MAX = 30
COMBINING_CHECK_FROM = 1_000
"""Longer texts may hold at most `COMBINING_RUN_MAX` combining marks in a row: the time in which NFC sorts a
run grows with the square of its length.
"""
DETAILS_MAX = 100
FIELDS_MAX = 1_000
"""Fields of an object. Each unknown one would cost an error, and a body has room for 100,000."""

READ_ONLY = frozenset(
    {"id", "department_id", "created_at", "last_modified", "updated_at", "revision", "by", "by_name"}
)
"""Fields that only the server sets. Clients may send them back; they are ignored."""

UUID_PATTERN = r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
_UUID = re.compile(UUID_PATTERN)
_CONTROL = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
"""Control characters other than white space."""
_FORBIDDEN = re.compile(rf"[{_CONTROL}\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs."""

# Patterns for the OpenAPI document, in the syntax that all dialects of regular expressions share. The server
# itself validates by the functions below.
_BLANK = r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Control characters and white space."""
_SEPARATORS = (
    r"/?#@:\[\]\u2047-\u2049\u2100\u2101\u2105\u2106\u2a74"
    r"\ufe13\ufe16\ufe55\ufe56\ufe5f\ufe6b\uff03\uff0f\uff1a\uff1f\uff20"
)
"""Characters that end a part of an address, or that NFKC turns into one: `urlsplit` refuses these."""
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
_LIST_PATTERN = re.compile(r"\^\(([a-z|]+)\)\$")
"""A pattern that lists all values there are, as `^(read|write)$`."""


def omit_empty_defaults(schema: dict[str, Any]) -> None:
    """Remove empty defaults and null from a schema: generated clients would send them and so empty fields."""
    for field in schema.get("properties", {}).values():
        if field.get("default") in ("", None):
            field.pop("default", None)
        variants = [variant for variant in field.pop("anyOf", ()) if variant != {"type": "null"}]
        field.update(*variants)


def _empty_example(schema: dict[str, Any]) -> None:
    """Describe a body whose fields are all for special cases: what Swagger UI offers to send is `{}`."""
    omit_empty_defaults(schema)
    schema["examples"] = [{}]


class Input(BaseModel):
    """Base of all input: strict types, no unknown fields, `ValidationFailed` for broken rules."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra=omit_empty_defaults)
    ignored: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _drop_ignored(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if len(data) > FIELDS_MAX:
                raise PydanticCustomError("too_many_fields", "항목이 너무 많습니다.")
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

    def sent_fields(self) -> dict[str, Any]:
        """Return only the fields that the client sent."""
        return self.model_dump(exclude_unset=True)


def _detail(error: Mapping[str, Any]) -> dict[str, str]:
    rule = str(error["type"])
    message = _message(rule, error.get("ctx", {})) or str(error["msg"])
    field = ".".join(str(part) for part in error["loc"]) or "body"
    return {"field": field, "rule": rule, "message": message}


def _message(rule: str, context: Mapping[str, Any]) -> str:
    """Return what a person should read of a broken rule, empty for rules of which we have no sentence."""
    if rule == "string_too_short" and context["min_length"] > 1:
        return f"{context['min_length']}자 이상이어야 합니다."
    if rule == "string_pattern_mismatch" and (listed := _LIST_PATTERN.fullmatch(context["pattern"])):
        return f"가능한 값: {listed[1].replace('|', ', ')}"
    return _MESSAGES.get(rule, "").format(**context)


def _clean(value: Any) -> Any:
    """Trim text and normalise it to NFC, before its length is checked. Refuse forbidden characters.

    Text that is too long anyway is returned as it is: to look at each of its characters would take a tenth of
    a second.
    """
    if not isinstance(value, str) or len(value := value.strip()) > TEXT_MAX:
        return value
    if _FORBIDDEN.search(value):
        raise PydanticCustomError("invalid_character", "쓸 수 없는 제어 문자가 있습니다.")
    if len(value) > COMBINING_CHECK_FROM and _has_long_run_of_marks(value):
        raise PydanticCustomError("invalid_character", "결합 문자가 너무 많이 이어져 있습니다.")
    return unicodedata.normalize("NFC", value)


def _has_long_run_of_marks(text: str) -> bool:
    """Tell whether text has more marks in a row than Unicode's Stream-Safe Text Format allows (UAX #15)."""
    marks = bytes(unicodedata.combining(char) > 0 for char in text)
    return bytes([True] * (COMBINING_RUN_MAX + 1)) in marks


def clean_line(value: Any) -> Any:
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


def described(pattern: str, example: str) -> Any:
    """Describe a text in the OpenAPI document. Without an example Swagger UI invents one from the pattern."""
    return Field(json_schema_extra={"pattern": pattern, "examples": [example]})


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=NAME_MAX),
    BeforeValidator(clean_line),
    described(FILLED_PATTERN, "개발팀"),
]
Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TITLE_MAX),
    BeforeValidator(clean_line),
    described(FILLED_PATTERN, "팀 회의"),
]
Description = Annotated[
    str,
    StringConstraints(max_length=DESCRIPTION_MAX),
    BeforeValidator(_clean),
    described(TEXT_PATTERN, "회의실 3층"),
]
TimeText = Annotated[
    str,
    StringConstraints(max_length=TIME_MAX),
    BeforeValidator(clean_line),
    described(TEXT_PATTERN, "오후 2:00"),
]
Url = Annotated[
    str,
    StringConstraints(max_length=URL_MAX),
    BeforeValidator(_clean),
    AfterValidator(_web_address),
    described(URL_PATTERN, "https://example.com/"),
]
IsoDate = Annotated[
    str,
    BeforeValidator(_clean),
    AfterValidator(_iso_date),
    Field(json_schema_extra={"format": "date", "examples": ["2024-01-20"]}),
]
ChosenId = Annotated[str, StringConstraints(pattern=UUID_PATTERN, to_lower=True)]


class DepartmentNew(Input):
    """A department to create."""

    ignored = READ_ONLY
    name: Name
    description: Description = ""


class DepartmentChange(Input):
    """The fields of a department to change; what is left out stays."""

    ignored = READ_ONLY
    name: Name = ""
    description: Description = ""


class DepartmentRestore(Input):
    """The name under which a deleted department is restored, if not its own."""

    model_config = ConfigDict(json_schema_extra=_empty_example)
    name: Name = Field(default="", description="되살릴 부서의 새 이름. 없으면 지우기 전의 이름입니다.")


class EventNew(Input):
    """A calendar entry to create."""

    ignored = READ_ONLY - {"id"}
    id: ChosenId | None = Field(default=None, exclude_if=lambda value: value is None)
    event_date: IsoDate
    title: Title
    description: Description = ""
    time: TimeText = ""
    url: Url = ""


class EventChange(Input):
    """The fields of a calendar entry to change; what is left out stays."""

    ignored = READ_ONLY
    event_date: IsoDate = ""
    title: Title = ""
    description: Description = ""
    time: TimeText = ""
    url: Url = ""


class Query(Input):
    """Base of query strings: text is converted to the type of its field, unknown parameters are ignored."""

    model_config = ConfigDict(strict=False, extra="ignore", populate_by_name=True)


def _checked_page_token(token: str, parse: Callable[[str], object]) -> str:
    if token and parse(token) is None:
        raise PydanticCustomError("invalid_page_token", "서버가 준 page_token이 아닙니다.")
    return token


class ListQuery(Query):
    """The query of a list: inclusive dates, text to find, and a page."""

    q: Annotated[
        str,
        StringConstraints(max_length=TITLE_MAX),
        BeforeValidator(_clean),
        described(TEXT_PATTERN, "회의"),
    ] = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] | None = Field(
        default=None,
        description="한 번에 받을 이벤트 수. 아주 큰 부서에서는 더 적게 올 수 있고, q가 있으면 "
        "비기도 합니다. next_page_token이 빈 값일 때까지 이어서 받으세요.",
    )
    page_token: str = Field(default="", description="앞 응답의 next_page_token")
    first: IsoDate | None = Field(default=None, alias="from")
    last: IsoDate | None = Field(default=None, alias="to")

    def event_filter(self) -> EventFilter:
        """Return the query as a filter of the domain."""
        after = parse_order_token(self.page_token)
        return EventFilter(first=self.first, last=self.last, text=self.q, limit=self.limit, after=after)

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.first and self.last and self.first > self.last:
            raise PydanticCustomError("range_reversed", "from은 to보다 늦을 수 없습니다.")
        return self

    @field_validator("page_token")
    @classmethod
    def _check_page_token(cls, token: str) -> str:
        return _checked_page_token(token, parse_order_token)


class ChangesQuery(Query):
    """The query of a delta: the sync token before it, and the most changes to return."""

    since: Annotated[str, StringConstraints(min_length=1)]
    limit: Annotated[int, Field(ge=1, le=CHANGES_MAX)] = CHANGES_MAX


class PageQuery(Query):
    """The query of a page that begins with a revision or another number."""

    limit: Annotated[int, Field(ge=1, le=NUMBERED_PAGE_MAX)] = NUMBERED_PAGE
    page_token: str = ""

    @property
    def begin(self) -> int | None:
        """The number with which the page begins; None for the first page."""
        return parse_number_token(self.page_token)

    @field_validator("page_token")
    @classmethod
    def _check_page_token(cls, token: str) -> str:
        return _checked_page_token(token, parse_number_token)


class HistoryQuery(PageQuery):
    """The query of an event's history."""

    event_id: Annotated[str, Field(json_schema_extra={"pattern": UUID_PATTERN})]


class LeaveMessage(Input):
    """A Socket.IO message about one department."""

    department_id: str


class SyncMessage(LeaveMessage):
    """A Socket.IO message about one department, with the sync token that the client holds."""

    sync_token: str = ""
    parts: bool = False
    """Whether the client takes a large `sync_response` in parts."""


def parse_id(text: str) -> str:
    """Return a UUID in its canonical lower-case form. Raises `InvalidId`."""
    if not _UUID.fullmatch(text):
        raise InvalidId()
    return text.lower()
