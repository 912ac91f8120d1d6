"""The shapes that REST answers have, for the OpenAPI document.

Answers are built from the entities; these models describe them, and the tests hold the two together.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

View = TypeVar("View", bound=Callable[..., Any])
REF = "#/components/schemas/{model}"

_FAILURES = {
    400: "입력값 또는 식별자가 올바르지 않음",
    404: "부서 또는 이벤트가 없음",
    409: "같은 이름의 부서가 이미 있음",
    410: "동기화 토큰 만료: 목록을 다시 받아 교체",
    413: "본문이 1 MiB를 넘음",
    415: "본문이 application/json이 아님",
    503: "저장소를 잠시 사용할 수 없음 (Retry-After)",
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


class EventAnswer(Answer):
    event: EventShape


class ChangesAnswer(Answer):
    changes: list[ChangeShape]
    sync_token: str
    has_more: bool


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
    MessageAnswer,
    StatusAnswer,
    Failure,
)


def documented(
    summary: str, answer: type[BaseModel], status: int = 200, *failures: int
) -> Callable[[View], View]:
    """Describe a route in the OpenAPI document: its answer, its status, and how else it may end."""

    def describe(view: View) -> View:
        spec: dict[str, Any] = vars(view).setdefault("_spec", {})
        spec["summary"] = summary
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
