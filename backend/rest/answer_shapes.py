"""The shapes of REST answers in the OpenAPI document.

These models only describe: routes build answers from the entities, and tests compare the two. The models
allow further fields and list no values, so that clients generated today can read what later servers answer.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from schemas import omit_empty_defaults


class Answer(BaseModel):
    success: bool


class DepartmentShape(BaseModel):
    id: str
    name: str
    description: str
    timezone: str
    color: str
    created_at: str
    updated_at: str


class EventShape(BaseModel):
    id: str
    department_id: str
    event_date: str
    title: str
    description: str
    time: str
    url: str
    end_date: str
    start_time: str
    end_time: str
    location: str
    category: str
    rrule: str
    exdates: list[str]
    recurring_event_id: str
    original_date: str
    created_at: str
    last_modified: str
    revision: int


class ListedEventShape(EventShape):
    model_config = ConfigDict(json_schema_extra=omit_empty_defaults)
    occurrence_date: str = Field(
        default="",
        description="expand=true일 때만: 반복 일정 가운데 이 일정의 날짜. 따로 고친 것은 본래의 날짜",
    )


class ChangedEventShape(BaseModel):
    """이벤트 전체. 삭제된 뒤에는 id, department_id, revision만 있습니다."""

    model_config = ConfigDict(json_schema_extra=omit_empty_defaults)
    id: str
    department_id: str
    event_date: str = ""
    title: str = ""
    description: str = ""
    time: str = ""
    url: str = ""
    end_date: str = ""
    start_time: str = ""
    end_time: str = ""
    location: str = ""
    category: str = ""
    rrule: str = ""
    exdates: list[str] = []
    recurring_event_id: str = ""
    original_date: str = ""
    created_at: str = ""
    last_modified: str = ""
    revision: int


class ChangeShape(BaseModel):
    revision: int
    type: str = Field(
        description="지금은 `event_created`, `event_updated`, `event_deleted`. 앞으로 늘어날 수 있습니다."
    )
    event: ChangedEventShape
    at: str
    by: str = Field(description="바꾼 사람의 계정. 모르면 빈 값")
    by_name: str


class DeletedDepartmentShape(BaseModel):
    department: DepartmentShape
    revision: int
    at: str = Field(description="지운 때. 이때부터 30일 동안 되살릴 수 있습니다.")
    by: str
    by_name: str


class DeletedDepartmentsAnswer(Answer):
    deleted: list[DeletedDepartmentShape]
    next_page_token: str


class DepartmentsAnswer(Answer):
    departments: list[DepartmentShape]


class DepartmentAnswer(Answer):
    department: DepartmentShape


class EventsAnswer(Answer):
    events: list[ListedEventShape]
    revision: int
    sync_token: str
    next_page_token: str


class EventAnswer(Answer):
    event: EventShape


class ChangesAnswer(Answer):
    changes: list[ChangeShape]
    sync_token: str
    has_more: bool


class FieldChange(BaseModel):
    before: Any = Field(alias="from", description="바뀌기 전의 값")
    after: Any = Field(alias="to", description="바뀐 값")


class HistoryShape(ChangeShape):
    changed: dict[str, FieldChange]


class HistoryAnswer(Answer):
    history: list[HistoryShape]
    next_page_token: str


class FeedAnswer(Answer):
    url: str = Field(description="이 주소를 아는 사람은 누구나 이 부서의 일정을 읽습니다.")
    webcal_url: str = Field(description="누르면 캘린더 프로그램이 열리는 같은 주소")


class JudgedShape(BaseModel):
    uid: str
    title: str
    event_date: str
    verdict: str = Field(
        description="지금은 `created`, `updated`, `equal`, `skipped`. 앞으로 늘어날 수 있습니다."
    )
    reason: str = Field(description="건너뛴 까닭. 아니면 빈 값")


class ImportAnswer(Answer):
    entries: list[JudgedShape]
    counts: dict[str, int]
    unread_columns: list[str] = Field(description="CSV에서 알아보지 못해 읽지 않은 열")


class MessageAnswer(Answer):
    message: str


class StatusAnswer(Answer):
    status: str


class Failure(BaseModel):
    """모든 실패의 한 가지 모양."""

    success: bool = Field(examples=[False])
    error: str = Field(description="프로그램이 읽는 오류 코드. 앞으로 늘어날 수 있습니다.")
    message: str = Field(description="사람이 읽는 문장")
    details: Any = Field(
        description="`validation_failed`: {field, rule, message}의 목록. `event_changed`: {event}."
    )
