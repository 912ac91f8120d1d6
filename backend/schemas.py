"""The shapes of input: fields, limits, and the Korean sentence for each broken rule.

REST, Socket.IO and the migration validate by these.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
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

from domain import DEFAULT_TIMEZONE, EventFilter
from errors import InvalidId, ValidationFailed
from field_types import (
    TEXT_PATTERN,
    TITLE_MAX,
    UUID_PATTERN,
    Color,
    Description,
    IsoDate,
    Name,
    TimeZone,
    clean_text,
    described,
)
from tokens import parse_number_token, parse_order_token

CHANGES_MAX = 1_000
PAGE_MAX = 2_500
EXPANDED_DAYS_MAX = 400
NUMBERED_PAGE = 50
NUMBERED_PAGE_MAX = 200
"""Entries of a page whose token is a number: of a history, or of the deleted departments."""
KEY_MAX = 255
BODY_MAX = 1024 * 1024
FILE_MAX = 10 * 1024 * 1024
"""Bytes of a body that is a file of events. The program line takes larger files."""
DETAILS_MAX = 100
FIELDS_MAX = 1_000
"""Fields of an object. Each unknown one would cost an error, and a body has room for 100,000."""

READ_ONLY = frozenset(
    {
        "id",
        "department_id",
        "recurring_event_id",
        "original_date",
        "occurrence_date",
        "created_at",
        "last_modified",
        "updated_at",
        "revision",
        "by",
        "by_name",
    }
)
"""Fields that only the server sets. Clients may send them back; they are ignored."""

_UUID = re.compile(UUID_PATTERN)

_MESSAGES = {
    "missing": "필수 항목입니다.",
    "extra_forbidden": "알 수 없는 항목입니다.",
    "string_type": "문자열이어야 합니다.",
    "string_too_short": "비워 둘 수 없습니다.",
    "string_pattern_mismatch": "올바른 UUID여야 합니다.",
    "string_too_long": "{max_length}자 이하여야 합니다.",
    "tuple_type": "목록이어야 합니다.",
    "too_long": "{max_length}개 이하여야 합니다.",
    "int_type": "정수여야 합니다.",
    "bool_parsing": "true 또는 false여야 합니다.",
    "int_parsing": "정수여야 합니다.",
    "greater_than_equal": "{ge} 이상이어야 합니다.",
    "less_than_equal": "{le} 이하여야 합니다.",
    "model_type": "JSON 객체여야 합니다.",
    "model_attributes_type": "JSON 객체여야 합니다.",
}
_LIST_PATTERN = re.compile(r"\^\(([a-z|]+)\)\$")
"""A pattern that lists all values there are, as `^(read|write)$`."""


_UNSENT: tuple[Any, ...] = ("", None, [], DEFAULT_TIMEZONE)


def omit_empty_defaults(schema: dict[str, Any]) -> None:
    """Remove null and defaults that say nothing from a schema: generated clients would send them.

    They would empty fields, and send fields that older servers refuse.
    """
    for field in schema.get("properties", {}).values():
        if field.get("default") in _UNSENT:
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
    whole: ClassVar[str] = "body"
    """What the details of a failure name where no field alone is at fault."""

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
            details = [_detail(e, cls.whole) for e in error.errors(include_url=False)[:DETAILS_MAX]]
            raise ValidationFailed(details) from error

    def sent_fields(self) -> dict[str, Any]:
        """Return only the fields that the client sent."""
        return self.model_dump(exclude_unset=True)


def _detail(error: Mapping[str, Any], whole: str) -> dict[str, str]:
    rule = str(error["type"])
    message = _message(rule, error.get("ctx", {})) or str(error["msg"])
    field = ".".join(str(part) for part in error["loc"]) or whole
    return {"field": field, "rule": rule, "message": message}


def _message(rule: str, context: Mapping[str, Any]) -> str:
    """Return what a person should read of a broken rule, empty for rules of which we have no sentence."""
    if rule == "string_too_short" and context["min_length"] > 1:
        return f"{context['min_length']}자 이상이어야 합니다."
    if rule == "string_pattern_mismatch" and (listed := _LIST_PATTERN.fullmatch(context["pattern"])):
        return f"가능한 값: {listed[1].replace('|', ', ')}"
    return _MESSAGES.get(rule, "").format(**context)


class DepartmentNew(Input):
    """A department to create."""

    ignored = READ_ONLY
    name: Name
    description: Description = ""
    timezone: TimeZone = DEFAULT_TIMEZONE
    color: Color = ""


class DepartmentChange(Input):
    """The fields of a department to change; what is left out stays."""

    ignored = READ_ONLY
    name: Name = ""
    description: Description = ""
    timezone: TimeZone = ""
    color: Color = ""


class DepartmentRestore(Input):
    """The name under which a deleted department is restored, if not its own."""

    model_config = ConfigDict(json_schema_extra=_empty_example)
    name: Name = Field(default="", description="되살릴 부서의 새 이름. 없으면 지우기 전의 이름입니다.")


class Query(Input):
    """Base of query strings: text is converted to the type of its field, unknown parameters are ignored."""

    model_config = ConfigDict(strict=False, extra="ignore", populate_by_name=True)
    whole = "query"


def _checked_page_token(token: str, parse: Callable[[str], object]) -> str:
    if token and parse(token) is None:
        raise PydanticCustomError("invalid_page_token", "서버가 준 page_token이 아닙니다.")
    return token


class RangeQuery(Query):
    """Inclusive dates, of which either may be left out."""

    first: IsoDate | None = Field(default=None, alias="from")
    last: IsoDate | None = Field(default=None, alias="to")

    def event_filter(self) -> EventFilter:
        """Return the query as a filter of the domain."""
        return EventFilter(first=self.first, last=self.last)

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.first and self.last and self.first > self.last:
            raise PydanticCustomError("range_reversed", "from은 to보다 늦을 수 없습니다.")
        return self


class OccurrencesQuery(RangeQuery):
    """Inclusive dates, and whether occurrences stand for their series."""

    expand: bool = Field(
        default=False,
        description="반복 일정 대신 from부터 to까지의 낱낱의 일정을 받습니다. 이때 from과 to가 있어야 하고, "
        f"{EXPANDED_DAYS_MAX}일을 넘을 수 없습니다.",
    )

    def event_filter(self) -> EventFilter:
        """Return the query as a filter of the domain."""
        return replace(super().event_filter(), expand=self.expand)

    @model_validator(mode="after")
    def _check_expanded_range(self) -> Self:
        if not self.expand:
            return self
        if not self.first or not self.last:
            raise PydanticCustomError("range_missing", "expand=true에는 from과 to가 있어야 합니다.")
        if (date.fromisoformat(self.last) - date.fromisoformat(self.first)).days >= EXPANDED_DAYS_MAX:
            message = f"expand=true에서 from부터 to까지는 {EXPANDED_DAYS_MAX}일을 넘을 수 없습니다."
            raise PydanticCustomError("range_too_long", message)
        return self


class ListQuery(OccurrencesQuery):
    """The query of a list: inclusive dates, text to find, and a page."""

    q: Annotated[
        str,
        StringConstraints(max_length=TITLE_MAX),
        BeforeValidator(clean_text),
        described(TEXT_PATTERN, "회의"),
    ] = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] | None = Field(
        default=None,
        description="한 번에 받을 이벤트 수. 아주 큰 부서에서는 더 적게 올 수 있고, q가 있으면 "
        "비기도 합니다. next_page_token이 빈 값일 때까지 이어서 받으세요.",
    )
    page_token: str = Field(default="", description="앞 응답의 next_page_token")

    def event_filter(self) -> EventFilter:
        """Return the query as a filter of the domain."""
        after = parse_order_token(self.page_token)
        return replace(super().event_filter(), text=self.q, limit=self.limit, after=after)

    @field_validator("page_token")
    @classmethod
    def _check_page_token(cls, token: str) -> str:
        return _checked_page_token(token, parse_order_token)


class OccurrenceQuery(Query):
    """Which occurrences of a series a change is about; without a date the event, or the whole series."""

    occurrence: IsoDate | None = Field(
        default=None,
        description="반복 일정에서 이 날짜만 바꾸거나 지웁니다. 목록의 `occurrence_date`이고, 옮겨진 날은 "
        "`original_date`입니다. `If-Match`는 반복 일정의 ETag입니다.",
    )
    following: bool = Field(
        default=False,
        description="`occurrence`의 날짜부터 모두 바꾸거나 지웁니다. 고친 답은 그날부터의 "
        "새 반복 일정입니다.",
    )

    @model_validator(mode="after")
    def _check_following(self) -> Self:
        if self.following and self.occurrence is None:
            raise PydanticCustomError("needs_occurrence", "following은 occurrence와 함께 보내야 합니다.")
        return self


class ImportQuery(Query):
    """The query of an import: whether it only says what it would do."""

    dry_run: bool = Field(default=False, description="참이면 무엇을 할지 답하기만 하고 바꾸지 않음")


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
