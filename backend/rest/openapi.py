"""The OpenAPI document: each route describes itself by `@documented`, and `install` completes the rest."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from apiflask import APIFlask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from errors import (
    HTTP_FAILURES,
    CalendarError,
    EventChanged,
    IdempotencyKeyReused,
    NotAllowed,
    NotSignedIn,
    StoreUnavailable,
    TooManyRequests,
    ValidationFailed,
)
from field_types import UUID_PATTERN
from recognition import COOKIE
from rest import account_answers, answer_shapes
from rest.conditions import KEY_PATTERN
from schemas import KEY_MAX

View = TypeVar("View", bound=Callable[..., Any])

DESCRIPTION = """
모든 실패는 `Failure` 모양이며, `error`가 프로그램이 읽는 코드입니다. 코드, 응답의 항목, 변경의 종류는 앞으로
늘어날 수 있으니 모르는 것은 건너뛰세요. 주소가 받지 않는 메서드는 405 `method_not_allowed`입니다.

PUT은 보낸 항목만 바꿉니다. 응답에서 되돌려 보낸 `id`, `department_id`, `recurring_event_id`, `original_date`,
`occurrence_date`, `created_at`, `updated_at`, `last_modified`, `revision`, `by`, `by_name`은 무시하고,
그 밖의 모르는 항목은 400입니다. 글은 앞뒤 공백을 떼고 NFC로 정규화한 뒤에 길이를 잽니다.

