"""The shapes that REST answers have, for the OpenAPI document.

Answers are built from the entities; these models describe them, and the tests hold the two together.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

View = TypeVar("View", bound=Callable[..., Any])
REF = "#/components/schemas/{model}"

_FAILURES = {
    400: "입력값 또는 식별자가 올바르지 않음",
    404: "부서 또는 이벤트가 없음",
    409: "같은 이름의 부서 또는 같은 식별자의 이벤트가 이미 있음",
    410: "동기화 토큰 만료: 목록을 다시 받아 교체",
    412: "If-Match의 리비전이 마지막이 아님: details.event가 현재 내용",
    413: "본문이 1 MiB를 넘음",
    415: "본문이 application/json이 아님",
    422: "같은 Idempotency-Key가 다른 내용으로 이미 쓰임",
    503: "저장소를 잠시 사용할 수 없음 (Retry-After)",
}


_HEADERS = {
    "If-Match": "이벤트의 ETag. 그 사이 바뀌었으면 412, 없으면 나중에 쓴 쪽이 남습니다.",
    "If-None-Match": "가지고 있는 목록이나 이벤트의 ETag. 바뀌지 않았으면 본문 없이 304.",
    "Idempotency-Key": "같은 키로 다시 보내면 처음의 답을 돌려줍니다. 다른 내용이면 422.",
}


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    success: Literal[True]


class DepartmentShape(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    name: str
    description: str
    created_at: str
    updated_at: str


class EventShape(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    department_id: str
    event_date: str
    title: str
    description: str
    time: str
    url: str
    created_at: str
    last_modified: str
    revision: int


class DeletedEventShape(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    department_id: str
    revision: int


class ChangeShape(BaseModel):
    model_config = ConfigDict(extra="forbid")
    revision: int
    type: Literal["event_created", "event_updated", "event_deleted"]
    event: EventShape | DeletedEventShape
    at: str
    by: str


class DepartmentsAnswer(Answer):
    departments: list[DepartmentShape]


class DepartmentAnswer(Answer):
    department: DepartmentShape


class EventsAnswer(Answer):
    events: list[EventShape]
    revision: int
    sync_token: str
    next_page_token: str


class EventAnswer(Answer):
    event: EventShape


class ChangesAnswer(Answer):
    changes: list[ChangeShape]
    sync_token: str
    has_more: bool


class TextChange(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    before: str = Field(alias="from")
    after: str = Field(alias="to")


class HistoryShape(ChangeShape):
    changed: dict[str, TextChange]


class HistoryAnswer(Answer):
    history: list[HistoryShape]


class MessageAnswer(Answer):
    message: str


class StatusAnswer(Answer):
    status: str


class Failure(BaseModel):
    """The one shape of every failure."""

    model_config = ConfigDict(extra="forbid")
    success: Literal[False]
    error: str
    message: str
    details: Any


ANSWERS: tuple[type[BaseModel], ...] = (
    DepartmentsAnswer,
    DepartmentAnswer,
    EventsAnswer,
    EventAnswer,
    ChangesAnswer,
    HistoryAnswer,
    MessageAnswer,
    StatusAnswer,
    Failure,
)


def documented(
    summary: str,
    answer: type[BaseModel],
    status: int = 200,
    *failures: int,
    headers: tuple[str, ...] = (),
) -> Callable[[View], View]:
    """Describe a route in the OpenAPI document: its answer, its status, and how else it may end."""

    def describe(view: View) -> View:
        spec: dict[str, Any] = vars(view).setdefault("_spec", {})
        spec["summary"] = summary
        spec["description"] = "\n".join(f"- `{name}`: {_HEADERS[name]}" for name in headers)
        spec["responses"] = {status: _response("성공", answer)} | {
            code: _response(_FAILURES[code], Failure) for code in failures
        }
        return view

    return describe


def add_answers(document: Any) -> Any:
    """Add the answers' schemas to the finished document, which APIFlask would not resolve itself."""
    _, definitions = models_json_schema([(model, "serialization") for model in ANSWERS], ref_template=REF)
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
    return document


def _response(description: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": REF.format(model=model.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