`time`과 `start_time`, `end_time`은 같은 시각을 두 가지로 적은 것입니다. `time`만 바꾸면 나머지를 그 글에서
읽고, 읽을 수 없으면 비웁니다. `start_time`이나 `end_time`만 바꾸면 `time`을 다시 씁니다. 둘 다 바꾸면 둘 다
그대로 둡니다. `event_date`만 바꾸면 `end_date`와 `exdates`도 같은 날수만큼 움직입니다. 지금과 같은 값을
보낸 항목은 바꾼 것으로 치지 않습니다.
""".strip()
SCHEMA_REF = "#/components/schemas/{model}"
ANSWERS: tuple[type[BaseModel], ...] = (
    answer_shapes.ChangesAnswer,
    answer_shapes.DeletedDepartmentsAnswer,
    answer_shapes.DepartmentAnswer,
    answer_shapes.DepartmentsAnswer,
    answer_shapes.EventAnswer,
    answer_shapes.EventsAnswer,
    answer_shapes.Failure,
    answer_shapes.FeedAnswer,
    answer_shapes.HistoryAnswer,
    answer_shapes.ImportAnswer,
    answer_shapes.MessageAnswer,
    answer_shapes.StatusAnswer,
    account_answers.MeAnswer,
)
ACCOUNT_ANSWERS: tuple[type[BaseModel], ...] = (
    account_answers.AccountAnswer,
    account_answers.AccountsAnswer,
    account_answers.AuditAnswer,
    account_answers.InvitationAnswer,
    account_answers.InvitationsAnswer,
    account_answers.LinkAnswer,
    account_answers.MemberAnswer,
    account_answers.MembersAnswer,
    account_answers.SessionsAnswer,
    account_answers.TokenAnswer,
    account_answers.TokensAnswer,
)

CREDENTIALS = {
    "token": {"type": "http", "scheme": "bearer", "description": "`dct_`로 시작하는 토큰"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "로그인한 브라우저의 쿠키"},
}
REFUSALS = (NotSignedIn, NotAllowed, TooManyRequests)
"""The failures of every route that needs an account."""
LIMITS = (TooManyRequests,)
"""The failures of every route by which people come in."""

_IDS = {
    "account_id": "계정의 식별자",
    "invitation_id": "초대의 식별자",
    "session_id": "로그인의 식별자",
    "token_id": "토큰의 식별자",
    "department_id": "부서의 식별자",
    "event_id": "이벤트의 식별자",
}
_ETAG = r'(?:W/)?"[!#-~]*"'


def _request_header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"in": "header", "name": name, "description": description, "schema": {"type": "string", **schema}}


_REQUEST_HEADERS = {
    "If-Match": _request_header(
        "If-Match",
        "고치려는 이벤트의 ETag: 따옴표 안의 리비전. 그 사이 바뀌었으면 412. 없으면 나중에 쓴 쪽이 남습니다.",
        pattern=rf"^(?:\*|{_ETAG}(?:, ?{_ETAG})*)$",
        examples=['"3"'],
    ),
    "If-None-Match": _request_header(
        "If-None-Match", "가지고 있는 내용의 ETag. 바뀌지 않았으면 본문 없이 304.", examples=['"3"']
    ),
    "Idempotency-Key": _request_header(
        "Idempotency-Key",
        "같은 키로 다시 보내면 처음의 답을 돌려줍니다. 다른 내용이면 422.",
        pattern=KEY_PATTERN,
        maxLength=KEY_MAX,
    ),
}
_FAILURES_OF_HEADERS: dict[str, tuple[type[CalendarError], ...]] = {
    "If-Match": (ValidationFailed, EventChanged),
    "If-None-Match": (),
    "Idempotency-Key": (ValidationFailed, IdempotencyKeyReused),
}

ETAG = {
    "ETag": {
        "description": "이 내용의 버전을 나타내는 값. 이벤트에서는 따옴표 안의 리비전.",
        "required": True,
        "schema": {"type": "string"},
    }
}
REPLAYED = {
    "Idempotent-Replayed": {
        "description": "`true`: 같은 요청을 전에 처리했고, 그때의 답을 다시 보냄.",
        "schema": {"type": "string"},
    }
}
_FILE = {"schema": {"type": "string", "format": "binary"}}
RETRY_AFTER = {
    "Retry-After": {
        "description": "몇 초 뒤에 다시 시도할지.",
        "required": True,
        "schema": {"type": "integer"},
    }
}


def documented(
    summary: str,
    answer: type[BaseModel] | str,
    *failures: type[CalendarError] | int,
    status: int = 200,
    takes: tuple[str, ...] = (),
    sends: Mapping[str, Any] | None = None,
    optional_body: type[BaseModel] | None = None,
    files: tuple[str, ...] = (),
) -> Callable[[View], View]:
    """Describe a route in the OpenAPI document. Stands above the route's `@bp.input`.

    `answer` is a model, or the media type of a file. `files` are the media types of a body that is a file.
    `failures` are classes, or statuses of failures without a class. The failures of the input, of the headers
    and 500 are added. `takes` names the request headers that the route reads; `sends` are the OpenAPI headers
    of its answer. `optional_body` describes the body of a route that takes requests without one, too, and so
    reads it without `@bp.input`.
    """

    def describe(view: View) -> View:
        spec: dict[str, Any] = vars(view).setdefault("_spec", {})
        possible = {*failures, *(error for name in takes for error in _FAILURES_OF_HEADERS[name]), 500}
        if optional_body:
            spec["body"] = optional_body
            spec["body_example"] = spec["body_examples"] = None
            spec["content_type"] = "application/json"
        if "body" in spec or files:
            possible |= {ValidationFailed, 400, 413, 415}
        if "args" in spec:
            possible.add(ValidationFailed)
        headers = {"headers": sends} if sends else {}
        spec["operation_id"] = view.__name__
        spec["summary"] = summary
        success = _file("성공", answer) if isinstance(answer, str) else _content("성공", answer)
        spec["responses"] = {status: {**success, **headers}} | _failure_responses(possible)
        if "If-None-Match" in takes:
            spec["responses"][304] = {"description": "바뀌지 않음", **headers}
        spec["extensions"] = {
            "x-takes": takes,
            "x-optional-body": bool(optional_body),
            "x-files": files,
            "x-open": vars(view).get("open_to_strangers", False),
        }
        return view

    return describe


def install(app: APIFlask, *, needs_account: bool) -> None:
    """Complete the document that an app serves at `/openapi.json`."""
    app.description = DESCRIPTION
    app.spec_processor(functools.partial(_complete_document, needs_account=needs_account))


def _complete_document(document: Any, *, needs_account: bool) -> Any:
    """Add to APIFlask's document what APIFlask has no setting for."""
    if needs_account:
        document["components"]["securitySchemes"] = CREDENTIALS
    _, definitions = models_json_schema(
        [(model, "serialization") for model in (*ANSWERS, *(ACCOUNT_ANSWERS if needs_account else ()))],
        ref_template=SCHEMA_REF,
    )
    document["components"]["schemas"].update(definitions["$defs"])
    for schema in document["components"]["schemas"].values():
        schema.pop("description", None)  # it is a docstring for developers, in English
    for path, item in document["paths"].items():
        for operation in item.values():
            is_open = operation.pop("x-open")
            if needs_account and path.startswith("/api/"):
                if not is_open:
                    operation["security"] = [{name: []} for name in CREDENTIALS]
                for status, response in _failure_responses(LIMITS if is_open else REFUSALS).items():
                    found = operation["responses"].setdefault(str(status), {**response, "description": ""})
                    found["description"] = f"{found['description']}\n{response['description']}".strip()
            operation["parameters"] = [_describe(parameter) for parameter in operation["parameters"]]
            operation["parameters"] += [_REQUEST_HEADERS[name] for name in operation.pop("x-takes")]
            optional_body = operation.pop("x-optional-body")
            if files := operation.pop("x-files"):
                operation["requestBody"] = {"content": dict.fromkeys(files, _FILE)}
            if "requestBody" in operation:
                operation["requestBody"]["required"] = not optional_body
            for response in operation["responses"].values():
                if not response["content"]:
                    del response["content"]
    document["paths"] = _merge_paths(document["paths"])
    return document


def _merge_paths(paths: Mapping[str, Any]) -> dict[str, Any]:
    """Merge paths that differ only in the names of their parameters, as OpenAPI demands."""
    same: dict[str, list[str]] = {}
    for path in paths:
        same.setdefault(re.sub(r"{\w+}", "{}", path), []).append(path)
    merged = {}
    for alike in same.values():
        path = alike[0] if len(alike) == 1 else re.sub(r"{\w+}", "{id}", alike[0])
        merged[path] = {method: operation for one in alike for method, operation in paths[one].items()}
        if len(alike) > 1:
            for operation in merged[path].values():
                operation["parameters"][0]["name"] = "id"
    return merged


def _describe(parameter: dict[str, Any]) -> dict[str, Any]:
    """Add to a path parameter what it identifies, and the pattern of ids.

    What the schema of another one says is moved to the parameter itself, where the page shows it.
    """
    schema = dict(parameter["schema"])
    if parameter["in"] == "path":
        schema = {"type": "string", "pattern": UUID_PATTERN}
        return {**parameter, "description": _IDS[parameter["name"]], "schema": schema}
    if description := schema.pop("description", ""):
        return {**parameter, "description": description, "schema": schema}
    return parameter


def _failure_responses(failures: Iterable[type[CalendarError] | int]) -> dict[int, dict[str, Any]]:
    """Return the OpenAPI responses for failures, by status; each lists its error codes."""
    codes: dict[int, dict[str, str]] = {}
    for failure in failures:
        if isinstance(failure, int):
            code, message = HTTP_FAILURES[failure]
            codes.setdefault(failure, {})[code] = message
        else:
            codes.setdefault(failure.status, {})[failure.code] = failure.message
    described = {}
    for status, messages in sorted(codes.items()):
        lines = [f"- `{code}`: {messages[code]}" for code in sorted(messages)]
        described[status] = _content("\n".join(lines), answer_shapes.Failure)
    for status in described.keys() & {StoreUnavailable.status, TooManyRequests.status}:
        described[status]["headers"] = RETRY_AFTER
    return described


def _file(description: str, media: str) -> dict[str, Any]:
    return {"description": description, "content": {media: _FILE}}


def _content(description: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": SCHEMA_REF.format(model=model.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
